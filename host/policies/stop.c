/* SPDX-License-Identifier: Apache-2.0 */
/* consensus, adaptive-consistency and esc: when the finished answers settle the prompt. */
#include "param.h"
#include "policy.h"

#include <errno.h>
#include <string.h>

enum { CONSENSUS_THRESHOLD, CONSENSUS_MIN_ANSWERS, CONSENSUS_WEIGHT, CONSENSUS_SCORE };
enum { WEIGHT_SCORE, WEIGHT_NONE };

static const char *const weight_names[] = {"score", "none", NULL};

const struct veto_param consensus_params[] = {
	[CONSENSUS_THRESHOLD] = {.name = "threshold",
		.help = "share of the votes that settles",
		.type = VETO_PARAM_RATIO,
		.fallback = 996147 /* 0.95 */,
		.low = ONE_Q20 / 2,
		.high = ONE_Q20},
	[CONSENSUS_MIN_ANSWERS] = {.name = "min_answers",
		.help = "finished answers before the first test",
		.type = VETO_PARAM_COUNT,
		.fallback = 3,
		.low = 1,
		.high = VETO_CANDIDATES_MAX},
	[CONSENSUS_WEIGHT] = {.name = "weight",
		.help = "what a vote weighs: the candidate's mean score, or 1",
		.type = VETO_PARAM_CHOICE,
		.choices = weight_names},
	[CONSENSUS_SCORE] = SCORE_PARAM("score that weighs; one that is never negative", VETO_TOPK_CONFIDENCE),
	{0},
};

enum { ADAPTIVE_THRESHOLD };

const struct veto_param adaptive_consistency_params[] = {
	[ADAPTIVE_THRESHOLD] = {.name = "threshold",
		.help = "probability that the leader stays ahead",
		.type = VETO_PARAM_RATIO,
		.fallback = 996147 /* 0.95 */,
		.low = ONE_Q20 / 2,
		.high = ONE_Q20 - 1},
	{0},
};

enum { ESC_WINDOW };

const struct veto_param esc_params[] = {
	[ESC_WINDOW] = {.name = "window",
		.help = "answers in a window, in the order of finishing",
		.type = VETO_PARAM_COUNT,
		.fallback = 5,
		.low = 2,
		.high = VETO_CANDIDATES_MAX},
	{0},
};

static void add_token(struct board *b, struct rule *r, uint32_t candidate, const struct veto_score *score)
{
	(void)b;
	sums_follow(&r->cell[candidate].sums, r->field, policy_read(score, r->field));
}

static int consensus_check(const struct veto_values *values, char *why)
{
	const struct veto_field_info *field = &veto_fields[values->value[CONSENSUS_SCORE][0]];

	if (values->value[CONSENSUS_WEIGHT][0] == WEIGHT_SCORE && field->may_be_negative)
		return param_fail(-EINVAL, why,
			"consensus: score=%s can be negative, so it can't weigh votes; use weight=none", field->name);
	return 0;
}

/* After every warm-up: until then the others have not had their say. */
static bool is_warm_up_over(const struct board *b)
{
	for (uint32_t i = 0; i < b->rules; i++)
		if (b->rule[i].policy->ops->freeze && !b->rule[i].is_frozen)
			return false;
	return true;
}

static bool consensus_is_settled(struct board *b, struct rule *r)
{
	const struct veto_values *values = &r->rule.values;
	bool is_weighted = values->value[CONSENSUS_WEIGHT][0] == WEIGHT_SCORE;
	struct ratio threshold = ratio_of(values->value[CONSENSUS_THRESHOLD][0]);
	int64_t total = 0, most = 0, answers = 0;

	memset(b->tally, 0, b->candidates * sizeof(*b->tally));
	for (uint32_t i = 0; i < b->candidates; i++) {
		const struct candidate *c = &b->candidate[i];
		int64_t mean = is_weighted ? sums_so_far(&r->cell[i].sums, r->field, c->tokens).low : ONE_Q20;

		if (!c->has_vote || !c->answer)
			continue;
		answers++;
		if (mean < 0)
			mean = 0;
		total += mean;
		b->tally[c->same] += mean;
		if (b->tally[c->same] > most)
			most = b->tally[c->same];
	}
	return is_warm_up_over(b) && answers >= values->value[CONSENSUS_MIN_ANSWERS][0] && most > 0 &&
	       (__int128)most * threshold.den >= (__int128)total * threshold.num;
}

const struct policy_ops consensus_ops = {
	.check = consensus_check,
	.token = add_token,
	.is_settled = consensus_is_settled,
};

/* Votes of the two leading answers. */
static void count_leaders(struct board *b, uint32_t *first, uint32_t *second)
{
	*first = *second = 0;
	memset(b->tally, 0, b->candidates * sizeof(*b->tally));
	for (uint32_t i = 0; i < b->candidates; i++)
		if (b->candidate[i].has_vote && b->candidate[i].answer)
			b->tally[b->candidate[i].same]++;
	for (uint32_t i = 0; i < b->candidates; i++) {
		uint32_t votes = (uint32_t)b->tally[i];

		if (votes > *first) {
			*second = *first;
			*first = votes;
		} else if (votes > *second) {
			*second = votes;
		}
	}
}

/* P(Binomial(n, 1/2) <= k) in Q62, k < n, by Pascal's triangle in row[k + 1]; too small by n units of Q62 at most. */
static int64_t binomial_cdf(uint32_t n, uint32_t k, int64_t *row)
{
	int64_t sum = 0;

	memset(row, 0, (k + 1) * sizeof(*row));
	row[0] = 1LL << 62;
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = k + 1; j-- > 0;)
			row[j] = (row[j] + (j ? row[j - 1] : 0)) >> 1;
	for (uint32_t j = 0; j <= k; j++)
		sum += row[j];
	return sum;
}

/* The probability that the leader's share exceeds the second's under Beta(first + 1, second + 1) is
 * P(Binomial(first + second + 1, 1/2) > second). */
static bool adaptive_consistency_is_settled(struct board *b, struct rule *r)
{
	uint32_t first, second;

	count_leaders(b, &first, &second);
	if (first == 0)
		return false;
	return binomial_cdf(first + second + 1, second, b->scratch) <=
	       (ONE_Q20 - r->rule.values.value[ADAPTIVE_THRESHOLD][0]) << 42;
}

const struct policy_ops adaptive_consistency_ops = {
	.is_settled = adaptive_consistency_is_settled,
};

/* Windows follow each other; a candidate without an answer breaks the unanimity of its window. */
static bool esc_is_settled(struct board *b, struct rule *r)
{
	for (uint32_t i = 0; i < b->candidates; i++) {
		const struct candidate *c = &b->candidate[i];

		if (!c->is_new || !c->has_vote)
			continue;
		if (r->window_filled == r->rule.values.value[ESC_WINDOW][0])
			r->window_filled = r->streak = 0;
		if (r->window_filled++ == 0)
			r->streak_answer = c->answer;
		r->streak += c->answer && c->answer == r->streak_answer;
		if (r->streak == r->rule.values.value[ESC_WINDOW][0])
			return true;
	}
	return false;
}

const struct policy_ops esc_ops = {
	.is_settled = esc_is_settled,
};
