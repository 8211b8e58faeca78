/* SPDX-License-Identifier: Apache-2.0 */
/* Judges journals again. */
#include "replay.h"
#include "param.h"
#include "trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct replayer {
	struct journal_reader *reader;
	void (*differs)(void *arg, const char *text);
	void *arg;
	struct replay *out;
	struct trace header;
	struct veto_rule rule[VETO_RULES_MAX];
	uint32_t rules; /* the last one selects, if has_select */
	bool has_select;
	char *id; /* of the prompt */
	struct veto_session *session; /* NULL: between prompts */
	struct journal_choice choice; /* with room for all candidates */
};

static void say_different(struct replayer *p, const struct journal_frame *frame, const char *was, const char *is)
{
	char text[VETO_WHY_MAX];

	p->out->different++;
	snprintf(text, sizeof(text), "prompt '%.60s', byte %zu: the journal says %s, and it is %s", p->id,
		frame->offset, was, is);
	p->differs(p->arg, text);
}

static int read_header(struct replayer *p, const struct journal_frame *frame, char *why)
{
	char what[VETO_WHY_MAX];
	int err = trace_read_header((const char *)frame->data, frame->bytes, "journal", &p->header, what);

	if (!err)
		err = veto_rules_parse(p->header.policy ? p->header.policy : "none", p->rule, &p->rules, what);
	if (!err && p->header.select && p->rules == VETO_RULES_MAX)
		err = param_fail(-EINVAL, what, "more than %d rules", VETO_RULES_MAX);
	if (!err && p->header.select) {
		err = veto_rule_parse(p->header.select, &p->rule[p->rules++], what);
		p->has_select = true;
	}
	if (err)
		return param_fail(err, why, "'%s': its header: %s", p->reader->name, what);
	p->choice.text = calloc(p->header.candidates, sizeof(*p->choice.text));
	p->choice.label = calloc(p->header.candidates, 1);
	return p->choice.text && p->choice.label ? 0 : param_fail(-ENOMEM, why, "out of memory");
}

static int open_prompt(struct replayer *p, const struct journal_frame *frame, char *why)
{
	const struct trace *h = &p->header;
	struct journal_prompt prompt;
	char what[VETO_WHY_MAX];
	int err;

	if (journal_read_prompt(frame, &prompt))
		return journal_fail(p->reader, frame, why);
	free(p->id);
	p->id = strndup(prompt.id.text, prompt.id.bytes);
	if (!p->id)
		return param_fail(-ENOMEM, why, "out of memory");
	p->out->prompts++;
	err = veto_session_new(p->rule, p->rules, h->candidates, h->cohort, h->max_tokens, &p->session, what);
	return err ? param_fail(err, why, "'%s': its rules: %s", p->reader->name, what) : 0;
}

static void print_verdict(const struct veto_verdict *v, char *text, size_t bytes)
{
	static const char *const names[] = {[VETO_REJECT] = "REJECT",
		[VETO_SETTLED] = "SETTLED",
		[VETO_FORK] = "FORK",
		[VETO_ASK] = "ASK",
		[VETO_COMPLETE] = "COMPLETE"};

	snprintf(text, bytes,
		"%s%s of candidate %u at token %u by rule %u (score %" PRId64 ", threshold %" PRId64 ", from %u)",
		v->is_shadow ? "shadow " : "", names[v->kind], v->candidate, v->tokens, v->rule, v->score, v->threshold,
		v->from);
}

static bool is_same(const struct veto_verdict *a, const struct veto_verdict *b)
{
	return a->kind == b->kind && a->is_shadow == b->is_shadow && a->candidate == b->candidate &&
	       a->tokens == b->tokens && a->rule == b->rule && a->field == b->field && a->from == b->from &&
	       a->question == b->question && a->score == b->score && a->threshold == b->threshold;
}

static void compare_verdicts(struct replayer *p, const struct journal_frame *frame, struct journal_cursor *cursor)
{
	struct veto_verdict was, is;
	bool has_was, has_is;

	do {
		char was_text[160] = "nothing more", is_text[160] = "nothing more";

		has_was = journal_next_verdict(cursor, &was);
		has_is = veto_session_next(p->session, &is);
		p->out->verdicts += has_was;
		if (has_was == has_is && (!has_was || is_same(&was, &is)))
			continue;
		if (has_was)
			print_verdict(&was, was_text, sizeof(was_text));
		if (has_is)
			print_verdict(&is, is_text, sizeof(is_text));
		say_different(p, frame, was_text, is_text);
	} while (has_was || has_is);
}

static int replay_round(struct replayer *p, const struct journal_frame *frame, char *why)
{
	struct journal_cursor cursor = journal_round(frame);
	struct journal_event e;

	p->out->rounds++;
	while (journal_next_event(&cursor, &e)) {
		p->out->tokens += e.event.kind == VETO_TOKEN;
		if (veto_session_push(p->session, &e.event))
			return param_fail(-EINVAL, why,
				"'%s': the round at byte %zu has an event that candidate %u can't have",
				p->reader->name, frame->offset, e.event.candidate);
	}
	if (cursor.is_bad)
		return journal_fail(p->reader, frame, why);
	veto_session_round(p->session);
	compare_verdicts(p, frame, &cursor);
	return cursor.is_bad ? journal_fail(p->reader, frame, why) : 0;
}

static void print_choice(bool has, uint32_t candidate, char *text, size_t bytes)
{
	if (has)
		snprintf(text, bytes, "candidate %u as the choice", candidate);
	else
		snprintf(text, bytes, "no choice");
}

static int replay_choice(struct replayer *p, const struct journal_frame *frame, char *why)
{
	const struct journal_choice *choice = &p->choice;
	struct veto_choice again = {0};
	bool has_choice;

	if (journal_read_choice(frame, p->header.candidates, &p->choice))
		return journal_fail(p->reader, frame, why);
	has_choice = p->has_select && veto_session_select(p->session, p->rules - 1, &again) == 0;
	p->out->choices++;
	if (p->has_select &&
		(choice->has_choice != has_choice || (has_choice && choice->candidate != again.candidate))) {
		char was[64], is[64];

		print_choice(choice->has_choice, choice->candidate, was, sizeof(was));
		print_choice(has_choice, again.candidate, is, sizeof(is));
		say_different(p, frame, was, is);
	}
	veto_session_free(p->session);
	p->session = NULL;
	return 0;
}

static int replay_frame(struct replayer *p, const struct journal_frame *frame, char *why)
{
	switch (frame->kind) {
	case JOURNAL_HEADER:
		return read_header(p, frame, why);
	case JOURNAL_PROMPT:
		return open_prompt(p, frame, why);
	case JOURNAL_ROUND:
		return replay_round(p, frame, why);
	case JOURNAL_CHOICE:
		return replay_choice(p, frame, why);
	default:
		return 0;
	}
}

int replay_journal(struct journal_reader *reader, void (*differs)(void *arg, const char *text), void *arg,
	struct replay *out, char *why)
{
	struct replayer p = {.reader = reader, .differs = differs, .arg = arg, .out = out};
	struct journal_frame frame;
	int err = 0;

	*out = (struct replay){0};
	while (!err) {
		err = journal_next(reader, &frame, why);
		if (!err)
			err = replay_frame(&p, &frame, why);
	}
	out->unfinished = p.session != NULL;
	out->torn = reader->torn;
	out->is_whole = reader->is_whole;
	veto_session_free(p.session);
	trace_free(&p.header);
	free(p.choice.text);
	free(p.choice.label);
	free(p.id);
	return err == -ENODATA ? 0 : err;
}
