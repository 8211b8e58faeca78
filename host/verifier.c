/* SPDX-License-Identifier: Apache-2.0 */
/* The one place where devices and sessions meet. */
#include "clock.h"
#include "head.h"
#include "param.h"
#include "policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OF_STATE 1u /* in a job's tag, beside the address of what it is for */

struct veto_verifier {
	struct veto_device *dev;
	const struct veto_head *head[VETO_HEADS_MAX]; /* loaded, by slot */
};

/* An event of the round, with what the device writes about it. */
struct pending {
	struct veto_stream *stream;
	struct pending *next;
	struct veto_event event;
	struct veto_payload payload;
	bool has_payload;
	const float *state; /* NULL: not wanted */
	bool wants_reward;
	struct veto_record record; /* of the row */
	int64_t logp_q20; /* for a table */
	struct veto_score hidden, tabled; /* of the state, by the head and by the table */
	int32_t head_q16[VETO_HEAD_OUTPUTS_MAX];
	uint32_t top_id[VETO_TOP_MAX]; /* likeliest tokens, for who sees the events */
};

/* What a stream knows of a candidate besides its session. */
struct follower {
	uint32_t tokens, step_tokens; /* pushed, and of them those of its step */
	bool has_last;
	struct veto_score last;
	struct head_steps steps;
	struct statistics statistics;
};

struct veto_stream {
	struct veto_verifier *verifier;
	struct veto_session *session;
	struct veto_stream_info info;
	struct veto_rule *rule; /* [info.rules] */
	uint32_t subset[VETO_SUBSET_MAX];
	struct pending *first, **end, *idle;
	uint32_t unscored; /* of the round's rows and states, those still with the device */
	uint32_t head, table; /* slots */
	bool has_tabled; /* the round's states for the table are with the device, or scored */
	struct follower *follower; /* [candidates] */
	struct veto_stream_counts counts;
};

int veto_verifier_open(const char *uri, struct veto_verifier **out, char *why)
{
	struct veto_verifier *v = calloc(1, sizeof(*v));
	int err;

	if (!v)
		return param_fail(-ENOMEM, why, "out of memory");
	err = veto_device_open(uri, &v->dev, why);
	if (err) {
		free(v);
		return err;
	}
	*out = v;
	return 0;
}

void veto_verifier_close(struct veto_verifier *v)
{
	if (!v)
		return;
	veto_device_close(v->dev);
	free(v);
}

const char *veto_verifier_trouble(const struct veto_verifier *v) { return veto_device_trouble(v->dev); }

const struct veto_device_info *veto_verifier_info(const struct veto_verifier *v) { return veto_device_info(v->dev); }

static struct veto_rows rows_of(const struct veto_stream *s, const void *row, const uint32_t *token)
{
	return (struct veto_rows){
		.format = s->info.format,
		.rows = row ? 1 : 0,
		.cols = s->info.vocab,
		.stride_bytes = s->info.vocab * veto_format_bytes(s->info.format),
		.data = row,
		.token = token,
		.subset = s->subset,
		.subset_tokens = s->info.subset_tokens,
		.top_k = s->info.top_k,
	};
}

/* The slot of a head on the device, loaded if it is not. */
static int find_slot(struct veto_verifier *v, const struct veto_head *head, uint32_t *slot, char *why)
{
	int err;

	for (*slot = 0; *slot < VETO_HEADS_MAX; ++*slot)
		if (v->head[*slot] == head)
			return 0;
	err = veto_device_load(v->dev, head, slot, why);
	if (!err)
		v->head[*slot] = head;
	return err;
}

/* That the states are those that the head was made for. */
static int check_source(const struct veto_stream_info *info, const struct veto_head *head, char *why)
{
	const struct veto_head_info *h = veto_head_info(head);

	if (h->cols && info->tap && strcmp(info->tap, h->tap) != 0)
		return param_fail(-EINVAL, why, "the head %s reads the state %s, and this source gives %s", h->shape,
			h->tap, info->tap);
	if (info->backbone && strcmp(h->backbone, "any") != 0 && strcmp(info->backbone, h->backbone) != 0)
		return param_fail(-EINVAL, why, "the head %s is for the states of the model %s, and these are of %s",
			h->shape, h->backbone, info->backbone);
	if (head_reads_fields(head) >> VETO_TOPK_CONFIDENCE & 1 && !info->top_k)
		return param_fail(-EINVAL, why, "the head %s counts on topk_confidence: a top_k is needed", h->shape);
	return 0;
}

static int open_heads(struct veto_stream *s, char *why)
{
	const struct veto_stream_info *info = &s->info;
	int err = 0;

	if (info->head && veto_head_info(info->head)->kind != VETO_HEAD_DENSE)
		return param_fail(-EINVAL, why, "a table gives no rewards");
	if (info->table && veto_head_info(info->table)->kind != VETO_HEAD_SCH)
		return param_fail(-EINVAL, why, "a head that is no table gives no self-certainty");
	if (info->table && veto_head_info(info->table)->vocab != info->vocab)
		return param_fail(-EINVAL, why, "the table is of %u tokens, and the rows are of %u",
			veto_head_info(info->table)->vocab, info->vocab);
	if (info->head && !(err = check_source(info, info->head, why)) && head_reads_states(info->head))
		err = find_slot(s->verifier, info->head, &s->head, why);
	if (!err && info->table && !(err = check_source(info, info->table, why)))
		err = find_slot(s->verifier, info->table, &s->table, why);
	return err;
}

