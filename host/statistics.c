/* SPDX-License-Identifier: Apache-2.0 */
/* TS1, as hls/arithmetic.md says it. */
#include "statistics.h"

#include "hx1.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SCORE_MOST (1LL << 26) /* Q20: 64 nats */
#define VALUE_MOST ((1 << 22) - 1) /* Q16 */
#define COUNT_SHIFT 10 /* Q16 of a count divided by 64 */

static const uint32_t fields[STATISTICS_FIELDS] = {
	VETO_SELF_CERTAINTY, VETO_ENTROPY, VETO_TOKEN_LOGP, VETO_TOP1_LOGP, VETO_TOPK_CONFIDENCE, VETO_MARGIN};

static const char *const kind_names[STATISTIC_KINDS] = {
	"mean", "min", "step-mean", "step-min", "tokens", "step-tokens", "steps"};

uint32_t statistics_fields(void)
{
	uint32_t all = 0;

	for (int i = 0; i < STATISTICS_FIELDS; i++)
		all |= 1u << fields[i];
	return all;
}

void statistic_name(struct statistic s, char name[STATISTIC_NAME_MAX])
{
	const bool is_of_score = STATISTIC_OF_A_SCORE(s.kind);

	snprintf(name, STATISTIC_NAME_MAX, "%s%s%s", kind_names[s.kind], is_of_score ? ":" : "",
		is_of_score ? veto_fields[s.field].name : "");
}

int statistic_find(const char *name, size_t letters, struct statistic *out)
{
	char known[STATISTIC_NAME_MAX];

	for (int kind = 0; kind < STATISTIC_KINDS; kind++)
		for (int i = 0; i < (STATISTIC_OF_A_SCORE(kind) ? STATISTICS_FIELDS : 1); i++) {
			const struct statistic s = {
				(enum statistic_kind)kind, STATISTIC_OF_A_SCORE(kind) ? fields[i] : 0};

			statistic_name(s, known);
			if (strlen(known) != letters || strncmp(known, name, letters) != 0)
				continue;
			*out = s;
			return 0;
		}
	return -EINVAL;
}

/* A token's score, higher the more confident; false: it has none, or one of which only bounds are known. */
static bool read_score(const struct veto_score *score, uint32_t field, int64_t *out)
{
	const struct veto_interval *v = &score->field[field];

	if (!(score->has >> field & 1) || score->flags & (VETO_NAN | VETO_SATURATED) || v->low != v->high)
		return false;
	*out = veto_fields[field].sign * v->low;
	*out = *out > SCORE_MOST ? SCORE_MOST : *out < -SCORE_MOST ? -SCORE_MOST : *out;
	return true;
}

void statistics_add(struct statistics *all, const struct veto_score *score, bool ends_step)
{
	int64_t value;

	if (all->is_step_over || all->tokens == 0) {
		memset(all->of[1], 0, sizeof(all->of[1]));
		all->step_tokens = 0;
		all->steps++;
	}
	all->tokens++;
	all->step_tokens++;
	all->is_step_over = ends_step;
	for (int i = 0; i < STATISTICS_FIELDS; i++)
		for (int part = 0; part < 2 && read_score(score, fields[i], &value); part++) {
			if (all->of[part][i].usable++ == 0 || value < all->of[part][i].min)
				all->of[part][i].min = value;
			all->of[part][i].sum += value;
		}
}

static int32_t to_q16(int64_t v, int64_t shift)
{
	const int64_t q = hx1_round(v, shift);

	return (int32_t)(q > VALUE_MOST ? VALUE_MOST : q < -VALUE_MOST ? -VALUE_MOST : q);
}

bool statistics_value(const struct statistics *all, struct statistic s, int32_t *q16)
{
	const int part = s.kind == STATISTIC_STEP_MEAN || s.kind == STATISTIC_STEP_MIN;
	int i = 0;

	switch (s.kind) {
	case STATISTIC_TOKENS:
		*q16 = to_q16(all->tokens, -COUNT_SHIFT);
		return true;
	case STATISTIC_STEP_TOKENS:
		*q16 = to_q16(all->step_tokens, -COUNT_SHIFT);
		return true;
	case STATISTIC_STEPS:
		*q16 = to_q16(all->steps, -COUNT_SHIFT);
		return true;
	default:
		while (fields[i] != s.field)
			i++;
	}
	if (all->of[part][i].usable == 0)
		return false;
	*q16 = to_q16(s.kind == STATISTIC_MEAN || s.kind == STATISTIC_STEP_MEAN
			      ? all->of[part][i].sum / all->of[part][i].usable
			      : all->of[part][i].min,
		4);
	return true;
}
