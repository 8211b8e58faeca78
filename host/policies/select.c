/* SPDX-License-Identifier: Apache-2.0 */
/* majority, borda, best, weighted and sharpening: which answer the finished candidates give. */
#include "fx1.h"
#include "param.h"
#include "policy.h"

#include <errno.h>
#include <string.h>

#define LOG2E_Q23 0xb8aa3b
#define WEIGHTLESS_Q20 (40 * ONE_Q20) /* e^-40 is nothing in Q31 */

const struct veto_param majority_params[] = {{0}};
const struct veto_param sharpening_params[] = {{0}};

enum { BORDA_SCORE, BORDA_POWER };

const struct veto_param borda_params[] = {
	[BORDA_SCORE] = SCORE_PARAM("score whose mean ranks the candidates", VETO_SELF_CERTAINTY),
	[BORDA_POWER] = {.name = "p",
		.help = "a vote weighs (N - rank + 1)^p",
		.type = VETO_PARAM_Q20,
		.fallback = ONE_Q20 / 2,
		.low = 0,
		.high = 2 * ONE_Q20},
	{0},
};

enum { BEST_SCORE };

const struct veto_param best_params[] = {
	[BEST_SCORE] = SCORE_PARAM("score whose mean ranks the candidates", VETO_SELF_CERTAINTY),
	{0},
};

enum { WEIGHTED_SCORE, WEIGHTED_TOP, WEIGHTED_WEIGHT, WEIGHTED_TEMPERATURE };
enum { WEIGHT_SCORE, WEIGHT_SOFTMAX };

static const char *const weight_names[] = {"score", "softmax", NULL};

const struct veto_param weighted_params[] = {
	[WEIGHTED_SCORE] = SCORE_PARAM("score whose mean weighs the votes", VETO_TOPK_CONFIDENCE),
	[WEIGHTED_TOP] = {.name = "top",
		.help = "share of the candidates that votes, best first",
		.type = VETO_PARAM_RATIO,
		.fallback = ONE_Q20,
		.low = 1,
		.high = ONE_Q20},
	[WEIGHTED_WEIGHT] = {.name = "weight",
		.help = "a vote weighs its score, or e^(score / temperature)",
		.type = VETO_PARAM_CHOICE,
		.choices = weight_names},
	[WEIGHTED_TEMPERATURE] = {.name = "temperature",
		.help = "of weight=softmax",
		.type = VETO_PARAM_Q20,
		.fallback = ONE_Q20,
		.low = 1024,
		.high = 1024 * ONE_Q20},
	{0},
};

static void add_token(struct board *b, struct rule *r, uint32_t candidate, const struct veto_score *score)
{
	(void)b;
	sums_follow(&r->cell[candidate].sums, r->field, policy_read(score, r->field));
}

static void add_logp(struct board *b, struct rule *r, uint32_t candidate, const struct veto_score *score)
{
	(void)b;
	sums_add(&r->cell[candidate].sums, policy_read(score, VETO_TOKEN_LOGP));
}

/* Mean scores of the candidates that have a vote into scratch, the others NO_SCORE.  Returns how many have one. */
static uint32_t find_means(struct board *b, const struct rule *r)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->candidates; i++) {
		const struct candidate *c = &b->candidate[i];

		b->scratch[i] = c->has_vote ? sums_so_far(&r->cell[i].sums, r->field, c->tokens).low : NO_SCORE;
		n += b->scratch[i] != NO_SCORE;
	}
	return n;
}

/* How many candidates rank before i: a higher score, or the same and a lower index. */
static uint32_t count_before(const struct board *b, uint32_t i)
{
	uint32_t before = 0;

	for (uint32_t j = 0; j < b->candidates; j++)
		before += b->scratch[j] > b->scratch[i] || (b->scratch[j] == b->scratch[i] && j < i);
	return before;
}

/* The candidate with the highest scratch among those with an answer. */
static int choose_highest(const struct board *b, struct veto_choice *out)
{
	uint32_t best = NEVER;

	for (uint32_t i = 0; i < b->candidates; i++)
		if (b->scratch[i] != NO_SCORE && b->candidate[i].answer &&
			(best == NEVER || b->scratch[i] > b->scratch[best]))
			best = i;
	if (best == NEVER)
		return -ENODATA;
	*out = (struct veto_choice){best, b->candidate[best].answer, b->scratch[best]};
	return 0;
}

static void vote(struct board *b, uint32_t candidate, int64_t weight)
{
	if (b->candidate[candidate].answer)
		b->tally[b->candidate[candidate].same] += weight;
}

static void clear_votes(struct board *b) { memset(b->tally, 0, b->candidates * sizeof(*b->tally)); }

