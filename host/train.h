/* SPDX-License-Identifier: Apache-2.0 */
/* Trains the floating-point weights of a head: a logistic function of statistics and of a state, or of one hidden layer of it. */
#ifndef VETO_TRAIN_H
#define VETO_TRAIN_H

#include "trainer.h"

struct train_options {
	uint32_t hidden; /* values between two layers; 0: one layer */
	uint64_t seed; /* of the first weights of two layers */
	/* Called once an iteration; loss is that of the validation share.  NULL: nobody looks. */
	void (*progress)(void *arg, double penalty, uint32_t iteration, double loss);
	void *arg;
};

/* z = bias + statistics + (hidden ? second . relu(first x + first_bias) : first . x), on values as they are. */
struct train_model {
	uint32_t cols, statistics, hidden;
	double *statistic; /* [statistics] */
	double bias;
	double *first; /* [hidden or 1][cols] */
	double *first_bias, *second; /* [hidden] */
	double penalty; /* that was chosen */
	uint32_t iterations; /* of the training on all examples */
	double auc, log_loss; /* of the validation share, by what the others alone have taught */
};

/* Train on the examples outside the validation share with every penalty of a fixed list until the loss of the share rises;
 * then, with the best of them and for as many iterations, on all.  The same data, options and seed give the same bits.
 *   -EINVAL  the share, or what is outside it, has examples of one class only, or the losses are no numbers; `why` says which
 *   -ENOMEM */
int train(const struct train_data *data, const struct train_options *options, struct train_model *out, char *why);
void train_free(struct train_model *model);

/* The chance that a right example has a higher z than a wrong one: the area under the curve.  NaN: one class is missing. */
double train_auc(const double *z, const bool *is_right, uint32_t count);

#define TRAIN_PENALTIES 7
extern const double train_penalties[TRAIN_PENALTIES];

#endif
