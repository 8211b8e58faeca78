/* SPDX-License-Identifier: Apache-2.0 */
/* gate and speculative: rank rules, which compare the candidates of a cohort at token counts called rungs. */
#include "param.h"
#include "policy.h"

#include <errno.h>

enum { GATE_SCORE, GATE_KEEP, GATE_RUNGS, GATE_MIN_SURVIVORS, GATE_SHADOW };

const struct veto_param gate_params[] = {
	[GATE_SCORE] =
		SCORE_PARAM("score that is ranked, by its mean over the tokens up to the rung", VETO_SELF_CERTAINTY),
	[GATE_KEEP] = {.name = "keep",
		.help = "share of the ranked candidates that goes on, rounded up",
		.type = VETO_PARAM_RATIO,
		.fallback = ONE_Q20 / 4,
		.low = 1,
		.high = ONE_Q20},
	[GATE_RUNGS] = {.name = "rungs",
		.help = "token counts, rising; applied once at each",
		.type = VETO_PARAM_COUNT,
		.fallback = 64,
		.low = 1,
		.high = VETO_TOKENS_MAX,
		.is_list = true},
	[GATE_MIN_SURVIVORS] = MIN_SURVIVORS_PARAM("keep at least so many of a cohort"),
	[GATE_SHADOW] = SHADOW_PARAM,
	{0},
};

enum { SPECULATIVE_SCORE, SPECULATIVE_BUDGET, SPECULATIVE_ALPHA, SPECULATIVE_MIN_SURVIVORS, SPECULATIVE_SHADOW };

const struct veto_param speculative_params[] = {
	[SPECULATIVE_SCORE] =
		SCORE_PARAM("score that is ranked, by its mean over the tokens up to the rung", VETO_SELF_CERTAINTY),
	[SPECULATIVE_BUDGET] = {.name = "budget",
		.help = "tokens that a cohort may hold before the worst go",
		.type = VETO_PARAM_COUNT,
		.low = 1,
		.high = 1LL << 32,
		.is_required = true},
	[SPECULATIVE_ALPHA] = {.name = "alpha",
		.help = "share that goes",
		.type = VETO_PARAM_RATIO,
		.fallback = ONE_Q20 / 2,
		.low = 0,
		.high = ONE_Q20 - 1},
	[SPECULATIVE_MIN_SURVIVORS] = MIN_SURVIVORS_PARAM("keep at least so many of a cohort"),
	[SPECULATIVE_SHADOW] = SHADOW_PARAM,
	{0},
};

static uint32_t cohort_end(const struct board *b, uint32_t first)
{
	return b->candidates - first < b->cohort ? b->candidates : first + b->cohort;
}

/* A verdict that is based on a token up to t has put the candidate out of this rule's comparisons. */
static bool is_out_by(const struct board *b, const struct rule *r, uint32_t candidate, uint32_t t)
{
	const struct candidate *c = &b->candidate[candidate];

	return c->out_token <= t || c->trip_token <= t || r->cell[candidate].token <= t;
}

/* The score that the candidate is ranked by at a rung, in window entry `entry`; no score: it is not ranked. */
static struct veto_interval rung_score(
	const struct board *b, const struct rule *r, uint32_t candidate, uint32_t rung, uint32_t entry)
{
	if (is_out_by(b, r, candidate, rung) || b->candidate[candidate].tokens < rung)
		return (struct veto_interval){NO_SCORE, NO_SCORE};
	return r->window[(size_t)candidate * r->entries + entry];
}

/* Whether i certainly ranks before j. */
static bool is_before(const struct veto_interval *score, uint32_t i, uint32_t j)
{
	return score[i].low > score[j].high || (score[i].low == score[j].high && i < j);
}

/* The last lower end among the best `keep`: what an upper end must reach. */
static int64_t last_kept(const struct veto_interval *score, uint32_t n, uint32_t keep)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t before = 0;

		for (uint32_t j = 0; j < n; j++)
			before += score[j].low > score[i].low || (score[j].low == score[i].low && j < i);
		if (score[i].low != NO_SCORE && before == keep - 1)
			return score[i].low;
	}
	return NO_SCORE;
}

/* Drop every member that at least `keep` others certainly rank before.  score[] is of the cohort's members. */
static void drop(struct board *b, struct rule *r, uint32_t first, uint32_t rung, const struct veto_interval *score,
	uint32_t keep)
{
	uint32_t n = cohort_end(b, first) - first;
	int64_t threshold = last_kept(score, n, keep);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t before = 0;

		for (uint32_t j = 0; j < n && score[i].low != NO_SCORE; j++)
			before += score[j].low != NO_SCORE && is_before(score, j, i);
		if (before < keep)
			continue;
		r->cell[first + i].score = score[i].high;
		r->cell[first + i].threshold = threshold;
		board_reject(b, r, first + i, rung);
	}
}

static int gate_check(const struct veto_values *values, char *why)
{
	return policy_check_rungs("gate", values, GATE_RUNGS, why);
}

static uint32_t gate_entries(const struct veto_values *values, uint32_t max_tokens)
{
	(void)max_tokens;
	return values->count[GATE_RUNGS];
}

