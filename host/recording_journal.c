/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the candidates of journals. */
#include "journal.h"
#include "param.h"
#include "recording.h"
#include "trace_states.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NO_LOGP (-9999.0f) /* where fewer tokens are listed than elsewhere: as servers fill in */

/* A candidate that is being read. */
struct growing {
	uint32_t room, states_room;
	enum {
		WAITING,
		OPEN,
		STOPPED,
		CLOSED,
		GONE
	} state; /* STOPPED: by a verdict, which it may not have heard of yet */
};

struct reading {
	struct journal_reader reader;
	struct trace trace;
	uint32_t questions_room;
	struct trace_question question; /* being read */
	struct growing *growing; /* [candidates] */
	bool is_settled, has_forks;
	struct journal_choice choice; /* with room for all candidates */
};

static bool grow(void *list, size_t item, uint32_t room)
{
	void **at = list, *grown = realloc(*at, room * item);

	if (grown)
		*at = grown;
	return grown != NULL;
}

/* Room for one more token in every list. */
static int make_room(const struct trace *t, struct trace_candidate *c, struct growing *g)
{
	const uint32_t room = 2 * g->room + 64;
	bool fits = true;

	if (c->tokens < g->room)
		return 0;
	fits &= grow(&c->ends_step, sizeof(*c->ends_step), room) && grow(&c->so_far, sizeof(*c->so_far), room) &&
		grow(&c->token, sizeof(*c->token), room);
	for (int f = 0; f < VETO_FIELDS; f++)
		fits &= !c->field[f] || grow(&c->field[f], sizeof(*c->field[f]), room);
	fits &= !c->own_top || grow(&c->own_top, t->tops * sizeof(*c->own_top), room);
	if (fits)
		g->room = room;
	return fits ? 0 : -ENOMEM;
}

/* A row that rules do not use, because of what it holds, has no score here. */
static int add_score(struct trace_candidate *c, const struct growing *g, const struct veto_score *score)
{
	const bool is_usable = !(score->flags & (VETO_NAN | VETO_SATURATED));

	for (int f = 0; f < VETO_FIELDS; f++) {
		const bool has = score->has >> f & 1 && is_usable;

		if (has && !c->field[f]) {
			c->field[f] = malloc(g->room * sizeof(*c->field[f]));
			if (!c->field[f])
				return -ENOMEM;
			for (uint32_t i = 0; i < c->tokens; i++)
				c->field[f][i].low = c->field[f][i].high = TRACE_UNKNOWN;
		}
		if (has)
			c->field[f][c->tokens] = score->field[f];
		else if (c->field[f])
			c->field[f][c->tokens].low = c->field[f][c->tokens].high = TRACE_UNKNOWN;
	}
	return 0;
}

static int add_top(struct trace *t, struct trace_candidate *c, const struct growing *g, const struct journal_event *e)
{
	float *at;

	if (e->tops > 0 && t->tops == 0)
		t->tops = e->tops;
	if (t->tops == 0)
		return 0;
	if (e->tops > t->tops)
		return -EINVAL;
	if (!c->own_top) {
		c->top = c->own_top = malloc((size_t)g->room * t->tops * sizeof(*c->own_top));
		for (uint32_t i = 0; c->own_top && i < c->tokens * t->tops; i++)
			c->own_top[i] = NO_LOGP;
	}
	if (!c->own_top)
		return -ENOMEM;
	at = c->own_top + (size_t)c->tokens * t->tops;
	for (uint32_t i = 0; i < t->tops; i++)
		at[i] = i < e->tops ? e->top[i] : NO_LOGP;
	c->top = c->own_top;
	return 0;
}

static int add_state(struct trace *t, struct trace_candidate *c, struct growing *g, const struct journal_event *e)
{
	if (!e->state)
		return 0;
	if (t->state_cols && t->state_cols != e->state_values)
		return -EINVAL;
	t->state_cols = e->state_values;
	if (c->states == g->states_room) {
		const uint32_t room = 2 * g->states_room + 16;

		if (!grow(&c->state_token, sizeof(*c->state_token), room) || !grow(&c->state, sizeof(*c->state), room))
			return -ENOMEM;
		g->states_room = room;
	}
	c->state_token[c->states] = c->tokens;
	c->state[c->states++] = e->state;
	return 0;
}

