/* SPDX-License-Identifier: Apache-2.0 */
/* Simulated questions, and which of their candidates a floor rejects: at each of LEVELS levels, from one that rejects nothing to
 * the most aggressive. */
#ifndef VETO_TESTS_SIMULATION_H
#define VETO_TESTS_SIMULATION_H

#include "rows.h"

enum { CANDIDATES = 16, WARMUP = 8, LEVELS = 100 };

struct question {
	bool is_right[CANDIDATES]; /* one at least */
	int right; /* of them */
};

/* Each candidate's score, the same at all of its tokens, and those of the first WARMUP in order. */
struct scores {
	double of[CANDIDATES], warmup[WARMUP];
};

void simulate_question(struct dice *dice, struct question *out);
void simulate_scores(struct dice *dice, const struct question *q, struct scores *out);

/* The scores below it are rejected; with a warm-up a percentile of the scores there, the (50 level / LEVELS)th. */
double threshold_of(int level, bool has_warmup, const struct scores *scores);

/* The right candidates that are rejected, bit 1u << candidate. */
uint32_t lost_at(const struct question *q, int level, bool has_warmup, const struct scores *scores);

/* Their share of the right ones. */
double loss_at(const struct question *q, int level, bool has_warmup, const struct scores *scores);

#endif
