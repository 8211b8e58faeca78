/* SPDX-License-Identifier: Apache-2.0 */
/* floor and window-floor: own-path rules that reject a candidate whose recent tokens score below a threshold. */
#include "param.h"
#include "policy.h"

#include <errno.h>

#define WINDOW_MAX 65536
#define WINDOW_TOKENS 16 /* of floor, where none is given */

enum { FLOOR_SCORE, FLOOR_WINDOW, FLOOR_THRESHOLD, FLOOR_RUNGS, FLOOR_MIN_SURVIVORS, FLOOR_SHADOW };

const struct veto_param floor_params[] = {
	[FLOOR_SCORE] = SCORE_PARAM("score that is read", VETO_SELF_CERTAINTY),
	[FLOOR_WINDOW] = {.name = "window",
		.help = "tokens in the mean, 16 unless given; of a reward, ends of steps, 1 unless given; not used with rungs",
		.type = VETO_PARAM_COUNT,
		.low = 1,
		.high = WINDOW_MAX},
	[FLOOR_THRESHOLD] = {.name = "threshold",
		.help = "reject below this (nats; of a reward, its probability); with rungs one for each",
		.type = VETO_PARAM_Q20,
		.low = -2048 * ONE_Q20,
		.high = 2048 * ONE_Q20,
		.is_required = true,
		.is_list = true},
	[FLOOR_RUNGS] = {.name = "rungs",
		.help = "test only at these token counts, on the mean of all tokens",
		.type = VETO_PARAM_COUNT,
		.low = 1,
		.high = VETO_TOKENS_MAX,
		.is_list = true},
	[FLOOR_MIN_SURVIVORS] = MIN_SURVIVORS_PARAM("the first so many candidates are never rejected"),
	[FLOOR_SHADOW] = SHADOW_PARAM,
	{0},
};

enum { WINDOW_SCORE, WINDOW_WINDOW, WINDOW_WARMUP, WINDOW_KEEP, WINDOW_MIN_SURVIVORS, WINDOW_SHADOW };

const struct veto_param window_floor_params[] = {
	[WINDOW_SCORE] = SCORE_PARAM("score that is read", VETO_TOPK_CONFIDENCE),
	[WINDOW_WINDOW] = {.name = "window",
		.help = "tokens in the mean; of a reward, ends of steps",
		.type = VETO_PARAM_COUNT,
		.fallback = 2048,
		.low = 1,
		.high = WINDOW_MAX},
	[WINDOW_WARMUP] = {.name = "warmup",
		.help = "candidates that run to their end before the others start",
		.type = VETO_PARAM_COUNT,
		.fallback = 16,
		.low = 1,
		.high = VETO_CANDIDATES_MAX},
	[WINDOW_KEEP] = {.name = "keep",
		.help = "share of the warm-up candidates whose lowest window lies above the threshold",
		.type = VETO_PARAM_RATIO,
		.fallback = 943718 /* 0.9 */,
		.low = 0,
		.high = ONE_Q20},
	[WINDOW_MIN_SURVIVORS] = MIN_SURVIVORS_PARAM("the first so many candidates are never rejected"),
	[WINDOW_SHADOW] = SHADOW_PARAM,
	{0},
};

static int64_t value(const struct rule *r, int param) { return r->rule.values.value[param][0]; }

static int floor_check(const struct veto_values *values, char *why)
{
	uint32_t rungs = values->count[FLOOR_RUNGS];
	uint32_t thresholds = values->count[FLOOR_THRESHOLD];

	if (policy_check_rungs("floor", values, FLOOR_RUNGS, why))
		return -EINVAL;
	if (thresholds != (rungs ? rungs : 1))
		return param_fail(-EINVAL, why, "floor: %u values of threshold for %u rungs", thresholds, rungs);
	return 0;
}

static uint32_t floor_window(const struct veto_values *values)
{
	if (values->count[FLOOR_WINDOW])
		return (uint32_t)values->value[FLOOR_WINDOW][0];
	return values->value[FLOOR_SCORE][0] == VETO_REWARD ? 1 : WINDOW_TOKENS;
}

static void floor_complete(struct veto_values *values)
{
	values->value[FLOOR_WINDOW][0] = floor_window(values);
	values->count[FLOOR_WINDOW] = 1;
}

static uint32_t floor_entries(const struct veto_values *values, uint32_t max_tokens)
{
	(void)max_tokens;
	return values->count[FLOOR_RUNGS] ? 0 : floor_window(values);
}

/* Slide the window over the token just counted; its mean once full.  No score: it is not, or the token does not count. */
static struct veto_interval slide(
	const struct board *b, struct rule *r, uint32_t candidate, const struct veto_score *score)
{
	const struct veto_interval token = policy_read(score, r->field), none = {NO_SCORE, NO_SCORE};
	struct cell *cell = &r->cell[candidate];
	struct veto_interval *at = &r->window[(size_t)candidate * r->entries + cell->filled % r->entries];

	if (!policy_counts(&b->candidate[candidate], r->field))
		return none;
	if (cell->filled++ >= r->entries)
		sums_remove(&cell->sums, *at);
	*at = token;
	sums_add(&cell->sums, token);
	return cell->filled < r->entries ? none : sums_mean(&cell->sums, r->entries);
}