static int add_token(struct trace *t, struct trace_candidate *c, struct growing *g, const struct journal_event *e)
{
	int err;

	if (c->tokens == t->max_tokens)
		return -EINVAL;
	err = make_room(t, c, g);
	if (!err)
		err = add_score(c, g, &e->event.score);
	if (!err)
		err = add_top(t, c, g, e);
	if (!err)
		err = add_state(t, c, g, e);
	if (err)
		return err;
	c->ends_step[c->tokens] = e->event.ends_step;
	c->so_far[c->tokens] = (int8_t)((int)e->so_far - JOURNAL_WRONG); /* -1: not known */
	c->token[c->tokens] = e->event.token;
	c->tokens++;
	return 0;
}

static int close_candidate(struct trace_candidate *c, struct growing *g, const struct journal_event *e)
{
	g->state = CLOSED;
	c->is_finished = !e->is_cut_off;
	if (!e->answer.text)
		return 0;
	c->answer_text = strndup(e->answer.text, e->answer.bytes);
	if (c->is_finished && e->answer.bytes > 0)
		c->answer = trace_answer(e->answer.text, e->answer.bytes);
	return c->answer_text ? 0 : -ENOMEM;
}

static int take_event(struct reading *r, const struct journal_event *e)
{
	struct trace_candidate *c;
	struct growing *g;

	if (e->event.candidate >= r->trace.candidates)
		return -EINVAL;
	c = &r->question.candidate[e->event.candidate];
	g = &r->growing[e->event.candidate];
	if (e->event.kind == VETO_OPEN ? g->state != WAITING : g->state != OPEN && g->state != STOPPED)
		return -EINVAL;
	switch (e->event.kind) {
	case VETO_OPEN:
		g->state = OPEN;
		c->is_there = true;
		return make_room(&r->trace, c, g);
	case VETO_TOKEN:
		return add_token(&r->trace, c, g, e);
	case VETO_CLOSE:
		return close_candidate(c, g, e);
	case VETO_LOST:
		g->state = GONE;
		return 0;
	default:
		return 0;
	}
}

static void take_verdict(struct reading *r, const struct veto_verdict *v)
{
	struct growing *g = &r->growing[v->candidate];

	if (v->is_shadow || v->candidate >= r->trace.candidates)
		return;
	r->is_settled |= v->kind == VETO_SETTLED;
	if (v->kind == VETO_REJECT || v->kind == VETO_SETTLED)
		g->state = STOPPED;
	r->has_forks |= v->kind == VETO_FORK;
}

static int take_round(struct reading *r, const struct journal_frame *frame, char *why)
{
	struct journal_cursor cursor = journal_round(frame);
	struct journal_event e;
	struct veto_verdict v;
	int err = 0;

	while (!err && journal_next_event(&cursor, &e))
		err = take_event(r, &e);
	while (!err && journal_next_verdict(&cursor, &v))
		take_verdict(r, &v);
	if (err == -ENOMEM)
		return param_fail(err, why, "out of memory");
	if (err || cursor.is_bad)
		return journal_fail(&r->reader, frame, why);
	if (r->has_forks)
		return param_fail(-EINVAL, why,
			"'%s': it is of a search with beams, whose candidates are no independent samples",
			r->reader.name);
	return 0;
}

static void drop_question(struct reading *r)
{
	for (uint32_t i = 0; r->question.candidate && i < r->trace.candidates; i++)
		trace_free_candidate(&r->question.candidate[i]);
	free(r->question.candidate);
	free(r->question.id);
	free(r->question.prompt);
	r->question = (struct trace_question){0};
}

static int take_prompt(struct reading *r, const struct journal_frame *frame, char *why)
{
	struct journal_prompt prompt;
	struct trace_question *q = &r->question;
	const struct journal_text *hashed = &prompt.text;

	if (journal_read_prompt(frame, &prompt))
		return journal_fail(&r->reader, frame, why);
	if (!prompt.text.text)
		hashed = &prompt.id;
	memset(r->growing, 0, r->trace.candidates * sizeof(*r->growing));
	r->is_settled = false;
	q->id = strndup(prompt.id.text, prompt.id.bytes);
	q->prompt = prompt.text.text ? strndup(prompt.text.text, prompt.text.bytes) : NULL;
	q->text = trace_question_hash(hashed->text, hashed->bytes);
	q->candidate = calloc(r->trace.candidates, sizeof(*q->candidate));
	return q->id && q->candidate && (q->prompt || !prompt.text.text) ? 0
									 : param_fail(-ENOMEM, why, "out of memory");
}

