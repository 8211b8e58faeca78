/* SPDX-License-Identifier: Apache-2.0 */
/* Training: gradients by differences, models that are known, stopping, and the same bits again. */
#include "check.h"
#include "rows.h"
#include "train.h"
#include "veto.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EXAMPLES = 4000, COLS = 6, STATISTICS = 3 };

static float states[EXAMPLES * COLS], statistics[EXAMPLES * STATISTICS];
static bool is_right[EXAMPLES], is_validation[EXAMPLES];
static double weight[EXAMPLES];
static const double true_state[COLS] = {0.8, -0.5, 0, 0.3, 0, -1}, true_statistic[STATISTICS] = {1.5, 0, -0.02};
static const double true_bias = 0.4;

/* Labels are drawn with the chances that the true weights give; columns differ in mean and width. */
static struct train_data make_data(uint32_t examples, uint32_t cols, uint32_t count, uint64_t seed)
{
	struct dice dice = {seed};

	for (uint32_t i = 0; i < examples; i++) {
		double z = true_bias;

		for (uint32_t j = 0; j < cols; j++) {
			states[i * cols + j] = (float)j - 2 + dice_normal(&dice) * (1 + (float)(j % 3));
			z += true_state[j] * (double)states[i * cols + j];
		}
		for (uint32_t k = 0; k < count; k++) {
			statistics[i * count + k] = dice_normal(&dice) * (k == 2 ? 50.0F : 1.0F);
			z += true_statistic[k] * (double)statistics[i * count + k];
		}
		is_right[i] = dice_below(&dice, 1 << 20) < (double)(1 << 20) / (1 + exp(-z));
		is_validation[i] = i % 4 == 0;
		weight[i] = 0.5 + dice_below(&dice, 1000) / 1000.0;
	}
	return (struct train_data){.examples = examples,
		.cols = cols,
		.statistics = count,
		.state = states,
		.statistic = statistics,
		.is_right = is_right,
		.weight = weight,
		.is_validation = is_validation};
}

static void check_gradient(const struct train_data *data, uint32_t hidden, enum train_share share)
{
	struct trainer *t;
	uint32_t weights;
	double *x, *g;
	struct dice dice = {hidden + 1};

	assert_int_equal(trainer_new(data, hidden, &t), 0);
	weights = trainer_layout(t).weights;
	x = calloc(weights, sizeof(*x));
	g = calloc(weights, sizeof(*g));
	assert_true(x && g);
	for (uint32_t j = 0; j < weights; j++)
		x[j] = 0.3 * (double)dice_normal(&dice);
	trainer_loss(t, x, share, 0.01, g);
	for (uint32_t j = 0; j < weights; j++) {
		const double at = x[j], step = 1e-6;
		double rise;

		x[j] = at + step;
		rise = trainer_loss(t, x, share, 0.01, NULL);
		x[j] = at - step;
		rise -= trainer_loss(t, x, share, 0.01, NULL);
		x[j] = at;
		if (!(fabs(rise / (2 * step) - g[j]) < 1e-7 + 1e-5 * fabs(g[j])))
			fail_msg("hidden %u, weight %u: the gradient is %.10g, by differences %.10g", hidden, j, g[j],
				rise / (2 * step));
	}
	free(g);
	free(x);
	trainer_free(t);
}

static void gradients_are_those_of_the_loss(void **state)
{
	struct train_data data = make_data(60, COLS, STATISTICS, 1);

	(void)state;
	for (uint32_t hidden = 0; hidden <= 5; hidden += 5)
		for (int share = TRAIN_OTHERS; share <= TRAIN_ALL; share++)
			check_gradient(&data, hidden, (enum train_share)share);
	data = make_data(60, COLS, 0, 1);
	check_gradient(&data, 3, TRAIN_ALL);
	data = make_data(60, 0, STATISTICS, 1);
	check_gradient(&data, 0, TRAIN_ALL);
}

