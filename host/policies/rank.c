/* SPDX-License-Identifier: Apache-2.0 */
/* gate, speculative and partial-reward: rank rules, which compare the candidates of a cohort, at token counts called rungs
 * or in their steps. */
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
	[SPECULATIVE_SCORE] = SCORE_PARAM(
		"score that is ranked, by its mean over the tokens up to the rung; of a reward, the last step's",
		VETO_SELF_CERTAINTY),
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

enum { PARTIAL_SCORE, PARTIAL_TAU, PARTIAL_EXPAND, PARTIAL_MIN_SURVIVORS, PARTIAL_SHADOW };

const struct veto_param partial_reward_params[] = {
	[PARTIAL_SCORE] = SCORE_PARAM(
		"score that is ranked: a reward as of that token, another by its mean up to there", VETO_REWARD),
	[PARTIAL_TAU] = {.name = "tau",
		.help = "tokens into a step at which a beam is judged; at the step's end if that comes first",
		.type = VETO_PARAM_COUNT,
		.fallback = 64,
		.low = 1,
		.high = VETO_TOKENS_MAX},
	[PARTIAL_EXPAND] = {.name = "expand",
		.help = "M: one in M beams, rounded up, finishes the step and goes on M ways",
		.type = VETO_PARAM_COUNT,
		.fallback = 4,
		.low = 2,
		.high = VETO_CANDIDATES_MAX},
	[PARTIAL_MIN_SURVIVORS] = MIN_SURVIVORS_PARAM("keep at least so many of a cohort"),
	[PARTIAL_SHADOW] = {.name = "shadow",
		.help = "1: report verdicts on the first step, stop nothing and fork nothing",
		.type = VETO_PARAM_COUNT,
		.low = 0,
		.high = 1},
	{0},
};

uint32_t board_cohort_end(const struct board *b, uint32_t first)
{
	return b->candidates - first < b->cohort ? b->candidates : first + b->cohort;
}

bool board_is_out_by(const struct board *b, const struct rule *r, uint32_t candidate, uint32_t t)
{
	const struct candidate *c = &b->candidate[candidate];

	return c->out_token <= t || c->trip_token <= t || r->cell[candidate].token <= t;
}

