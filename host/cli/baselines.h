/* SPDX-License-Identifier: Apache-2.0 */
/* What could be saved without any score: a length cap, random rejection, and an oracle. */
#ifndef VETO_BASELINES_H
#define VETO_BASELINES_H

#include "evaluation.h"

#define BASELINE_POINTS 512 /* of a curve, at most */

/* How much a setting of a baseline saves, and at what risks. */
struct baseline {
	double saved;
	double risk[RISKS]; /* random rejection: no RISK_ANSWER, NAN */
};

struct baselines {
	/* A candidate longer than t tokens is stopped after t, t falling from the longest candidate to 1.  The answer is
	 * the majority's. */
	struct baseline cap[BASELINE_POINTS];
	/* Each unfinished candidate is stopped after each token with chance h, rising from 0 to 1: expected values. */
	struct baseline random[BASELINE_POINTS];
	uint32_t caps, randoms;
	double oracle; /* saved by stopping each candidate that ends wrong, at the end of its first wrong step */
	bool oracle_knows_steps; /* false: some have no labels of steps, and are stopped after their first token */
	bool has_risk; /* some candidate is right */
};

/* Of the questions that were played.  -ENOMEM */
int baselines_make(const struct trace *trace, const struct evaluation *e, struct baselines *out, char *why);

/* What a curve saves at that risk of candidates, between its points linearly: as much as it can.  NAN: it has no risk. */
double baseline_saved(const struct baseline *curve, uint32_t points, double risk);

#endif
