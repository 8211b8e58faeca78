/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: rows and states become scores, and these events of a session. */
#include "stream.h"
#include "clock.h"
#include "policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Give rows to the device, and reap while it has no room. */
static int give(struct veto_stream *s, const struct veto_rows *rows, const struct veto_results *out, struct pending *p)
{
	const uint64_t tag = (uintptr_t)p | (rows->kind == VETO_HIDDEN ? OF_STATE : 0);
	struct veto_device *dev = s->verifier->dev;
	int err;

	err = veto_device_submit(dev, rows, out, tag);
	while (err == -EAGAIN) {
		err = verifier_reap(s->verifier, -1);
		if (!err)
			err = veto_device_submit(dev, rows, out, tag);
	}
	s->unscored += err == 0;
	return err;
}

static int submit_row(struct veto_stream *s, struct pending *p, const void *row)
{
	const struct veto_rows rows = stream_rows(s, row, &p->event.token);
	const struct veto_results out = {.score = &p->event.score,
		.record = s->info.table || s->info.seen ? &p->record : NULL,
		.top_id = s->info.seen ? p->top_id : NULL};
	const int err = give(s, &rows, &out, p);

	s->counts.rows += err == 0;
	return err;
}

/* is_table: for self-certainty, else for the reward. */
static int submit_state(struct veto_stream *s, struct pending *p, bool is_table)
{
	const struct veto_head_info *head = veto_head_info(is_table ? s->info.table : s->info.head);
	const struct veto_rows rows = {.kind = VETO_HIDDEN,
		.format = VETO_FP32,
		.rows = 1,
		.cols = head->cols,
		.stride_bytes = head->cols * sizeof(float),
		.data = p->state,
		.token = &p->event.token,
		.token_logp_q20 = &p->logp_q20,
		.head = is_table ? s->table : s->head};
	struct veto_results out = {
		.score = is_table ? &p->tabled : &p->hidden, .head_q16 = is_table ? NULL : p->head_q16};
	int err;

	p->hidden.flags |= is_table ? 0 : VETO_BAD_STATE; /* and so it stays if the job fails */
	err = give(s, &rows, &out, p);
	s->counts.states += err == 0;
	return err;
}

/* Whether a rule looks at the reward of a candidate's tokens up to this one. */
static bool is_rung(const struct veto_stream *s, const struct follower *f)
{
	for (uint32_t i = 0; i < s->info.rules; i++)
		if (policy_reads(&s->rule[i], VETO_REWARD) && policy_has_rung(&s->rule[i], f->tokens, f->step_tokens))
			return true;
	return false;
}

/* Count the token, and see whether its state is to be scored. */
static void follow(struct veto_stream *s, struct pending *p, const struct veto_payload *payload)
{
	const bool has_state = payload && payload->state;
	const struct veto_head *head = s->info.head;
	struct follower *f;

	if (p->event.kind != VETO_TOKEN || p->event.candidate >= s->info.candidates)
		return;
	f = &s->follower[p->event.candidate];
	f->tokens++;
	f->step_tokens++;
	p->wants_reward = head && (has_state || !head_reads_states(head)) && (p->event.ends_step || is_rung(s, f));
	p->state = has_state && (p->wants_reward || s->info.table) ? payload->state : NULL;
	if (p->event.ends_step)
		f->step_tokens = 0;
}

int veto_stream_push(struct veto_stream *s, const struct veto_event *event, const struct veto_payload *payload)
{
	struct pending *p = s->idle ? s->idle : malloc(sizeof(*p));
	int err = 0;

	if (!p)
		return -ENOMEM;
	if (p == s->idle)
		s->idle = p->next;
	*p = (struct pending){.stream = s, .event = *event};
	if (payload) {
		p->payload = *payload;
		p->has_payload = true;
	}
	follow(s, p, payload);
	if (payload && payload->row) {
		memset(&p->event.score, 0, sizeof(p->event.score)); /* and so it stays if the job fails */
		err = submit_row(s, p, payload->row);
	}
	if (!err && p->wants_reward && head_reads_states(s->info.head))
		err = submit_state(s, p, false);
	if (err) {
		p->next = s->idle;
		s->idle = p;
		return err;
	}
	*s->end = p;
	s->end = &p->next;
	return 0;
}

/* Of a token: the reward of the steps so far, this one as far as it has come. */
static void take_reward(struct veto_stream *s, struct pending *p)
{
	struct follower *f = &s->follower[p->event.candidate];
	struct head_steps steps = f->steps;
	int64_t value;

	statistics_add(&f->statistics, &p->event.score, p->event.ends_step);
	s->counts.failed_states += p->hidden.flags != 0;
	if (!p->wants_reward || p->hidden.flags || !head_add_statistics(s->info.head, &f->statistics, p->head_q16))
		return;
	value = head_add_step(s->info.head, &steps, p->head_q16);
	if (p->event.ends_step)
		f->steps = steps;
	p->event.score.has |= 1u << VETO_REWARD;
	p->event.score.field[VETO_REWARD] = (struct veto_interval){value, value};
}

