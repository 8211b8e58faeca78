/* SPDX-License-Identifier: Apache-2.0 */
/* How well the score of a whole candidate tells the chance that it is right. */
#ifndef VETO_RELIABILITY_H
#define VETO_RELIABILITY_H

#include "evaluation.h"

#define RELIABILITY_BINS 10 /* of predicted chances, equally wide */

/* Candidates whose predicted chance lies in a bin. */
struct reliability_bin {
	uint64_t candidates, right;
	double sum; /* of the predicted chances */
};

struct reliability {
	uint32_t field;
	/* chance = 1 / (1 + exp(-(at_zero + slope * score))), by maximum likelihood on the fit part; of a reward, which is a
	 * chance already, nothing is fitted, and both are NAN. */
	double at_zero, slope;
	uint64_t candidates, without; /* predicted, and left out for want of a score */
	double brier, ece;
	struct reliability_bin bin[RELIABILITY_BINS];
	const char *missing; /* why there is nothing of this; NULL: there is */
};

/* The score that the setting's first rejecting rule reads; -1: none rejects. */
int reliability_field(const struct setting *setting);

/* Fit on the labelled questions of the fit part (part NULL: there is none), and predict those that were played. */
void reliability_make(const struct trace *trace, const enum part *part, const struct evaluation *e, uint32_t field,
	struct reliability *out);

/* Wilson's interval of 95 % of a share. */
void wilson(uint64_t count, uint64_t of, double *low, double *high);

#endif
