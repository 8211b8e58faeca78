/* SPDX-License-Identifier: Apache-2.0 */
/* Trains heads: L-BFGS over all examples, with a penalty on the squares of the weights. */
#include "train.h"
#include "param.h"
#include "random.h"

#include <errno.h>
#include <lbfgs.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ITERATIONS_MAX 300
#define PADDED_TO 16 /* weights, for the library's vectors */
#define PATIENCE 10 /* iterations without a better loss of the validation share */

const double train_penalties[TRAIN_PENALTIES] = {1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2};

/* --- The area under the curve --- */

struct ranked {
	double z;
	bool is_right;
};

static int by_z(const void *a, const void *b)
{
	const double x = ((const struct ranked *)a)->z, y = ((const struct ranked *)b)->z;

	return (x > y) - (x < y);
}

double train_auc(const double *z, const bool *is_right, uint32_t count)
{
	struct ranked *r = calloc((size_t)count + 1, sizeof(*r));
	double right = 0, wrong = 0, pairs = 0;

	for (uint32_t i = 0; r && i < count; i++)
		r[i] = (struct ranked){z[i], is_right[i]};
	if (r)
		qsort(r, count, sizeof(*r), by_z);
	for (uint32_t i = 0, end; r && i < count; i = end) {
		double here = 0;

		for (end = i; end < count && r[end].z == r[i].z; end++)
			here += r[end].is_right;
		pairs += here * (wrong + (end - i - here) / 2);
		wrong += end - i - here;
		right += here;
	}
	free(r);
	return right > 0 && wrong > 0 ? pairs / (right * wrong) : NAN;
}

/* --- Training --- */

struct descent {
	const struct train_data *data;
	struct trainer *trainer;
	const struct train_options *options;
	enum train_share share;
	double penalty, best_loss;
	double *best; /* weights of the best loss of the validation share */
	uint32_t best_iteration;
};

static lbfgsfloatval_t evaluate(
	void *arg, const lbfgsfloatval_t *x, lbfgsfloatval_t *g, int weights, lbfgsfloatval_t step)
{
	const uint32_t known = trainer_layout(((struct descent *)arg)->trainer).weights;
	struct descent *d = arg;

	(void)step;
	for (uint32_t j = known; j < (uint32_t)weights; j++)
		g[j] = 0;
	return trainer_loss(d->trainer, x, d->share, d->penalty, g);
}

/* Looks at the validation share, and stops once that has not got better for a while. */
static int look(void *arg, const lbfgsfloatval_t *x, const lbfgsfloatval_t *g, const lbfgsfloatval_t fx,
	const lbfgsfloatval_t xnorm, const lbfgsfloatval_t gnorm, const lbfgsfloatval_t step, int weights, int k,
	int ls)
{
	struct descent *d = arg;
	double loss;

	(void)g, (void)fx, (void)xnorm, (void)gnorm, (void)step, (void)weights, (void)ls;
	loss = d->share == TRAIN_ALL ? fx : trainer_loss(d->trainer, x, TRAIN_VALIDATION, 0, NULL);
	if (d->options->progress)
		d->options->progress(d->options->arg, d->penalty, (uint32_t)k, loss);
	if (d->share == TRAIN_ALL || loss < d->best_loss) {
		memcpy(d->best, x, trainer_layout(d->trainer).weights * sizeof(*x));
		d->best_loss = loss;
		d->best_iteration = (uint32_t)k;
	}
	return (uint32_t)k >= d->best_iteration + PATIENCE;
}

/* Two layers start from small random weights, the sums of four uniform numbers; all else from 0. */
static void start(const struct descent *d, uint32_t padded, double *x)
{
	const struct train_layout at = trainer_layout(d->trainer);
	const uint32_t hidden = at.weights - at.second;
	uint64_t seed = d->options->seed;

	memset(x, 0, padded * sizeof(*x));
	for (uint32_t j = at.first; j < at.weights && hidden > 0; j++) {
		double sum = -2;

		if (j >= at.first_bias && j < at.second)
			continue;
		for (int k = 0; k < 4; k++)
			sum += random_below(&seed, 1u << 24) / 0x1p24;
		x[j] = sum * sqrt(3.0 / (j < at.first_bias ? d->data->cols : hidden));
	}
}

/* Iterations 0: until the validation share stops it. */
static int descend(struct descent *d, uint32_t iterations)
{
	const uint32_t weights = trainer_layout(d->trainer).weights;
	const uint32_t padded = (weights + PADDED_TO - 1) / PADDED_TO * PADDED_TO;
	lbfgs_parameter_t how;
	lbfgsfloatval_t *x = lbfgs_malloc((int)padded);

	if (!x)
		return -ENOMEM;
	lbfgs_parameter_init(&how);
	how.max_iterations = iterations ? (int)iterations : ITERATIONS_MAX;
	how.epsilon = 1e-7;
	start(d, padded, x);
	memcpy(d->best, x, weights * sizeof(*x));
	d->best_loss = INFINITY;
	d->best_iteration = 0;
	/* However it ends, the best is kept. */
	lbfgs((int)padded, x, NULL, evaluate, look, d, &how);
	lbfgs_free(x);
	return 0;
}