/* By hand: z = 1 + 2 x of x = 0 and 4, whose mean is 2 and deviation 2; so the standardised weights are 5 and 4. */
static void the_loss_is_the_mean_of_the_examples(void **state)
{
	static const float x[] = {0, 4};
	static const bool right[] = {true, false}, none[] = {false, false};
	static const double weights[] = {3, 1}, standardised[] = {4, 5};
	const struct train_data data = {.examples = 2,
		.statistics = 1,
		.statistic = x,
		.is_right = right,
		.weight = weights,
		.is_validation = none};
	double flat[2];
	struct trainer *t;

	(void)state;
	assert_int_equal(trainer_new(&data, 0, &t), 0);
	assert_true(fabs(trainer_loss(t, standardised, TRAIN_ALL, 0, NULL) - (3 * log1p(exp(-1)) + log1p(exp(9))) / 4) <
		    1e-12);
	assert_true(fabs(trainer_loss(t, standardised, TRAIN_ALL, 0.5, NULL) -
			    (3 * log1p(exp(-1)) + log1p(exp(9))) / 4 - 4) < 1e-12); /* the bias is free */
	trainer_flatten(t, standardised, flat);
	assert_true(fabs(flat[0] - 2) < 1e-12 && fabs(flat[1] - 1) < 1e-12);
	trainer_free(t);
}

static void near(const char *what, double got, double expected, double within)
{
	if (!(fabs(got - expected) < within))
		fail_msg("%s is %g, expected %g", what, got, expected);
}

/* As near as 4000 draws show it, and training that stops before it is sure. */
static void a_logistic_model_is_found_again(void **state)
{
	const struct train_data data = make_data(EXAMPLES, COLS, STATISTICS, 7);
	const struct train_options options = {.seed = 1};
	struct train_model m;
	char why[VETO_WHY_MAX];

	(void)state;
	assert_int_equal(train(&data, &options, &m, why), 0);
	assert_int_equal(m.hidden, 0);
	near("the bias", m.bias, true_bias, 0.3);
	for (uint32_t j = 0; j < COLS; j++)
		near("a weight of the state", m.first[j], true_state[j], 0.2);
	for (uint32_t k = 0; k < STATISTICS; k++)
		near("a weight of a statistic", m.statistic[k], true_statistic[k], k == 2 ? 0.005 : 0.3);
	assert_true(m.auc > 0.85 && m.auc < 1);
	train_free(&m);
}

/* Right where the two first values differ in sign, which no line tells apart. */
static void a_hidden_layer_tells_apart_what_a_line_does_not(void **state)
{
	const struct train_data data = make_data(EXAMPLES / 4, 2, 0, 3);
	struct train_options options = {.seed = 1};
	struct train_model line, layer;
	char why[VETO_WHY_MAX];

	(void)state;
	for (uint32_t i = 0; i < data.examples; i++)
		is_right[i] = (states[2 * i] + 2 > 0) != (states[2 * i + 1] + 1 > 0);
	assert_int_equal(train(&data, &options, &line, why), 0);
	options.hidden = 16;
	assert_int_equal(train(&data, &options, &layer, why), 0);
	assert_int_equal(layer.hidden, 16);
	assert_true(line.auc < 0.7);
	assert_true(layer.auc > 0.97);
	train_free(&layer);
	train_free(&line);
}

/* Labels that say nothing: the longer it learns the worse, so it stops early, and prefers the largest penalty. */
static uint32_t iterations_seen;

static void count_iterations(void *arg, double penalty, uint32_t iteration, double loss)
{
	(void)arg;
	(void)penalty;
	(void)loss;
	if (iteration > iterations_seen)
		iterations_seen = iteration;
}