/* The table's self-certainty, or none, in place of that of the logits. */
static void take_certainty(struct veto_stream *s, struct pending *p)
{
	struct veto_interval *field = &p->event.score.field[VETO_SELF_CERTAINTY];
	const int64_t value = p->tabled.field[VETO_SELF_CERTAINTY].low;
	uint64_t difference;

	if (!(p->tabled.has >> VETO_SELF_CERTAINTY & 1)) {
		p->event.score.has &= ~(1u << VETO_SELF_CERTAINTY);
		s->counts.failed_states++;
		return;
	}
	if (p->event.score.has >> VETO_SELF_CERTAINTY & 1) {
		difference = (uint64_t)(value > field->low ? value - field->low : field->low - value);
		s->counts.compared++;
		s->counts.difference_sum += difference;
		if (difference > s->counts.difference_most)
			s->counts.difference_most = difference;
	}
	p->event.score.has |= 1u << VETO_SELF_CERTAINTY;
	*field = (struct veto_interval){value, value};
}

static void show(const struct veto_stream *s, const struct pending *p)
{
	const bool is_scored = p->payload.row && (p->event.score.has || p->event.score.flags);
	const struct veto_seen seen = {.event = &p->event,
		.payload = p->has_payload ? &p->payload : NULL,
		.record = is_scored ? &p->record : NULL,
		.top_id = is_scored && s->info.top_k > 0 ? p->top_id : NULL};

	if (s->info.seen)
		s->info.seen(s->info.seen_arg, &seen);
}

/* Give the events to the session, in their order. */
static int fold(struct veto_stream *s)
{
	int err = 0;

	while (s->first) {
		struct pending *p = s->first;
		int refused;

		if (p->state && s->info.table)
			take_certainty(s, p);
		if (s->info.head && p->event.kind == VETO_TOKEN && p->event.candidate < s->info.candidates)
			take_reward(s, p);
		refused = veto_session_push(s->session, &p->event);
		if (refused)
			err = refused;
		else
			show(s, p);
		if (!refused && p->event.kind == VETO_TOKEN) {
			s->follower[p->event.candidate].last = p->event.score;
			s->follower[p->event.candidate].has_last = true;
		}
		s->first = p->next;
		p->next = s->idle;
		s->idle = p;
	}
	s->end = &s->first;
	s->has_tabled = false;
	return err;
}

/* Reap until every row of the round is scored; once the time is over, only what has finished. */
static int reap_round(struct veto_stream *s, int64_t timeout_ns)
{
	uint64_t start = clock_ns();
	int64_t left = timeout_ns;
	int err = 0;

	while (s->unscored > 0 && !err) {
		err = verifier_reap(s->verifier, left);
		if (timeout_ns < 0)
			continue;
		left = timeout_ns - (int64_t)(clock_ns() - start);
		if (left <= 0 && s->unscored > 0 && !veto_device_has_finished(s->verifier->dev))
			return -EAGAIN;
		left = left > 0 ? left : 0;
	}
	return err;
}

/* Whether the token's log-probability is of all tokens and of the logits as they were: a table's score counts on both. */
static bool has_whole_row(const struct veto_stream *s, const struct pending *p)
{
	return p->event.score.has >> VETO_TOKEN_LOGP & 1 && p->record.cnt == s->info.vocab && p->record.n_sat == 0;
}

/* Behind the rows: a table needs their tokens' log-probabilities. */
static int submit_tabled(struct veto_stream *s)
{
	int err = 0;

	if (!s->info.table || s->has_tabled)
		return 0;
	s->has_tabled = true;
	for (struct pending *p = s->first; p && !err; p = p->next) {
		if (!p->state)
			continue;
		p->logp_q20 = has_whole_row(s, p) ? p->event.score.field[VETO_TOKEN_LOGP].low : VETO_NO_LOGP;
		err = submit_state(s, p, true);
	}
	return err;
}

int veto_stream_round(struct veto_stream *s, int64_t timeout_ns)
{
	const uint64_t start = clock_ns();
	int64_t left;
	int err = reap_round(s, timeout_ns);

	if (!err)
		err = submit_tabled(s);
	if (!err && s->unscored > 0) {
		left = timeout_ns - (int64_t)(clock_ns() - start);
		err = reap_round(s, timeout_ns < 0 ? timeout_ns : left > 0 ? left : 0);
	}
	if (err)
		return err;
	err = fold(s);
	veto_session_round(s->session);
	return err;
}

bool veto_stream_next(struct veto_stream *s, struct veto_verdict *out)
{
	if (!veto_session_next(s->session, out))
		return false;
	if (out->kind == VETO_FORK)
		s->follower[out->candidate] = s->follower[out->from];
	return true;
}

const struct veto_score *veto_stream_score(const struct veto_stream *s, uint32_t candidate)
{
	return candidate < s->info.candidates && s->follower[candidate].has_last ? &s->follower[candidate].last : NULL;
}

struct veto_stream_counts veto_stream_counts(const struct veto_stream *s) { return s->counts; }

struct veto_session *veto_stream_session(struct veto_stream *s) { return s->session; }