static int check_classes(const struct train_data *d, char *why)
{
	uint32_t count[2][2] = {{0}};

	for (uint32_t i = 0; i < d->examples; i++)
		count[d->is_validation[i]][d->is_right[i]]++;
	for (int part = 0; part < 2; part++)
		if (count[part][0] == 0 || count[part][1] == 0)
			return param_fail(-EINVAL, why,
				"%s: %u examples are right and %u wrong, and both are needed: give the fit part more questions",
				part ? "the validation share" : "what is outside the validation share", count[part][1],
				count[part][0]);
	return 0;
}

static double *copy(const double *from, size_t count)
{
	double *to = calloc(count + 1, sizeof(*to));

	if (to && count)
		memcpy(to, from, count * sizeof(*to));
	return to;
}

/* The weights on values as they are. */
static int make_model(const struct descent *d, const double *weights, struct train_model *out)
{
	const struct train_layout at = trainer_layout(d->trainer);
	double *flat = calloc(at.weights, sizeof(*flat));

	if (!flat)
		return -ENOMEM;
	trainer_flatten(d->trainer, weights, flat);
	out->cols = d->data->cols;
	out->statistics = d->data->statistics;
	out->hidden = at.weights - at.second;
	out->bias = flat[at.bias];
	out->statistic = copy(flat, out->statistics);
	out->first = copy(flat + at.first, at.first_bias - at.first);
	out->first_bias = copy(flat + at.first_bias, out->hidden);
	out->second = copy(flat + at.second, out->hidden);
	free(flat);
	return out->statistic && out->first && out->first_bias && out->second ? 0 : -ENOMEM;
}

static int measure(struct trainer *t, const struct train_data *d, const double *weights, struct train_model *out)
{
	double *z = calloc((size_t)d->examples + 1, sizeof(*z));
	bool *is_right = calloc((size_t)d->examples + 1, sizeof(*is_right));
	uint32_t count = 0;

	out->log_loss = trainer_loss(t, weights, TRAIN_VALIDATION, 0, NULL);
	for (uint32_t i = 0; z && is_right && i < d->examples; i++)
		if (d->is_validation[i]) {
			z[count] = trainer_outputs(t)[i];
			is_right[count++] = d->is_right[i];
		}
	if (z && is_right)
		out->auc = train_auc(z, is_right, count);
	free(z);
	free(is_right);
	return z && is_right ? 0 : -ENOMEM;
}

/* Find the penalty: weights of the best in d->best. */
static int choose(struct descent *d, double *weights, struct train_model *out)
{
	double least = INFINITY;
	int err = 0;

	for (int p = 0; p < TRAIN_PENALTIES && !err; p++) {
		d->penalty = train_penalties[p];
		err = descend(d, 0);
		if (err || !(d->best_loss < least))
			continue;
		least = d->best_loss;
		out->penalty = d->penalty;
		out->iterations = d->best_iteration;
		memcpy(weights, d->best, trainer_layout(d->trainer).weights * sizeof(*weights));
	}
	return err;
}

static int train_all(struct descent *d, double *weights, struct train_model *out, char *why)
{
	int err = choose(d, weights, out);

	if (!err && out->iterations == 0)
		return param_fail(-EINVAL, why, "the losses are no numbers: the values are too far apart");
	if (!err)
		err = measure(d->trainer, d->data, weights, out);
	d->share = TRAIN_ALL;
	d->penalty = out->penalty;
	if (!err)
		err = descend(d, out->iterations);
	if (!err)
		err = make_model(d, d->best, out);
	return err ? param_fail(err, why, "out of memory") : 0;
}

int train(const struct train_data *data, const struct train_options *options, struct train_model *out, char *why)
{
	struct train_model model = {.penalty = 0};
	struct descent d = {.data = data, .options = options, .share = TRAIN_OTHERS};
	double *weights = NULL;
	int err = check_classes(data, why);

	if (err)
		return err;
	if (trainer_new(data, options->hidden, &d.trainer))
		return param_fail(-ENOMEM, why, "out of memory");
	d.best = calloc(trainer_layout(d.trainer).weights, sizeof(*d.best));
	weights = calloc(trainer_layout(d.trainer).weights, sizeof(*weights));
	err = d.best && weights ? train_all(&d, weights, &model, why) : param_fail(-ENOMEM, why, "out of memory");
	free(weights);
	free(d.best);
	trainer_free(d.trainer);
	if (err)
		train_free(&model);
	else
		*out = model;
	return err;
}

void train_free(struct train_model *m)
{
	free(m->second);
	free(m->first_bias);
	free(m->first);
	free(m->statistic);
	*m = (struct train_model){.penalty = 0};
}