static void what_teaches_nothing_stops_early(void **state)
{
	const struct train_data data = make_data(80, COLS, STATISTICS, 5);
	const struct train_options options = {.hidden = 32, .seed = 1, .progress = count_iterations};
	struct dice dice = {2};
	struct train_model m;
	char why[VETO_WHY_MAX];

	(void)state;
	for (uint32_t i = 0; i < data.examples; i++)
		is_right[i] = dice_below(&dice, 2);
	iterations_seen = 0;
	assert_int_equal(train(&data, &options, &m, why), 0);
	assert_in_range(m.iterations, 1, 60);
	assert_in_range(iterations_seen, m.iterations, 200); /* of 300 */
	train_free(&m);
}

static void the_same_seed_gives_the_same_bits(void **state)
{
	const struct train_data data = make_data(400, COLS, STATISTICS, 9);
	struct train_options options = {.hidden = 16, .seed = 5};
	struct train_model a, b, c;
	char why[VETO_WHY_MAX];

	(void)state;
	assert_int_equal(train(&data, &options, &a, why), 0);
	assert_int_equal(train(&data, &options, &b, why), 0);
	options.seed = 6;
	assert_int_equal(train(&data, &options, &c, why), 0);
	assert_memory_equal(a.first, b.first, 16 * COLS * sizeof(double));
	assert_memory_equal(a.second, b.second, 16 * sizeof(double));
	assert_memory_equal(a.statistic, b.statistic, STATISTICS * sizeof(double));
	assert_memory_equal(&a.bias, &b.bias, sizeof(double));
	assert_memory_not_equal(a.first, c.first, 16 * COLS * sizeof(double));
	train_free(&a);
	train_free(&b);
	train_free(&c);
}

static void a_value_that_never_changes_weighs_nothing(void **state)
{
	const struct train_data data = make_data(400, COLS, STATISTICS, 9);
	const struct train_options options = {.seed = 5};
	struct train_model m;
	char why[VETO_WHY_MAX];

	(void)state;
	for (uint32_t i = 0; i < data.examples; i++)
		states[i * COLS + 1] = 77;
	assert_int_equal(train(&data, &options, &m, why), 0);
	assert_true(m.first[1] == 0);
	assert_true(isfinite(m.bias));
	train_free(&m);
}

static void both_classes_are_needed_in_both_shares(void **state)
{
	const struct train_data data = make_data(80, COLS, STATISTICS, 9);
	const struct train_options options = {.seed = 5};
	struct train_model m;
	char why[VETO_WHY_MAX];

	(void)state;
	for (uint32_t i = 0; i < data.examples; i++)
		is_right[i] = i % 4 == 0 || i == 1;
	assert_int_equal(train(&data, &options, &m, why), -EINVAL);
	assert_string_equal(why,
		"the validation share: 20 examples are right and 0 wrong, and both are needed: give the fit part "
		"more questions");
	for (uint32_t i = 0; i < data.examples; i++)
		is_right[i] = i % 8 == 0;
	assert_int_equal(train(&data, &options, &m, why), -EINVAL);
	assert_non_null(strstr(why, "what is outside the validation share: 0 examples are right and 60 wrong"));
}

static void the_area_under_the_curve_counts_pairs(void **state)
{
	const double z[] = {3, 1, 2, 1, 0};
	const bool right[] = {true, true, false, false, false};

	(void)state;
	assert_true(fabs(train_auc(z, right, 5) - (3 + 0 + 0.5 + 1) / 6) < 1e-15);
	assert_true(isnan(train_auc(z, right, 2)));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(gradients_are_those_of_the_loss),
		cmocka_unit_test(the_loss_is_the_mean_of_the_examples),
		cmocka_unit_test(a_logistic_model_is_found_again),
		cmocka_unit_test(a_hidden_layer_tells_apart_what_a_line_does_not),
		cmocka_unit_test(what_teaches_nothing_stops_early),
		cmocka_unit_test(the_same_seed_gives_the_same_bits),
		cmocka_unit_test(a_value_that_never_changes_weighs_nothing),
		cmocka_unit_test(both_classes_are_needed_in_both_shares),
		cmocka_unit_test(the_area_under_the_curve_counts_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
