/* SPDX-License-Identifier: Apache-2.0 */
/* What a head learns from: the ends of recorded steps. */
#ifndef VETO_EXAMPLES_H
#define VETO_EXAMPLES_H

#include "split.h"
#include "statistics.h"
#include "trainer.h"

struct examples_wanted {
	bool has_states, has_statistics;
	bool is_of_steps; /* the labels: right so far, instead of right in the end */
	uint64_t seed; /* of the validation share */
};

struct examples {
	struct train_data data;
	struct statistic statistic[STATISTICS_MAX]; /* [data.statistics] */
	uint32_t questions, validation_questions, unlabelled; /* of the part; the last are left out */
	uint32_t right, unusable; /* examples; ends of steps without a finite state or a usable score, left out */
	float *state, *statistics;
	bool *is_right, *is_validation;
	double *weight;
};

/* The ends of steps of the fit part (part NULL: of all questions).
 *   -EINVAL  states, scores or labels are not there; `why` says which
 *   -ENOMEM */
int examples_make(const struct trace *trace, const enum part *part, const struct examples_wanted *wanted,
	struct examples *out, char *why);
void examples_free(struct examples *e);

#endif
