/* SPDX-License-Identifier: Apache-2.0 */
/* HX1 on random states and weights, against double precision. */
#include "check.h"
#include "fx1.h"
#include "hx1.h"
#include "rows.h"

#include <math.h>
#include <stdlib.h>

/* Random orthonormal rows by Gram-Schmidt; bar 1e-4 relative, where 1.3e-5 was stated for larger states. */
static void distances_are_near_the_true_ones(void **state)
{
	enum { D = 768, K = 8 };
	static double u[K][D];
	static float x[D];
	static int16_t w[K][D];
	static int32_t q[D];
	struct veto_weight_scale scale[K];
	const struct hx1_layer layer = {K, D, VETO_INT16, w, scale};
	struct dice r = {11};
	double rest = 0;
	uint32_t bad;
	int32_t e;

	(void)state;
	for (int k = 0; k < K; k++) {
		double norm = 0;

		for (int i = 0; i < D; i++)
			u[k][i] = dice_normal(&r);
		for (int j = 0; j < k; j++) {
			double dot = 0;

			for (int i = 0; i < D; i++)
				dot += u[j][i] * u[k][i];
			for (int i = 0; i < D; i++)
				u[k][i] -= dot * u[j][i];
		}
		for (int i = 0; i < D; i++)
			norm += u[k][i] * u[k][i];
		for (int i = 0; i < D; i++)
			u[k][i] /= sqrt(norm);
		assert_int_equal(hx1_make_row(u[k], D, 0, VETO_INT16, w[k], &scale[k], &bad), 0);
	}
	for (int i = 0; i < D; i++) {
		x[i] = (float)(2.5 * dice_normal(&r));
		rest += (double)x[i] * x[i];
	}
	for (int k = 0; k < K; k++) {
		double dot = 0;

		for (int i = 0; i < D; i++)
			dot += u[k][i] * x[i];
		rest -= dot * dot;
	}
	assert_true(hx1_quantise(x, VETO_FP32, D, 16, q, &e));
	assert_true(fabs(hx1_distance(&layer, q, e) / 0x1p16 / sqrt(rest) - 1) < 2e-5);
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* The output before its sigmoid: the row's, or of `last` over the rows' ReLU. */
static double output_in_double(const double *w, const float *x, uint32_t rows, uint32_t cols, const double *last)
{
	double sum = 0, output = -0.2;

	for (uint32_t o = 0; o < rows; o++) {
		sum = 0.1;
		for (uint32_t i = 0; i < cols; i++)
			sum += w[(size_t)o * cols + i] * (double)x[i];
		if (last)
			output += last[o] * fmax(sum, 0);
	}
	return last ? output : sum;
}

/* A head of one or two layers on random states, with and without outliers, in double and in integers; returns the worst
 * difference of the reward (sigmoid of the only output). */
static double worst_reward(uint32_t cols, uint32_t width, enum veto_weight_format format, bool has_outliers)
{
	enum { STATES = 20 };
	const uint32_t rows = width ? width : 1;
	const size_t bytes = format == VETO_INT8 ? 1 : 2;
	double *w = malloc(sizeof(*w) * rows * cols), *last = malloc(sizeof(*last) * rows);
	float *x = malloc(sizeof(*x) * cols);
	char *packed = malloc(rows * cols * bytes);
	int32_t *q = malloc(sizeof(int32_t) * (cols > rows ? cols : rows)), *z = malloc(sizeof(int32_t) * rows);
	struct veto_weight_scale *scale = malloc(sizeof(*scale) * rows), last_scale;
	const struct hx1_layer layer = {rows, cols, format, packed, scale};
	int16_t *last_packed = malloc(sizeof(int16_t) * rows);
	const struct hx1_layer last_layer = {1, rows, format, last_packed, &last_scale};
	struct dice r = {cols + width};
	double worst = 0;
	uint32_t bad;

	for (uint32_t o = 0; o < rows; o++) {
		for (uint32_t i = 0; i < cols; i++)
			w[(size_t)o * cols + i] = dice_normal(&r) / sqrt(cols);
		assert_int_equal(hx1_make_row(w + (size_t)o * cols, cols, 0.1, format, packed + o * cols * bytes,
					 &scale[o], &bad),
			0);
		last[o] = dice_normal(&r) / sqrt(rows);
	}
	assert_int_equal(hx1_make_row(last, rows, -0.2, format, last_packed, &last_scale, &bad), 0);
	for (int s = 0; s < STATES; s++) {
		uint32_t p[2];
		int32_t e, out;

		for (uint32_t i = 0; i < cols; i++)
			x[i] = (float)(2.5 * dice_normal(&r));
		for (int i = 0; has_outliers && i < 4; i++)
			x[dice_next(&r) % cols] = (float)(60 + 60 * dice_unit(&r));
		assert_true(hx1_quantise(x, VETO_FP32, cols, 16, q, &e));
		hx1_dense(&layer, q, e, z);
		out = z[0];
		if (width > 0) {
			hx1_between(z, rows, q, &e);
			hx1_dense(&last_layer, q, e, &out);
		}
		hx1_softmax((const int32_t[]){0, out}, 2, p, NULL);
		worst = fmax(
			worst, fabs(p[1] / 0x1p31 - sigmoid(output_in_double(w, x, rows, cols, width ? last : NULL))));
	}
	free(last_packed);
	free(last);
	free(scale);
	free(z);
	free(q);
	free(packed);
	free(x);
	free(w);
	return worst;
}

static void rewards_are_near_the_true_ones(void **state)
{
	static const uint32_t shapes[][2] = {{576, 0}, {1536, 0}, {3584, 0}, {576, 16}, {896, 32}, {1536, 512}};

	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
		for (int outliers = 0; outliers < 2; outliers++) {
			const double worst = worst_reward(shapes[i][0], shapes[i][1], VETO_INT16, outliers);

			print_message("%u x %u%s: int16 %.2g, int8 %.2g\n", shapes[i][0], shapes[i][1],
				outliers ? " with outliers" : "", worst,
				worst_reward(shapes[i][0], shapes[i][1], VETO_INT8, outliers));
			assert_true(worst <= 1e-3);
		}
}

/* Self-certainty of one token of random rows and a random state: the worst difference from double. */
static double worst_certainty(
	uint32_t cols, bool has_lo, enum state_kind kind, enum veto_format format, struct dice *dice)
{
	enum { VOCAB = 64 };
	double *u = malloc(VOCAB * cols * sizeof(*u)), worst = 0, mean;
	int16_t *hi = malloc(cols * sizeof(*hi)), f;
	uint8_t *lo = malloc(cols);
	int32_t *q = malloc(cols * sizeof(*q)), e;
	void *x = state_new(kind, format, cols, dice);
	uint32_t bad;

	for (uint32_t i = 0; i < VOCAB * cols; i++)
		u[i] = dice_normal(dice) / sqrt(cols);
	for (uint32_t i = 0; i < cols; i++) {
		mean = 0;
		for (uint32_t j = 0; j < VOCAB; j++)
			mean += u[j * cols + i] / VOCAB;
		for (uint32_t j = 0; j < VOCAB; j++)
			u[j * cols + i] -= mean;
	}
	assert_true(hx1_quantise(x, format, cols, 24, q, &e));
	for (uint32_t j = 0; j < VOCAB; j++) {
		double exact = 2.5 - log(151936);

		for (uint32_t i = 0; i < cols; i++)
			exact += u[j * cols + i] * (double)fx1_widen(x, format, i);
		assert_int_equal(hx1_make_table_row(u + j * cols, cols, hi, has_lo ? lo : NULL, &f, &bad), 0);
		worst = fmax(worst, fabs(hx1_table_end(hx1_table_sum(q, cols, hi, has_lo ? lo : NULL), e, f, 0,
						 -(5LL << 19) + hx1_log_count(151936)) /
						    0x1p20 -
					    exact));
	}
	free(x);
	free(q);
	free(lo);
	free(hi);
	free(u);
	return worst;
}

static void self_certainty_by_a_table_is_near_the_true_one(void **state)
{
	static const uint32_t sizes[] = {576, 896, 3584, 8192};
	struct dice dice = {4};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes) * 2 * VETO_FORMATS; i++) {
		const uint32_t cols = sizes[i / (2 * VETO_FORMATS)];
		const enum state_kind kind = i / VETO_FORMATS % 2 ? STATE_WITH_OUTLIERS : STATE_NORMAL;
		const enum veto_format format = (enum veto_format)(i % VETO_FORMATS);

		assert_true(worst_certainty(cols, true, kind, format, &dice) <= 1e-4);
		assert_true(worst_certainty(cols, false, kind, format, &dice) <= 5e-3);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(distances_are_near_the_true_ones),
		cmocka_unit_test(rewards_are_near_the_true_ones),
		cmocka_unit_test(self_certainty_by_a_table_is_near_the_true_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
