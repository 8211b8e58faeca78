/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: events fold into state, rules judge it at the end of a round. */
#include "param.h"
#include "policy.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SCORE_LIMIT (1LL << 40)
#define BYTES_MAX (1ULL << 32)

struct veto_session {
	struct board board;
	size_t bytes, entries;
	uint32_t cursor; /* where veto_session_next() goes on */
	bool has_new; /* a candidate finished in this round */
	_Alignas(16) char memory[]; /* everything that the board points to */
};

static_assert(sizeof(struct veto_session) <= VETO_SESSION_FIXED_BYTES, "the bound in veto.h");
static_assert(sizeof(struct candidate) + sizeof(struct veto_interval) + 2 * sizeof(int64_t) +
			      VETO_RULES_MAX * (sizeof(struct cell) + sizeof(uint32_t)) <=
		      1024,
	"the bound in veto.h");

/* Order by place in the table, then by values: so the caller's order does not matter. */
static int compare_rules(const struct rule *a, const struct rule *b)
{
	if (a->policy != b->policy)
		return a->policy < b->policy ? -1 : 1;
	return memcmp(&a->rule.values, &b->rule.values, sizeof(a->rule.values));
}

static void insert_rule(struct board *b, const struct veto_rule *rule, uint32_t index)
{
	struct rule new = {
		.rule = *rule,
		.policy = (const struct policy *)rule->policy,
		.index = index,
		.field = (uint32_t)policy_value(rule, "score", veto_rule_asks(rule) ? VETO_SUBSET_FIRST : VETO_FIELDS),
		.min_survivors = (uint32_t)policy_value(rule, "min_survivors", 0),
		.is_shadow = policy_is_shadow(rule),
	};
	uint32_t at = b->rules++;

	static_assert(offsetof(struct policy, face) == 0, "a policy is found from its face");
	for (; at > 0 && compare_rules(&new, &b->rule[at - 1]) < 0; at--)
		b->rule[at] = b->rule[at - 1];
	b->rule[at] = new;
}

static int check_counts(uint32_t rules, uint32_t candidates, uint32_t cohort, uint32_t max_tokens, char *why)
{
	if (rules > VETO_RULES_MAX)
		return param_fail(-EINVAL, why, "%u rules: at most %d", rules, VETO_RULES_MAX);
	if (candidates < 1 || candidates > VETO_CANDIDATES_MAX)
		return param_fail(-EINVAL, why, "%u candidates: 1 to %d", candidates, VETO_CANDIDATES_MAX);
	if (cohort > candidates)
		return param_fail(-EINVAL, why, "a cohort of %u: at most the %u candidates", cohort, candidates);
	if (max_tokens < 1 || max_tokens > VETO_TOKENS_MAX)
		return param_fail(-EINVAL, why, "max_tokens %u: 1 to %u", max_tokens, VETO_TOKENS_MAX);
	return 0;
}

/* The next piece of the session's memory; with base NULL it only counts. */
static void *take(char *base, size_t *used, size_t bytes)
{
	void *at = base ? base + *used : NULL;

	*used += (bytes + 15) & ~(size_t)15;
	return at;
}

/* Give the board its arrays; returns their size. */
static size_t lay_out(struct board *b, char *base)
{
	size_t n = b->candidates;
	size_t used = 0;

	b->candidate = take(base, &used, n * sizeof(*b->candidate));
	b->scratch = take(base, &used, n * sizeof(*b->scratch));
	b->tally = take(base, &used, n * sizeof(*b->tally));
	b->ranking = take(base, &used, b->cohort * sizeof(*b->ranking));
	for (uint32_t i = 0; i < b->rules; i++) {
		struct rule *r = &b->rule[i];

		r->cell = take(base, &used, n * sizeof(*r->cell));
		r->rung = take(base, &used, n * sizeof(*r->rung));
		r->window = take(base, &used, n * r->entries * sizeof(*r->window));
	}
	return used;
}

static void start(struct board *b)
{
	for (uint32_t i = 0; i < b->candidates; i++) {
		b->candidate[i].out_token = b->candidate[i].trip_token = NEVER;
		for (uint32_t j = 0; j < b->rules; j++) {
			b->rule[j].cell[i].token = NEVER;
			b->rule[j].cell[i].lowest = NO_SCORE;
		}
	}
	for (uint32_t j = 0; j < b->rules; j++) {
		struct rule *r = &b->rule[j];

		for (size_t i = 0; i < (size_t)b->candidates * r->entries; i++)
			r->window[i] = (struct veto_interval){NO_SCORE, NO_SCORE};
		if (r->policy->ops->start)
			r->policy->ops->start(b, r);
	}
}