static void floor_token(struct board *b, struct rule *r, uint32_t candidate, const struct veto_score *score)
{
	const struct veto_values *values = &r->rule.values;
	uint32_t tokens = b->candidate[candidate].tokens;
	struct veto_interval mean = {NO_SCORE, NO_SCORE};
	uint32_t i = 0;

	if (values->count[FLOOR_RUNGS] == 0) {
		mean = slide(b, r, candidate, score);
	} else {
		sums_follow(&r->cell[candidate].sums, r->field, policy_read(score, r->field));
		while (i < values->count[FLOOR_RUNGS] && values->value[FLOOR_RUNGS][i] != tokens)
			i++;
		if (i < values->count[FLOOR_RUNGS])
			mean = sums_so_far(&r->cell[candidate].sums, r->field, tokens);
	}
	if (mean.low != NO_SCORE && mean.high < values->value[FLOOR_THRESHOLD][i] && candidate >= r->min_survivors)
		board_trip(
			b, r, candidate, mean.high, values->value[FLOOR_THRESHOLD][i], b->candidate[candidate].tokens);
}

const struct policy_ops floor_ops = {
	.complete = floor_complete,
	.check = floor_check,
	.entries = floor_entries,
	.token = floor_token,
};

static int window_floor_fit(const struct veto_values *values, uint32_t candidates, char *why)
{
	int64_t warmup = values->value[WINDOW_WARMUP][0];

	if (warmup >= candidates)
		return param_fail(-EINVAL, why, "window-floor: warmup=%lld leaves none of %u candidates to judge",
			(long long)warmup, candidates);
	return 0;
}

static uint32_t window_floor_entries(const struct veto_values *values, uint32_t max_tokens)
{
	(void)max_tokens;
	return (uint32_t)values->value[WINDOW_WINDOW][0];
}

static void window_floor_start(struct board *b, struct rule *r)
{
	for (uint32_t i = 0; i < value(r, WINDOW_WARMUP); i++)
		b->candidate[i].is_protected = true;
}

static void window_floor_token(struct board *b, struct rule *r, uint32_t candidate, const struct veto_score *score)
{
	struct cell *cell = &r->cell[candidate];
	struct veto_interval mean = slide(b, r, candidate, score);

	if (mean.low == NO_SCORE)
		return;
	if (cell->lowest == NO_SCORE || mean.low < cell->lowest)
		cell->lowest = mean.low;
	if (r->has_threshold && mean.high < r->threshold && candidate >= value(r, WINDOW_WARMUP) &&
		candidate >= r->min_survivors)
		board_trip(b, r, candidate, mean.high, r->threshold, b->candidate[candidate].tokens);
}

/* A warm-up candidate's lowest full window; of a shorter one its mean. */
static int64_t lowest(const struct rule *r, uint32_t candidate)
{
	const struct cell *cell = &r->cell[candidate];

	return cell->filled < r->entries ? sums_mean(&cell->sums, cell->filled).low : cell->lowest;
}

/* numpy's linear percentile of sorted[n] at 1 - keep, truncated toward 0. */
static int64_t percentile(const int64_t *sorted, uint32_t n, struct ratio keep)
{
	int64_t position = (keep.den - keep.num) * (int64_t)(n - 1);
	int64_t i = position / keep.den, rest = position % keep.den;

	if (rest == 0)
		return sorted[i];
	return (int64_t)(((__int128)sorted[i] * (keep.den - rest) + (__int128)sorted[i + 1] * rest) / keep.den);
}

static void sort(int64_t *v, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		int64_t moving = v[i];
		uint32_t at = i;

		for (; at > 0 && v[at - 1] > moving; at--)
			v[at] = v[at - 1];
		v[at] = moving;
	}
}

static void window_floor_freeze(struct board *b, struct rule *r)
{
	uint32_t warmup = (uint32_t)value(r, WINDOW_WARMUP);
	uint32_t finished = 0, n = 0;

	for (uint32_t i = 0; i < warmup; i++) {
		const struct candidate *c = &b->candidate[i];

		if (c->state == VETO_WAITING || c->state == VETO_LIVE)
			return;
		finished += c->state == VETO_FINISHED;
		if (c->state == VETO_FINISHED && lowest(r, i) != NO_SCORE)
			b->scratch[n++] = lowest(r, i);
	}
	r->is_frozen = true;
	if (finished < (warmup + 1) / 2 || n == 0)
		return;
	sort(b->scratch, n);
	r->threshold = percentile(b->scratch, n, ratio_of(value(r, WINDOW_KEEP)));
	r->has_threshold = true;
	for (uint32_t i = 0; i < warmup && !r->is_shadow; i++)
		if (lowest(r, i) != NO_SCORE && lowest(r, i) < r->threshold)
			b->candidate[i].has_vote = false;
}

const struct policy_ops window_floor_ops = {
	.fit = window_floor_fit,
	.entries = window_floor_entries,
	.start = window_floor_start,
	.token = window_floor_token,
	.freeze = window_floor_freeze,
};