/* Whether every candidate came to its end; those that a settled prompt did not need any more have no token. */
static bool is_over(const struct reading *r)
{
	for (uint32_t i = 0; i < r->trace.candidates; i++) {
		if (r->growing[i].state == OPEN || (r->growing[i].state == WAITING && !r->is_settled))
			return false;
		r->question.candidate[i].is_there = true;
	}
	return true;
}

static int keep_question(struct reading *r)
{
	struct trace *t = &r->trace;

	if (t->questions == r->questions_room) {
		if (!grow(&t->question, sizeof(*t->question), 2 * r->questions_room + 64))
			return -ENOMEM;
		r->questions_room = 2 * r->questions_room + 64;
	}
	t->question[t->questions++] = r->question;
	r->question = (struct trace_question){0};
	return 0;
}

/* Whether its steps have labels: all but the last, which ends with the candidate. */
static bool has_labels(const struct trace_candidate *c)
{
	bool has = false;

	for (uint32_t i = 0; i < c->tokens; i++) {
		has |= c->so_far[i] >= 0;
		if (c->ends_step[i] && c->so_far[i] < 0 && i + 1 < c->tokens)
			return false;
	}
	return has;
}

static int take_choice(struct reading *r, const struct journal_frame *frame, char *why)
{
	int err = journal_read_choice(frame, r->trace.candidates, &r->choice);

	if (err)
		return journal_fail(&r->reader, frame, why);
	for (uint32_t i = 0; i < r->choice.texts && !err; i++) {
		struct trace_candidate *c = &r->question.candidate[i];

		c->has_steps = has_labels(c);
		c->is_labelled = r->choice.label[i] != JOURNAL_UNKNOWN;
		c->is_right = c->is_finished && r->choice.label[i] == JOURNAL_RIGHT;
		if (r->choice.text[i].text && !(c->text = strndup(r->choice.text[i].text, r->choice.text[i].bytes)))
			err = -ENOMEM;
	}
	if (!err && is_over(r)) {
		err = keep_question(r);
	} else if (!err) {
		r->trace.unfinished++;
		drop_question(r);
	}
	return err ? param_fail(err, why, "out of memory") : 0;
}

static int take_header(struct reading *r, const struct journal_frame *frame, char *why)
{
	char what[VETO_WHY_MAX];
	int err = trace_read_header((const char *)frame->data, frame->bytes, "journal", &r->trace, what);

	if (err)
		return param_fail(err, why, "'%s': its header: %s", r->reader.name, what);
	r->growing = calloc(r->trace.candidates, sizeof(*r->growing));
	r->choice.text = calloc(r->trace.candidates, sizeof(*r->choice.text));
	r->choice.label = calloc(r->trace.candidates, 1);
	return r->growing && r->choice.text && r->choice.label ? 0 : param_fail(-ENOMEM, why, "out of memory");
}

static int take_frame(struct reading *r, const struct journal_frame *frame, char *why)
{
	switch (frame->kind) {
	case JOURNAL_HEADER:
		return take_header(r, frame, why);
	case JOURNAL_PROMPT:
		return take_prompt(r, frame, why);
	case JOURNAL_ROUND:
		return take_round(r, frame, why);
	case JOURNAL_CHOICE:
		return take_choice(r, frame, why);
	default:
		return 0;
	}
}

int recording_read_journal(const char *path, struct trace *out, char *why)
{
	struct reading r = {.questions_room = 0};
	struct journal_frame frame;
	int err = journal_open(path, &r.reader, why);

	if (err)
		return err;
	while (!err) {
		err = journal_next(&r.reader, &frame, why);
		if (!err)
			err = take_frame(&r, &frame, why);
	}
	err = err == -ENODATA ? 0 : err;
	r.trace.unfinished += r.question.id != NULL;
	drop_question(&r);
	if (!err && trace_keep_map(&r.trace, &r.reader.map)) /* the states are in it */
		err = param_fail(-ENOMEM, why, "out of memory");
	if (!err)
		r.reader.map.data = NULL;
	if (!err)
		err = trace_complete(&r.trace, path, why);
	journal_shut(&r.reader);
	free(r.growing);
	free(r.choice.text);
	free(r.choice.label);
	if (err)
		trace_free(&r.trace);
	else
		*out = r.trace;
	return err;
}