/* A job without rows shows whether the device takes such rows at all. */
static int check_rows(struct veto_stream *s, char *why)
{
	struct veto_rows rows = rows_of(s, NULL, NULL);
	struct veto_results none = {0};
	int err = veto_device_score(s->verifier->dev, &rows, &none);

	if (err && err != -EBUSY)
		return param_fail(err, why,
			"%s can't score %s rows of %u logits (1 to %u) with top_k %u and a subset of %u",
			veto_device_info(s->verifier->dev)->uri,
			s->info.format < VETO_FORMATS ? veto_format_names[s->info.format] : "unknown", s->info.vocab,
			VETO_VOCAB_MAX, s->info.top_k, s->info.subset_tokens);
	return 0;
}

/* The scores that rows of the stream have. */
static uint32_t fields_of(const struct veto_stream_info *info)
{
	return ~((info->top_k ? 0 : 1u << VETO_TOPK_CONFIDENCE) | (info->head ? 0 : 1u << VETO_REWARD) |
		 (info->subset_tokens ? 0 : 1u << VETO_SUBSET_FIRST | 1u << VETO_SUBSET_MASS) | 1u << VETO_SC_LOWER);
}

/* Whether a rule looks at the reward of a candidate's tokens up to this one. */
static bool is_rung(const struct veto_stream *s, const struct follower *f)
{
	for (uint32_t i = 0; i < s->info.rules; i++)
		if (policy_reads(&s->rule[i], VETO_REWARD) && policy_has_rung(&s->rule[i], f->tokens, f->step_tokens))
			return true;
	return false;
}

int veto_stream_open(struct veto_verifier *v, const struct veto_stream_info *info, struct veto_stream **out, char *why)
{
	struct veto_stream *s;
	int err;

	if (info->subset_tokens > VETO_SUBSET_MAX || (info->subset_tokens > 0 && !info->subset))
		return param_fail(-EINVAL, why, "a subset of %u tokens%s: at most %d", info->subset_tokens,
			info->subset ? "" : " without ids", VETO_SUBSET_MAX);
	s = calloc(1, sizeof(*s));
	if (!s)
		return param_fail(-ENOMEM, why, "out of memory");
	s->verifier = v;
	s->info = *info;
	s->end = &s->first;
	if (info->subset_tokens)
		memcpy(s->subset, info->subset, info->subset_tokens * sizeof(*s->subset));
	s->follower = calloc(info->candidates + 1, sizeof(*s->follower));
	s->rule = calloc(info->rules + 1, sizeof(*s->rule));
	err = s->follower && s->rule ? check_rows(s, why) : param_fail(-ENOMEM, why, "out of memory");
	if (!err)
		err = open_heads(s, why);
	for (uint32_t i = 0; i < info->rules && !err; i++) {
		/* A score that no row has would leave its rule without effect. */
		err = param_check_fields(
			&info->rule[i], fields_of(info), "the rows of this stream come without that score", why);
		if (!err && policy_asks(&info->rule[i]) && !(info->is_asked && info->subset_tokens == 2))
			err = param_fail(
				-EINVAL, why, "%s: this source does not answer questions", info->rule[i].policy->name);
		s->rule[i] = info->rule[i];
	}
	s->info.rule = s->rule;
	if (!err)
		err = veto_session_new(
			info->rule, info->rules, info->candidates, info->cohort, info->max_tokens, &s->session, why);
	if (err) {
		veto_stream_close(s);
		return err;
	}
	*out = s;
	return 0;
}

static int reap(struct veto_verifier *v, int64_t timeout_ns)
{
	struct veto_done done;
	struct pending *p;
	int err;

	err = veto_device_reap(v->dev, timeout_ns, &done);
	if (err)
		return err;
	p = (struct pending *)(uintptr_t)(done.tag & ~(uint64_t)OF_STATE);
	p->stream->unscored--;
	p->stream->counts.device_ns += done.device_ns;
	p->stream->counts.failed_rows += done.status != 0 && !(done.tag & OF_STATE);
	return 0;
}

static void free_list(struct pending *p)
{
	for (struct pending *next; p; p = next) {
		next = p->next;
		free(p);
	}
}

void veto_stream_close(struct veto_stream *s)
{
	if (!s)
		return;
	while (s->unscored > 0 && reap(s->verifier, -1) == 0)
		;
	free_list(s->first);
	free_list(s->idle);
	veto_session_free(s->session);
	free(s->follower);
	free(s->rule);
	free(s);
}

/* Give rows to the device, and reap while it has no room. */
static int give(struct veto_stream *s, const struct veto_rows *rows, const struct veto_results *out, struct pending *p)
{
	const uint64_t tag = (uintptr_t)p | (rows->kind == VETO_HIDDEN ? OF_STATE : 0);
	struct veto_device *dev = s->verifier->dev;
	int err;

	err = veto_device_submit(dev, rows, out, tag);
	while (err == -EAGAIN) {
		err = reap(s->verifier, -1);
		if (!err)
			err = veto_device_submit(dev, rows, out, tag);
	}
	s->unscored += err == 0;
	return err;
}

static int submit_row(struct veto_stream *s, struct pending *p, const void *row)
{
	const struct veto_rows rows = rows_of(s, row, &p->event.token);
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
		if (p->event.kind == VETO_TOKEN && p->event.candidate < s->info.candidates)
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
		err = reap(s->verifier, left);
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
