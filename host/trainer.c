/* SPDX-License-Identifier: Apache-2.0 */
/* The loss of a head in training, and its gradient, in double precision and in a fixed order. */
#include "trainer.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct trainer {
	const struct train_data *data;
	uint32_t hidden, rows; /* rows of the first layer; 0 without states */
	struct train_layout at;
	double *mean, *scale; /* [statistics + cols] x becomes (x - mean) * scale */
	double *flat; /* [weights] on values as they are */
	double *flat_gradient; /* [weights] */
	double *unit; /* [hidden] of an example */
	double *z; /* [examples] */
};

/* --- Values and weights --- */

static float value_of(const struct train_data *d, uint32_t example, uint32_t column)
{
	if (column < d->statistics)
		return d->statistic[(size_t)example * d->statistics + column];
	return d->state[(size_t)example * d->cols + column - d->statistics];
}

/* Column by column; one whose values are all the same says nothing and becomes 0. */
static void standardise(struct trainer *t)
{
	const struct train_data *d = t->data;

	for (uint32_t j = 0; j < d->statistics + d->cols; j++) {
		double sum = 0, squares = 0;

		for (uint32_t i = 0; i < d->examples; i++)
			sum += (double)value_of(d, i, j);
		t->mean[j] = sum / d->examples;
		for (uint32_t i = 0; i < d->examples; i++) {
			const double from = (double)value_of(d, i, j) - t->mean[j];

			squares += from * from;
		}
		t->scale[j] = squares > 0 ? 1 / sqrt(squares / d->examples) : 0;
	}
}

static struct train_layout lay_out(const struct train_data *d, uint32_t hidden)
{
	struct train_layout at = {.bias = d->statistics, .first = d->statistics + 1};

	at.first_bias = at.first + (hidden ? hidden : 1) * d->cols;
	at.second = at.first_bias + hidden;
	at.weights = at.second + hidden;
	return at;
}

int trainer_new(const struct train_data *data, uint32_t hidden, struct trainer **out)
{
	const size_t columns = (size_t)data->statistics + data->cols;
	struct trainer *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->data = data;
	t->hidden = data->cols ? hidden : 0;
	t->rows = data->cols ? (hidden ? hidden : 1) : 0;
	t->at = lay_out(data, t->hidden);
	t->mean = calloc(columns, sizeof(*t->mean));
	t->scale = calloc(columns, sizeof(*t->scale));
	t->flat = calloc(t->at.weights, sizeof(*t->flat));
	t->flat_gradient = calloc(t->at.weights, sizeof(*t->flat_gradient));
	t->unit = calloc(t->hidden + 1, sizeof(*t->unit));
	t->z = calloc(data->examples, sizeof(*t->z));
	if (!t->mean || !t->scale || !t->flat || !t->flat_gradient || !t->unit || !t->z) {
		trainer_free(t);
		return -ENOMEM;
	}
	standardise(t);
	*out = t;
	return 0;
}

void trainer_free(struct trainer *t)
{
	if (!t)
		return;
	free(t->z);
	free(t->unit);
	free(t->flat_gradient);
	free(t->flat);
	free(t->scale);
	free(t->mean);
	free(t);
}

struct train_layout trainer_layout(const struct trainer *t) { return t->at; }

const double *trainer_outputs(const struct trainer *t) { return t->z; }

void trainer_flatten(const struct trainer *t, const double *weights, double *flat)
{
	const struct train_data *d = t->data;
	const double *mean = t->mean + d->statistics, *scale = t->scale + d->statistics;

	memcpy(flat, weights, t->at.weights * sizeof(*flat));
	for (uint32_t j = 0; j < d->statistics; j++) {
		flat[j] *= t->scale[j];
		flat[t->at.bias] -= flat[j] * t->mean[j];
	}
	for (uint32_t o = 0; o < t->rows; o++) {
		double *row = flat + t->at.first + (size_t)o * d->cols;
		double *bias = t->hidden ? &flat[t->at.first_bias + o] : &flat[t->at.bias];

		for (uint32_t j = 0; j < d->cols; j++) {
			row[j] *= scale[j];
			*bias -= row[j] * mean[j];
		}
	}
}

/* The gradient by weights of values as they are becomes that by weights of standardised ones. */
static void unflatten(const struct trainer *t, const double *flat, double *gradient)
{
	const struct train_data *d = t->data;
	const double *mean = t->mean + d->statistics, *scale = t->scale + d->statistics;

	memcpy(gradient, flat, t->at.weights * sizeof(*flat));
	for (uint32_t j = 0; j < d->statistics; j++)
		gradient[j] = (flat[j] - flat[t->at.bias] * t->mean[j]) * t->scale[j];
	for (uint32_t o = 0; o < t->rows; o++) {
		double *row = gradient + t->at.first + (size_t)o * d->cols;
		const double bias = flat[t->hidden ? t->at.first_bias + o : t->at.bias];

		for (uint32_t j = 0; j < d->cols; j++)
			row[j] = (row[j] - bias * mean[j]) * scale[j];
	}
}

