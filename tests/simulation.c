/* SPDX-License-Identifier: Apache-2.0 */
/* Simulated questions whose candidates depend on each other. */
#include "simulation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How easy a question is moves all of its candidates. */
void simulate_question(struct dice *dice, struct question *out)
{
	do {
		const double ease = 1.2 * dice_normal(dice);

		out->right = 0;
		for (int i = 0; i < CANDIDATES; i++) {
			out->is_right[i] = dice_normal(dice) < ease + 0.3;
			out->right += out->is_right[i];
		}
	} while (out->right == 0);
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* So do how sure the model is there, and how much surer of right candidates, or of wrong ones. */
void simulate_scores(struct dice *dice, const struct question *q, struct scores *out)
{
	const double shift = 2 * dice_normal(dice), advantage = 0.8 + 1.5 * dice_normal(dice);

	for (int i = 0; i < CANDIDATES; i++)
		out->of[i] = shift + 0.3 * dice_normal(dice) + (q->is_right[i] ? advantage : 0);
	memcpy(out->warmup, out->of, sizeof(out->warmup));
	qsort(out->warmup, WARMUP, sizeof(*out->warmup), by_value);
}

double threshold_of(int level, bool has_warmup, const struct scores *scores)
{
	const double at = (double)level / LEVELS * (WARMUP - 1) / 2;
	const int below = (int)at;

	if (level == 0)
		return -INFINITY;
	if (!has_warmup)
		return -6 + 5.0 * level / LEVELS;
	return scores->warmup[below] + (at - below) * (scores->warmup[below + 1] - scores->warmup[below]);
}

uint32_t lost_at(const struct question *q, int level, bool has_warmup, const struct scores *scores)
{
	const double threshold = threshold_of(level, has_warmup, scores);
	uint32_t lost = 0;

	for (int i = has_warmup ? WARMUP : 0; i < CANDIDATES; i++)
		lost |= (uint32_t)(q->is_right[i] && scores->of[i] < threshold) << i;
	return lost;
}

double loss_at(const struct question *q, int level, bool has_warmup, const struct scores *scores)
{
	return (double)__builtin_popcount(lost_at(q, level, has_warmup, scores)) / q->right;
}