int veto_session_new(const struct veto_rule *rule, uint32_t rules, uint32_t candidates, uint32_t cohort,
	uint32_t max_tokens, struct veto_session **out, char *why)
{
	struct board board = {
		.candidates = candidates, .cohort = cohort ? cohort : candidates, .max_tokens = max_tokens};
	struct veto_session *s;
	size_t bytes;
	int err;

	err = check_counts(rules, candidates, cohort, max_tokens, why);
	for (uint32_t i = 0; i < rules && !err; i++) {
		const struct policy_ops *ops = ((const struct policy *)rule[i].policy)->ops;

		err = policy_check(&rule[i], why);
		if (!err && ops->fit)
			err = ops->fit(&rule[i].values, candidates, why);
		insert_rule(&board, &rule[i], i);
	}
	if (!err)
		err = board_check(&board, why);
	if (err)
		return err;
	for (uint32_t i = 0; i < rules; i++)
		if (board.rule[i].policy->ops->entries)
			board.rule[i].entries =
				board.rule[i].policy->ops->entries(&board.rule[i].rule.values, max_tokens);
	bytes = sizeof(*s) + lay_out(&board, NULL);
	if (bytes > BYTES_MAX)
		return param_fail(-EINVAL, why,
			"the rules' windows need %zu bytes for %u candidates of %u tokens: at most %llu", bytes,
			candidates, max_tokens, BYTES_MAX);
	s = calloc(1, bytes);
	if (!s)
		return param_fail(-ENOMEM, why, "no memory for a session of %zu bytes", bytes);
	s->board = board;
	s->bytes = bytes;
	lay_out(&s->board, s->memory);
	start(&s->board);
	for (uint32_t i = 0; i < rules; i++)
		s->entries += (size_t)candidates * board.rule[i].entries;
	*out = s;
	return 0;
}

void veto_session_free(struct veto_session *s) { free(s); }

size_t veto_session_bytes(const struct veto_session *s, size_t *window_entries)
{
	if (window_entries)
		*window_entries = s->entries;
	return s->bytes;
}

bool veto_session_may_start(const struct veto_session *s, uint32_t candidate)
{
	const struct board *b = &s->board;

	if (candidate >= b->candidates || b->candidate[candidate].state != VETO_WAITING)
		return false;
	for (uint32_t i = 0; i < b->rules && !b->candidate[candidate].is_protected; i++)
		if (b->rule[i].policy->ops->freeze && !b->rule[i].is_frozen)
			return false;
	return true;
}

bool veto_session_may_go_on(const struct veto_session *s, uint32_t candidate)
{
	return candidate < s->board.candidates && s->board.candidate[candidate].state == VETO_LIVE &&
	       !s->board.candidate[candidate].is_held;
}

static bool is_score_valid(const struct veto_score *score)
{
	for (int i = 0; i < VETO_FIELDS; i++) {
		const struct veto_interval *v = &score->field[i];
		const int64_t limit =
			strcmp(veto_fields[i].unit, "q31") == 0 ? SCORE_LIMIT << 11 : SCORE_LIMIT; /* as Q20 */

		if (!(score->has >> i & 1))
			continue;
		if (v->low < -limit || v->low > limit || v->high < v->low || (v->high > limit && v->high != NO_BOUND))
			return false;
	}
	return true;
}

static int push_token(struct veto_session *s, struct candidate *c, const struct veto_event *event)
{
	const struct veto_score *score = &event->score;
	struct board *b = &s->board;

	if ((c->state != VETO_LIVE && c->state != VETO_OUT) || c->tokens == b->max_tokens || !is_score_valid(score))
		return -EINVAL;
	if (c->state == VETO_LIVE && c->is_held)
		return -EINVAL;
	if (c->ends_step)
		c->step_start = c->tokens;
	c->ends_step = event->ends_step;
	c->token = event->token;
	c->marks = event->marks;
	c->tokens++;
	c->unusable += score->has == 0 || score->flags & (VETO_NAN | VETO_SATURATED | VETO_EMPTY);
	for (uint32_t i = 0; i < b->rules; i++)
		if (b->rule[i].policy->ops->token)
			b->rule[i].policy->ops->token(b, &b->rule[i], (uint32_t)(c - b->candidate), score);
	return 0;
}

/* Where the caller's rule stands; board.rules: nowhere. */
static uint32_t rule_find(const struct board *b, uint32_t index)
{
	uint32_t i = 0;

	while (i < b->rules && b->rule[i].index != index)
		i++;
	return i;
}

/* A rule's question is answered, of which there is one at a time.  The candidate may have ended meanwhile. */
static int push_reply(struct veto_session *s, struct candidate *c, const struct veto_event *event)
{
	struct board *b = &s->board;
	const uint32_t at = rule_find(b, event->rule), candidate = (uint32_t)(c - b->candidate);
	struct rule *r = &b->rule[at];
	struct veto_interval yes;

	if (at == b->rules || !r->policy->ops->reply || !r->cell[candidate].asked || !is_score_valid(&event->score))
		return -EINVAL;
	yes = policy_read(&event->score, VETO_SUBSET_FIRST);
	if (yes.low != NO_SCORE && c->state == VETO_LIVE)
		r->policy->ops->reply(b, r, candidate, yes);
	if (!r->cell[candidate].is_ask_pending)
		r->cell[candidate].asked = 0;
	return 0;
}