/* --- The loss --- */

static double dot(const double *weights, const float *x, uint32_t count)
{
	/* Four sums: the order is fixed, and they don't wait for each other. */
	double sum[4] = {0};
	uint32_t j = 0;

	for (; j + 4 <= count; j += 4)
		for (uint32_t k = 0; k < 4; k++)
			sum[k] += weights[j + k] * (double)x[j + k];
	for (; j < count; j++)
		sum[0] += weights[j] * (double)x[j];
	return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static void add_to(double *gradient, double by, const float *x, uint32_t count)
{
	for (uint32_t j = 0; j < count; j++)
		gradient[j] += by * (double)x[j];
}

/* z of an example; unit[] is what lies between the layers. */
static double output(const struct trainer *t, uint32_t example, double *unit)
{
	const struct train_data *d = t->data;
	const float *state = d->state + (size_t)example * d->cols;
	double z = t->flat[t->at.bias] + dot(t->flat, d->statistic + (size_t)example * d->statistics, d->statistics);

	for (uint32_t o = 0; o < t->rows; o++) {
		const double sum = dot(t->flat + t->at.first + (size_t)o * d->cols, state, d->cols);

		if (!t->hidden)
			return z + sum;
		unit[o] = fmax(sum + t->flat[t->at.first_bias + o], 0);
		z += t->flat[t->at.second + o] * unit[o];
	}
	return z;
}

/* What the loss of an example, whose derivative by z is `by`, adds to the gradient. */
static void add_gradient(struct trainer *t, uint32_t example, double by)
{
	const struct train_data *d = t->data;
	const float *state = d->state + (size_t)example * d->cols;
	double *g = t->flat_gradient;

	g[t->at.bias] += by;
	add_to(g, by, d->statistic + (size_t)example * d->statistics, d->statistics);
	if (t->rows && !t->hidden)
		add_to(g + t->at.first, by, state, d->cols);
	for (uint32_t o = 0; o < t->hidden; o++) {
		const double through = by * t->flat[t->at.second + o];

		if (!(t->unit[o] > 0))
			continue;
		g[t->at.second + o] += by * t->unit[o];
		g[t->at.first_bias + o] += through;
		add_to(g + t->at.first + (size_t)o * d->cols, through, state, d->cols);
	}
}

/* Half the penalty times the squares of the weights; those of a state, which are many, weigh as much more as they are. */
static double add_penalty(const struct trainer *t, const double *weights, double penalty, double *gradient)
{
	double loss = 0;

	for (uint32_t j = 0; j < t->at.weights; j++) {
		const bool is_state = j >= t->at.first && j < t->at.first_bias;
		const double by = penalty * (is_state ? t->data->cols : 1);

		if (j == t->at.bias || (j >= t->at.first_bias && j < t->at.second))
			continue;
		loss += by / 2 * weights[j] * weights[j];
		if (gradient)
			gradient[j] += by * weights[j];
	}
	return loss;
}

static bool is_in(const struct train_data *d, uint32_t example, enum train_share share)
{
	return share == TRAIN_ALL || d->is_validation[example] == (share == TRAIN_VALIDATION);
}

double trainer_loss(struct trainer *t, const double *weights, enum train_share share, double penalty, double *gradient)
{
	const struct train_data *d = t->data;
	double sum = 0, total = 0;

	trainer_flatten(t, weights, t->flat);
	memset(t->flat_gradient, 0, t->at.weights * sizeof(*t->flat_gradient));
	for (uint32_t i = 0; i < d->examples; i++) {
		const double sign = d->is_right[i] ? 1 : -1;
		double against;

		if (!is_in(d, i, share))
			continue;
		t->z[i] = output(t, i, t->unit);
		against = -sign * t->z[i];
		sum += d->weight[i] * (against > 0 ? against + log1p(exp(-against)) : log1p(exp(against)));
		total += d->weight[i];
		if (gradient)
			add_gradient(t, i, -sign * d->weight[i] / (1 + exp(-against)));
	}
	for (uint32_t j = 0; j < t->at.weights; j++)
		t->flat_gradient[j] /= total;
	if (gradient)
		unflatten(t, t->flat_gradient, gradient);
	return sum / total + add_penalty(t, weights, penalty, gradient);
}
