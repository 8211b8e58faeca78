/* SPDX-License-Identifier: Apache-2.0 */
/* What a head in training gets wrong, and which way that falls. */
#ifndef VETO_TRAINER_H
#define VETO_TRAINER_H

#include <stdbool.h>
#include <stdint.h>

/* Examples: what is known at the ends of steps, and whether all is right there. */
struct train_data {
	uint32_t examples, cols, statistics; /* values of a state, and statistics; one of them may be 0 */
	const float *state; /* [examples][cols] */
	const float *statistic; /* [examples][statistics] */
	const bool *is_right; /* [examples] */
	const double *weight; /* [examples] above 0 */
	const bool *is_validation; /* [examples] of the share that chooses penalty and iterations */
};

struct trainer;
/* hidden: values between two layers; 0: one layer.  The data stays there.  -ENOMEM */
int trainer_new(const struct train_data *data, uint32_t hidden, struct trainer **out);
void trainer_free(struct trainer *t);

/* Where weights lie in a list of them: statistics, bias, first layer by rows, and with a hidden one its biases and the second. */
struct train_layout {
	uint32_t statistic, bias, first, first_bias, second, weights;
};
struct train_layout trainer_layout(const struct trainer *t);

/* Weights of standardised values become weights of values as they are: flat[weights]. */
void trainer_flatten(const struct trainer *t, const double *weights, double *flat);

/* The mean loss over a share of the examples, plus the penalty, and its gradient unless that is NULL, by weights of
 * standardised values.  *z of trainer_outputs() is then known of the share. */
enum train_share { TRAIN_OTHERS, TRAIN_VALIDATION, TRAIN_ALL };
double trainer_loss(struct trainer *t, const double *weights, enum train_share share, double penalty, double *gradient);
const double *trainer_outputs(const struct trainer *t); /* [examples] */

#endif