static int push_close(struct veto_session *s, struct candidate *c, uint64_t answer)
{
	struct board *b = &s->board;

	if (c->state != VETO_LIVE && c->state != VETO_OUT)
		return -EINVAL;
	c->state = VETO_FINISHED;
	c->has_vote = true;
	c->is_new = s->has_new = true;
	c->answer = answer;
	c->same = (uint32_t)(c - b->candidate);
	for (uint32_t i = 0; i < b->candidates; i++)
		if (&b->candidate[i] != c && b->candidate[i].state == VETO_FINISHED && b->candidate[i].answer == answer)
			c->same = b->candidate[i].same;
	return 0;
}

int veto_session_push(struct veto_session *s, const struct veto_event *event)
{
	struct candidate *c;

	if (event->candidate >= s->board.candidates)
		return -EINVAL;
	c = &s->board.candidate[event->candidate];
	switch (event->kind) {
	case VETO_OPEN:
		if (!veto_session_may_start(s, event->candidate))
			return -EINVAL;
		c->state = VETO_LIVE;
		return 0;
	case VETO_TOKEN:
		return push_token(s, c, event);
	case VETO_CLOSE:
		return push_close(s, c, event->answer);
	case VETO_REPLY:
		return push_reply(s, c, event);
	case VETO_LOST:
		if (c->state == VETO_FINISHED || c->state == VETO_GONE)
			return -EINVAL;
		if (c->state != VETO_OUT)
			c->state = VETO_GONE;
		return 0;
	}
	return -EINVAL;
}

void veto_session_round(struct veto_session *s)
{
	board_judge(&s->board, s->has_new);
	s->has_new = false;
	s->cursor = 0;
}

/* What the rule wants of the candidate besides: what it would have done, a question, or that it ends. */
static bool next_of_rule(const struct board *b, const struct rule *r, uint32_t i, struct veto_verdict *out)
{
	struct cell *cell = &r->cell[i];
	const bool is_live = b->candidate[i].state == VETO_LIVE;

	if (cell->is_shadow_pending) {
		cell->is_shadow_pending = false;
		*out = board_verdict(r, i);
		return true;
	}
	*out = (struct veto_verdict){.candidate = i, .tokens = cell->asked, .rule = r->index};
	if (cell->is_ask_pending && is_live) {
		cell->is_ask_pending = false;
		out->kind = VETO_ASK;
		out->question = cell->question;
		return true;
	}
	out->kind = VETO_COMPLETE;
	out->is_shadow = r->is_shadow;
	out->tokens = cell->token;
	if (!cell->is_complete_pending || !is_live)
		return false;
	cell->is_complete_pending = false;
	return true;
}

/* The candidate's next verdict: what put it out, what it was spared in shadow, and what it became. */
static bool next_of(struct board *b, uint32_t i, struct veto_verdict *out)
{
	struct candidate *c = &b->candidate[i];

	if (c->is_pending) {
		c->is_pending = false;
		*out = c->pending;
		return true;
	}
	for (uint32_t j = 0; j < b->rules; j++)
		if (next_of_rule(b, &b->rule[j], i, out))
			return true;
	if (!c->is_fork_pending)
		return false;
	c->is_fork_pending = false;
	*out = (struct veto_verdict){
		.kind = VETO_FORK, .candidate = i, .tokens = c->tokens, .rule = c->fork_rule, .from = c->from};
	return true;
}

bool veto_session_next(struct veto_session *s, struct veto_verdict *out)
{
	for (; s->cursor < s->board.candidates; s->cursor++)
		if (next_of(&s->board, s->cursor, out))
			return true;
	return false;
}

int veto_session_candidate(const struct veto_session *s, uint32_t candidate, struct veto_candidate_info *out)
{
	const struct candidate *c;

	if (candidate >= s->board.candidates)
		return -EINVAL;
	c = &s->board.candidate[candidate];
	*out = (struct veto_candidate_info){
		.state = c->state,
		.votes = c->has_vote,
		.tokens = c->tokens,
		.unusable = c->unusable,
		.answer = c->answer,
	};
	return 0;
}

bool veto_session_is_done(const struct veto_session *s)
{
	for (uint32_t i = 0; i < s->board.candidates; i++)
		if (s->board.candidate[i].state == VETO_LIVE || s->board.candidate[i].state == VETO_WAITING)
			return false;
	return true;
}

int veto_session_threshold(const struct veto_session *s, uint32_t rule, int64_t *out)
{
	uint32_t i = rule_find(&s->board, rule);
	const struct rule *r = &s->board.rule[i];

	if (i == s->board.rules || !r->policy->ops->freeze)
		return -EINVAL;
	if (!r->is_frozen)
		return -EAGAIN;
	if (!r->has_threshold)
		return -ENODATA;
	*out = r->threshold;
	return 0;
}

int veto_session_select(struct veto_session *s, uint32_t rule, struct veto_choice *out)
{
	uint32_t i = rule_find(&s->board, rule);

	if (i == s->board.rules || !s->board.rule[i].policy->ops->select)
		return -EINVAL;
	return s->board.rule[i].policy->ops->select(&s->board, &s->board.rule[i], out);
}