/* The answer with the greatest weight; of equal ones that of the lowest candidate. */
static int choose_heaviest(const struct board *b, struct veto_choice *out)
{
	struct veto_choice best = {0};

	for (uint32_t i = 0; i < b->candidates; i++) {
		const struct candidate *c = &b->candidate[i];

		if (b->tally[c->same] > best.weight)
			best = (struct veto_choice){i, c->answer, b->tally[c->same]};
	}
	if (best.weight == 0)
		return -ENODATA;
	*out = best;
	return 0;
}

static int majority_select(struct board *b, struct rule *r, struct veto_choice *out)
{
	(void)r;
	clear_votes(b);
	for (uint32_t i = 0; i < b->candidates; i++)
		if (b->candidate[i].has_vote)
			vote(b, i, 1);
	return choose_heaviest(b, out);
}

const struct policy_ops majority_ops = {
	.select = majority_select,
};

/* n^p in Q20, by FX1's log2 and mantissa: exact for p = 0 and 1, otherwise to 4e-5. */
static int64_t power_q20(uint32_t n, int64_t p_q20)
{
	int64_t y;

	if (p_q20 == ONE_Q20)
		return (int64_t)n << 20;
	y = (int64_t)(((__int128)fx1_log2(n) * p_q20 + (1 << 29)) >> 30);
	return ((int64_t)fx1_mantissa((uint32_t)y & 0xffff) << 4) << (y >> 16);
}

static int borda_select(struct board *b, struct rule *r, struct veto_choice *out)
{
	uint32_t n = find_means(b, r);

	clear_votes(b);
	for (uint32_t i = 0; i < b->candidates; i++)
		if (b->scratch[i] != NO_SCORE)
			vote(b, i, power_q20(n - count_before(b, i), r->rule.values.value[BORDA_POWER][0]));
	return choose_heaviest(b, out);
}

const struct policy_ops borda_ops = {
	.token = add_token,
	.select = borda_select,
};

static int best_select(struct board *b, struct rule *r, struct veto_choice *out)
{
	find_means(b, r);
	return choose_highest(b, out);
}

const struct policy_ops best_ops = {
	.token = add_token,
	.select = best_select,
};

/* e^(-below / temperature) in Q31. */
static int64_t softmax_weight(int64_t below_q20, int64_t temperature_q20)
{
	__int128 nats = ((__int128)below_q20 << 20) / temperature_q20;
	int64_t y;

	if (nats >= WEIGHTLESS_Q20)
		return 0;
	y = -(((int64_t)nats * LOG2E_Q23 + (1 << 26)) >> 27);
	return ((int64_t)fx1_mantissa((uint32_t)y & 0xffff) << 15) >> -(y >> 16);
}

static int weighted_check(const struct veto_values *values, char *why)
{
	const struct veto_field_info *field = &veto_fields[values->value[WEIGHTED_SCORE][0]];

	if (values->value[WEIGHTED_WEIGHT][0] == WEIGHT_SCORE && field->may_be_negative)
		return param_fail(-EINVAL, why,
			"weighted: score=%s can be negative, so it can't weigh votes; use weight=softmax", field->name);
	return 0;
}

static int weighted_select(struct board *b, struct rule *r, struct veto_choice *out)
{
	const struct veto_values *values = &r->rule.values;
	uint32_t keep = ceil_ratio(find_means(b, r), ratio_of(values->value[WEIGHTED_TOP][0]));
	int64_t highest = NO_SCORE;

	clear_votes(b);
	for (uint32_t i = 0; i < b->candidates; i++)
		if (b->scratch[i] > highest)
			highest = b->scratch[i];
	for (uint32_t i = 0; i < b->candidates; i++) {
		if (b->scratch[i] == NO_SCORE || count_before(b, i) >= keep)
			continue;
		vote(b, i,
			values->value[WEIGHTED_WEIGHT][0] == WEIGHT_SCORE
				? b->scratch[i]
				: softmax_weight(highest - b->scratch[i], values->value[WEIGHTED_TEMPERATURE][0]));
	}
	return choose_heaviest(b, out);
}

const struct policy_ops weighted_ops = {
	.check = weighted_check,
	.token = add_token,
	.select = weighted_select,
};

/* The sum, not the mean, of the sampled tokens' log-probabilities; a token without one counts as the others' mean. */
static int sharpening_select(struct board *b, struct rule *r, struct veto_choice *out)
{
	find_means(b, r);
	for (uint32_t i = 0; i < b->candidates; i++) {
		const struct sums *sums = &r->cell[i].sums;

		if (b->scratch[i] != NO_SCORE)
			b->scratch[i] = (int64_t)((__int128)sums->low * b->candidate[i].tokens / sums->usable);
	}
	return choose_highest(b, out);
}

const struct policy_ops sharpening_ops = {
	.token = add_logp,
	.select = sharpening_select,
};