/* The index of the first rung at t or later. */
static uint32_t gate_find(const struct rule *r, uint32_t t)
{
	uint32_t i = 0;

	while (i < r->entries && r->rule.values.value[GATE_RUNGS][i] < t)
		i++;
	return i;
}

static void gate_token(struct board *b, struct rule *r, uint32_t candidate, const struct veto_score *score)
{
	struct sums *sums = &r->cell[candidate].sums;
	uint32_t tokens = b->candidate[candidate].tokens;
	uint32_t i = gate_find(r, tokens);

	sums_follow(sums, r->field, policy_read(score, r->field));
	if (i < r->entries && r->rule.values.value[GATE_RUNGS][i] == tokens)
		r->window[(size_t)candidate * r->entries + i] = sums_so_far(sums, r->field, tokens);
}

static uint32_t gate_next_rung(const struct board *b, const struct rule *r, uint32_t first, uint32_t frontier)
{
	uint32_t i = gate_find(r, r->rung[first / b->cohort] + 1);

	if (i == r->entries || r->rule.values.value[GATE_RUNGS][i] > frontier)
		return NEVER;
	return (uint32_t)r->rule.values.value[GATE_RUNGS][i];
}

/* Finished before the rung with an answer: such members take no place and count towards the survivors. */
static uint32_t finished_before(const struct board *b, const struct rule *r, uint32_t first, uint32_t rung)
{
	uint32_t finished = 0;

	for (uint32_t i = first; i < cohort_end(b, first); i++) {
		const struct candidate *c = &b->candidate[i];

		finished += c->state == VETO_FINISHED && c->tokens < rung && c->answer && !is_out_by(b, r, i, rung);
	}
	return finished;
}

static void gate_judge(struct board *b, struct rule *r, uint32_t first, uint32_t rung)
{
	struct veto_interval *score = b->ranking;
	uint32_t finished = finished_before(b, r, first, rung);
	uint32_t ranked = 0, keep;

	for (uint32_t i = first; i < cohort_end(b, first); i++) {
		score[i - first] = rung_score(b, r, i, rung, gate_find(r, rung));
		ranked += score[i - first].low != NO_SCORE;
	}
	keep = ceil_ratio(ranked, ratio_of(r->rule.values.value[GATE_KEEP][0]));
	if (r->min_survivors > finished && keep < r->min_survivors - finished)
		keep = r->min_survivors - finished;
	if (ranked > keep)
		drop(b, r, first, rung, score, keep);
}

const struct policy_ops gate_ops = {
	.check = gate_check,
	.entries = gate_entries,
	.token = gate_token,
	.next_rung = gate_next_rung,
	.judge = gate_judge,
};

/* Any token may become a rung, so the mean at each is kept. */
static uint32_t speculative_entries(const struct veto_values *values, uint32_t max_tokens)
{
	(void)values;
	return max_tokens;
}

static void speculative_token(struct board *b, struct rule *r, uint32_t candidate, const struct veto_score *score)
{
	struct sums *sums = &r->cell[candidate].sums;
	uint32_t tokens = b->candidate[candidate].tokens;

	sums_follow(sums, r->field, policy_read(score, r->field));
	r->window[(size_t)candidate * r->entries + tokens - 1] = sums_so_far(sums, r->field, tokens);
}

static uint32_t speculative_next_rung(const struct board *b, const struct rule *r, uint32_t first, uint32_t frontier)
{
	for (uint32_t t = r->rung[first / b->cohort] + 1; t <= frontier; t++) {
		uint64_t n = 0;

		for (uint32_t i = first; i < cohort_end(b, first); i++) {
			const struct candidate *c = &b->candidate[i];

			n += !is_out_by(b, r, i, t) && !(c->state == VETO_GONE && c->tokens < t);
		}
		if (n * t > (uint64_t)r->rule.values.value[SPECULATIVE_BUDGET][0])
			return t;
	}
	return NEVER;
}

/* A member that finished before the rung competes with its last score. */
static void speculative_judge(struct board *b, struct rule *r, uint32_t first, uint32_t rung)
{
	struct veto_interval *score = b->ranking;
	uint32_t ranked = 0, keep;

	for (uint32_t i = first; i < cohort_end(b, first); i++) {
		const struct candidate *c = &b->candidate[i];

		score[i - first] = rung_score(b, r, i, rung, rung - 1);
		if (c->state == VETO_FINISHED && c->tokens > 0 && c->tokens < rung && !is_out_by(b, r, i, rung))
			score[i - first] = r->window[(size_t)i * r->entries + c->tokens - 1];
		ranked += score[i - first].low != NO_SCORE;
	}
	keep = ceil_ratio(ranked, ratio_of(ONE_Q20 - r->rule.values.value[SPECULATIVE_ALPHA][0]));
	if (keep < r->min_survivors)
		keep = r->min_survivors;
	if (ranked > keep)
		drop(b, r, first, rung, score, keep);
}

const struct policy_ops speculative_ops = {
	.entries = speculative_entries,
	.token = speculative_token,
	.next_rung = speculative_next_rung,
	.judge = speculative_judge,
};
