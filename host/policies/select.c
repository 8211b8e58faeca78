/* SPDX-License-Identifier: Apache-2.0 */
/* majority, borda, best, weighted and sharpening: which answer the finished candidates give. */
#include "fx1.h"
#include "hx1.h"
#include "param.h"
#include "policy.h"

#include <errno.h>
#include <string.h>

#define LOG2E_Q23 0xb8aa3b
#define WEIGHTLESS_Q20 (40 * ONE_Q20) /* e^-40 is nothing in Q31 */

const struct veto_param majority_params[] = {{0}};
const struct veto_param sharpening_params[] = {{0}};

/* How the rewards of a candidate's steps become one; AS_GIVEN: the last, which the head has made of all of them. */
enum steps { STEPS_AS_GIVEN, STEPS_MEAN, STEPS_MIN, STEPS_PRODUCT, STEPS_GEOMETRIC_MEAN };

static const char *const steps_names[] = {"as-given", "mean", "min", "product", "geometric-mean", NULL};

#define STEPS_PARAM                                                                                                    \
	{                                                                                                              \
		.name = "steps", .help = "of score=reward: what the rewards at step ends become; as-given: the last",  \
		.type = VETO_PARAM_CHOICE, .choices = steps_names                                                      \
	}

enum { BORDA_SCORE, BORDA_POWER, BORDA_STEPS };

const struct veto_param borda_params[] = {
	[BORDA_SCORE] = SCORE_PARAM("score whose mean ranks the candidates", VETO_SELF_CERTAINTY),
	[BORDA_POWER] = {.name = "p",
		.help = "a vote weighs (N - rank + 1)^p",
		.type = VETO_PARAM_Q20,
		.fallback = ONE_Q20 / 2,
		.low = 0,
		.high = 2 * ONE_Q20},
	[BORDA_STEPS] = STEPS_PARAM,
	{0},
};

enum { BEST_SCORE, BEST_STEPS };

const struct veto_param best_params[] = {
	[BEST_SCORE] = SCORE_PARAM("score whose mean ranks the candidates", VETO_SELF_CERTAINTY),
	[BEST_STEPS] = STEPS_PARAM,
	{0},
};

enum { WEIGHTED_SCORE, WEIGHTED_TOP, WEIGHTED_WEIGHT, WEIGHTED_TEMPERATURE, WEIGHTED_STEPS };
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
	[WEIGHTED_STEPS] = STEPS_PARAM,
	{0},
};

enum { CISC_SCORE, CISC_TEMPERATURE, CISC_STEPS };

const struct veto_param cisc_params[] = {
	[CISC_SCORE] = SCORE_PARAM("the candidates' confidence, by its mean", VETO_TOKEN_LOGP),
	[CISC_TEMPERATURE] = {.name = "temperature",
		.help = "a vote weighs e^(confidence / temperature); best found on questions with known answers",
		.type = VETO_PARAM_Q20,
		.fallback = ONE_Q20,
		.low = 1024,
		.high = 1024 * ONE_Q20},
	[CISC_STEPS] = STEPS_PARAM,
	{0},
};

/* The parameter of that name. */
static enum steps steps_of(const struct rule *r)
{
	const struct veto_param *param = r->policy->face.param;

	for (size_t i = 0; param[i].name && r->field == VETO_REWARD; i++)
		if (strcmp(param[i].name, "steps") == 0)
			return (enum steps)r->rule.values.value[i][0];
	return STEPS_AS_GIVEN;
}

/* The natural logarithm of a probability in Q31, Q20; of 0 as of the least above it. */
static int64_t log_q20(int64_t p) { return fx1_nats(fx1_log2((uint64_t)(p > 0 ? p : 1)) - (31LL << 26)); }

/* Take the reward of a step into sums.low, in Q31, or of a geometric mean its logarithm (HX1, aggregation over steps). */
static void add_step(struct sums *sums, enum steps steps, int64_t p)
{
	const bool is_first = sums->usable++ == 0;

	if (steps == STEPS_MEAN)
		sums->low += p;
	else if (steps == STEPS_GEOMETRIC_MEAN)
		sums->low += log_q20(p);
	else if (is_first || (steps == STEPS_MIN && p < sums->low))
		sums->low = p;
	else if (steps == STEPS_PRODUCT)
		sums->low = (sums->low * p + (1 << 30)) >> 31;
}

/* The candidate's score, Q20. */
static int64_t score_of(const struct board *b, const struct rule *r, uint32_t candidate)
{
	const struct sums *sums = &r->cell[candidate].sums;
	const enum steps steps = steps_of(r);

	if (steps == STEPS_AS_GIVEN)
		return sums_so_far(sums, r->field, b->candidate[candidate].tokens).low;
	if (sums->usable == 0)
		return NO_SCORE;
	if (steps == STEPS_GEOMETRIC_MEAN)
		return hx1_exp(sums->low / sums->usable) >> 11;
	return (steps == STEPS_MEAN ? sums->low / sums->usable : sums->low) >> 11;
}

static void add_token(struct board *b, struct rule *r, uint32_t candidate, const struct veto_score *score)
{
	const struct veto_interval value = policy_read(score, r->field);
	const enum steps steps = steps_of(r);

	if (steps == STEPS_AS_GIVEN)
		sums_follow(&r->cell[candidate].sums, r->field, value);
	else if (value.low != NO_SCORE && policy_counts(&b->candidate[candidate], r->field))
		add_step(&r->cell[candidate].sums, steps, score->field[r->field].low);
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

		b->scratch[i] = c->has_vote ? score_of(b, r, i) : NO_SCORE;
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

/* The votes of the best `keep`, each its score, or with a temperature e^(score / temperature). */
static int choose_weighted(struct board *b, uint32_t keep, int64_t temperature_q20, struct veto_choice *out)
{
	int64_t highest = NO_SCORE;

	clear_votes(b);
	for (uint32_t i = 0; i < b->candidates; i++)
		if (b->scratch[i] > highest)
			highest = b->scratch[i];
	for (uint32_t i = 0; i < b->candidates; i++)
		if (b->scratch[i] != NO_SCORE && count_before(b, i) < keep)
			vote(b, i,
				temperature_q20 ? softmax_weight(highest - b->scratch[i], temperature_q20)
						: b->scratch[i]);
	return choose_heaviest(b, out);
}

static int weighted_select(struct board *b, struct rule *r, struct veto_choice *out)
{
	const struct veto_values *values = &r->rule.values;
	const uint32_t keep = ceil_ratio(find_means(b, r), ratio_of(values->value[WEIGHTED_TOP][0]));
	const bool is_softmax = values->value[WEIGHTED_WEIGHT][0] == WEIGHT_SOFTMAX;

	return choose_weighted(b, keep, is_softmax ? values->value[WEIGHTED_TEMPERATURE][0] : 0, out);
}

const struct policy_ops weighted_ops = {
	.check = weighted_check,
	.token = add_token,
	.select = weighted_select,
};

static int cisc_select(struct board *b, struct rule *r, struct veto_choice *out)
{
	return choose_weighted(b, find_means(b, r), r->rule.values.value[CISC_TEMPERATURE][0], out);
}

const struct policy_ops cisc_ops = {
	.token = add_token,
	.select = cisc_select,
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