/* The score that the candidate is ranked by at a rung, in window entry `entry`; no score: it is not ranked. */
static struct veto_interval rung_score(
	const struct board *b, const struct rule *r, uint32_t candidate, uint32_t rung, uint32_t entry)
{
	if (board_is_out_by(b, r, candidate, rung) || b->candidate[candidate].tokens < rung)
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

/* Drop every member that at least `keep` others certainly rank before.  score[] is of the cohort's members, after so many
 * tokens; rung 0: after those at which each was looked at. */
static void drop(struct board *b, struct rule *r, uint32_t first, uint32_t rung, const struct veto_interval *score,
	uint32_t keep, int64_t threshold)
{
	uint32_t n = board_cohort_end(b, first) - first;

	for (uint32_t i = 0; i < n; i++) {
		struct cell *cell = &r->cell[first + i];
		uint32_t before = 0;

		for (uint32_t j = 0; j < n; j++)
			before += score[j].low != NO_SCORE && is_before(score, j, i);
		if (score[i].low == NO_SCORE || before < keep)
			continue;
		cell->score = score[i].high;
		cell->threshold = threshold;
		board_reject(b, r, first + i, rung ? rung : cell->looked);
	}
}

void board_drop_below_best(struct board *b, struct rule *r, uint32_t first, uint32_t rung,
	const struct veto_interval *score, uint32_t keep)
{
	drop(b, r, first, rung, score, keep, last_kept(score, board_cohort_end(b, first) - first, keep));
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

	for (uint32_t i = first; i < board_cohort_end(b, first); i++) {
		const struct candidate *c = &b->candidate[i];

		finished +=
			c->state == VETO_FINISHED && c->tokens < rung && c->answer && !board_is_out_by(b, r, i, rung);
	}
	return finished;
}

static void gate_judge(struct board *b, struct rule *r, uint32_t first, uint32_t rung)
{
	struct veto_interval *score = b->ranking;
	uint32_t finished = finished_before(b, r, first, rung);
	uint32_t ranked = 0, keep;

	for (uint32_t i = first; i < board_cohort_end(b, first); i++) {
		score[i - first] = rung_score(b, r, i, rung, gate_find(r, rung));
		ranked += score[i - first].low != NO_SCORE;
	}
	keep = ceil_ratio(ranked, ratio_of(r->rule.values.value[GATE_KEEP][0]));
	if (r->min_survivors > finished && keep < r->min_survivors - finished)
		keep = r->min_survivors - finished;
	if (ranked > keep)
		board_drop_below_best(b, r, first, rung, score, keep);
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

	if (policy_counts(&b->candidate[candidate], r->field))
		sums_follow(sums, r->field, policy_read(score, r->field));
	r->window[(size_t)candidate * r->entries + tokens - 1] = sums_so_far(sums, r->field, tokens);
}

static uint32_t speculative_next_rung(const struct board *b, const struct rule *r, uint32_t first, uint32_t frontier)
{
	for (uint32_t t = r->rung[first / b->cohort] + 1; t <= frontier; t++) {
		uint64_t n = 0;

		for (uint32_t i = first; i < board_cohort_end(b, first); i++) {
			const struct candidate *c = &b->candidate[i];

			n += !board_is_out_by(b, r, i, t) && !(c->state == VETO_GONE && c->tokens < t);
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

	for (uint32_t i = first; i < board_cohort_end(b, first); i++) {
		const struct candidate *c = &b->candidate[i];

		score[i - first] = rung_score(b, r, i, rung, rung - 1);
		if (c->state == VETO_FINISHED && c->tokens > 0 && c->tokens < rung && !board_is_out_by(b, r, i, rung))
			score[i - first] = r->window[(size_t)i * r->entries + c->tokens - 1];
		ranked += score[i - first].low != NO_SCORE;
	}
	keep = ceil_ratio(ranked, ratio_of(ONE_Q20 - r->rule.values.value[SPECULATIVE_ALPHA][0]));
	if (keep < r->min_survivors)
		keep = r->min_survivors;
	if (ranked > keep)
		board_drop_below_best(b, r, first, rung, score, keep);
}

const struct policy_ops speculative_ops = {
	.entries = speculative_entries,
	.token = speculative_token,
	.next_rung = speculative_next_rung,
	.judge = speculative_judge,
};

static uint32_t partial_reward_entries(const struct veto_values *values, uint32_t max_tokens)
{
	(void)values;
	(void)max_tokens;
	return 1;
}

/* A beam is looked at once in a step, and waits there and at the step's end. */
static void partial_reward_token(struct board *b, struct rule *r, uint32_t candidate, const struct veto_score *score)
{
	struct candidate *c = &b->candidate[candidate];
	struct cell *cell = &r->cell[candidate];

	sums_follow(&cell->sums, r->field, policy_read(score, r->field));
	if (!r->is_shadow)
		c->is_held |= c->ends_step;
	if (cell->looked || (!c->ends_step && c->tokens - c->step_start != r->rule.values.value[PARTIAL_TAU][0]))
		return;
	cell->looked = c->tokens;
	r->window[candidate] = sums_so_far(&cell->sums, r->field, c->tokens);
	c->is_held = !r->is_shadow;
}

/* Whether every member that can still come has been looked at in this step. */
static bool is_step_known(const struct board *b, const struct rule *r, uint32_t first)
{
	for (uint32_t i = first; i < board_cohort_end(b, first); i++)
		if ((b->candidate[i].state == VETO_LIVE || b->candidate[i].state == VETO_WAITING) && !r->cell[i].looked)
			return false;
	return true;
}

/* Finished no later than where it was looked at, or in an earlier step. */
static bool has_ended_before(const struct board *b, const struct rule *r, uint32_t i)
{
	const struct candidate *c = &b->candidate[i];

	return c->state == VETO_FINISHED && (!r->cell[i].looked || r->cell[i].looked == c->tokens);
}

/* Beams that finished with an answer take places without being ranked; *lowest: the least of their scores. */
static uint32_t count_carried(const struct board *b, const struct rule *r, uint32_t first, int64_t *lowest)
{
	uint32_t carried = 0;

	*lowest = NO_SCORE;
	for (uint32_t i = first; i < board_cohort_end(b, first); i++) {
		const struct candidate *c = &b->candidate[i];
		int64_t score;

		if (!has_ended_before(b, r, i) || !c->answer || board_is_out_by(b, r, i, c->tokens))
			continue;
		carried++;
		score = sums_so_far(&r->cell[i].sums, r->field, c->tokens).low;
		if (score != NO_SCORE && (*lowest == NO_SCORE || score < *lowest))
			*lowest = score;
	}
	return carried;
}

static void judge_beams(struct board *b, struct rule *r, uint32_t first)
{
	const uint32_t n = board_cohort_end(b, first) - first,
		       expand = (uint32_t)r->rule.values.value[PARTIAL_EXPAND][0];
	struct veto_interval *score = b->ranking;
	uint32_t places = (n + expand - 1) / expand, ranked = 0, carried;
	int64_t threshold;

	if (places < r->min_survivors)
		places = r->min_survivors;
	carried = count_carried(b, r, first, &threshold);
	places = places > carried ? places - carried : 0;
	for (uint32_t i = first; i < first + n; i++) {
		const struct cell *cell = &r->cell[i];

		score[i - first] = (struct veto_interval){NO_SCORE, NO_SCORE};
		if (cell->looked && !has_ended_before(b, r, i) && !board_is_out_by(b, r, i, cell->looked))
			score[i - first] = r->window[i];
		ranked += score[i - first].low != NO_SCORE;
	}
	if (ranked > places && places > 0)
		board_drop_below_best(b, r, first, 0, score, places);
	else if (ranked > places)
		drop(b, r, first, 0, score, 0, threshold);
	for (uint32_t i = first; i < first + n; i++)
		b->candidate[i].is_held &= b->candidate[i].ends_step;
}

/* The cohort's beams that go on, best first, into scratch; returns how many.  One that must first end its step: none. */
static uint32_t find_survivors(struct board *b, const struct rule *r, uint32_t first)
{
	uint32_t n = 0;

	for (uint32_t i = first; i < board_cohort_end(b, first); i++) {
		uint32_t at = n;

		if (b->candidate[i].state != VETO_LIVE)
			continue;
		if (!b->candidate[i].ends_step)
			return 0;
		for (; at > 0 && r->window[b->scratch[at - 1]].low < r->window[i].low; at--)
			b->scratch[at] = b->scratch[at - 1];
		b->scratch[at] = i;
		n++;
	}
	return n;
}

/* Every survivor goes on `expand` ways while slots are left: the best first. */
static void fork_beams(struct board *b, struct rule *r, uint32_t first, uint32_t survivors)
{
	const uint32_t forks = survivors * ((uint32_t)r->rule.values.value[PARTIAL_EXPAND][0] - 1);
	uint32_t made = 0;

	for (uint32_t i = first; i < board_cohort_end(b, first); i++) {
		b->candidate[i].is_held &= b->candidate[i].state != VETO_LIVE;
		r->cell[i].looked = 0;
	}
	for (uint32_t i = first; i < board_cohort_end(b, first) && made < forks; i++)
		if (b->candidate[i].state == VETO_OUT && r->cell[i].token != NEVER)
			board_fork(b, r, (uint32_t)b->scratch[made++ % survivors], i);
}

static void partial_reward_judge_step(struct board *b, struct rule *r, uint32_t first)
{
	uint32_t *is_judged = &r->rung[first / b->cohort], survivors;

	if (!*is_judged && !is_step_known(b, r, first))
		return;
	if (!*is_judged)
		judge_beams(b, r, first);
	*is_judged = 1;
	survivors = r->is_shadow ? 0 : find_survivors(b, r, first);
	if (survivors == 0)
		return;
	fork_beams(b, r, first, survivors);
	*is_judged = 0;
}

const struct policy_ops partial_reward_ops = {
	.entries = partial_reward_entries,
	.token = partial_reward_token,
	.judge_step = partial_reward_judge_step,
};
