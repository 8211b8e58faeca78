/* SPDX-License-Identifier: Apache-2.0 */
/* HX1: operators and steps on numbers worked by hand, and against double precision. */
#include "check.h"
#include "fx1.h"
#include "hx1.h"
#include "rows.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void rounding_is_to_nearest_with_ties_to_even(void **state)
{
	static const struct {
		int64_t v, s, expected;
	} cases[] = {
		{5, 1, 2},
		{7, 1, 4},
		{-5, 1, -2},
		{-7, 1, -4},
		{-1, 61, 0},
		{1, -50, 1LL << 40}, /* as published */
		{6, 2, 2},
		{10, 2, 2},
		{11, 2, 3},
		{-6, 2, -2},
		{-9, 2, -2},
		{-11, 2, -3},
		{0, -1000, 0},
		{1, -40, 1LL << 40},
		{1, -39, 1LL << 39},
		{-1, -40, -(1LL << 40)},
		{-1, -41, -(1LL << 40)},
		{-1, -64, -(1LL << 40)},
		{3, 0, 3},
		{(1LL << 41) + 1, 0, 1LL << 40},
		{-(1LL << 41), 0, -(1LL << 40)},
		{(1LL << 60) - 1, 60, 1},
		{1LL << 59, 60, 0},
		{(1LL << 59) + 1, 60, 1},
		{3LL << 58, 59, 2},
		{(1LL << 60) - 1, 10, 1LL << 40},
		{-1, 60, 0},
		{-((1LL << 60) - 1), 60, -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(hx1_round(cases[i].v, cases[i].s), cases[i].expected);
}

/* 1.5 has the exponent field 127: E = 0, so 1.0 is 2^14 in 16 bits and 2^22 in 24. */
static void states_are_quantised_against_their_largest_exponent(void **state)
{
	static const float x[] = {
		1.5f, -1.0f, 0.0f, 0x1p-14f, 0x1p-15f, 0x1.8p-14f, -0x1.8p-15f, 0x1.fffffep0f, 0x1p-22f, 0x1p-140f};
	static const int32_t q16[] = {24576, -16384, 0, 1, 0, 2, -1, 32767, 0, 0};
	static const int32_t q24[] = {6291456, -4194304, 0, 256, 128, 384, -192, 8388607, 1, 0};
	int32_t q[10], e;

	(void)state;
	assert_true(hx1_quantise(x, VETO_FP32, 10, 16, q, &e));
	assert_int_equal(e, 0);
	assert_memory_equal(q, q16, sizeof(q16));
	assert_true(hx1_quantise(x, VETO_FP32, 10, 24, q, &e));
	assert_memory_equal(q, q24, sizeof(q24));
}

/* 2^-149 alone: field 0 counts as 1, E = -126, and q24 is 2^-149 / 2^(-126 - 22) = 1/2, a tie that goes to even. */
static void subnormal_states_count(void **state)
{
	static const uint32_t bits[] = {1, 3, 0x00400000, 0x80400000};
	static const uint16_t half[] = {1, 0x8200}; /* 2^-24, -2^-15 */
	int32_t q[4], e;

	(void)state;
	assert_true(hx1_quantise(bits, VETO_FP32, 4, 24, q, &e));
	assert_int_equal(e, -126);
	assert_int_equal(q[0], 0);
	assert_int_equal(q[1], 2); /* 3/2 */
	assert_int_equal(q[2], 1 << 21);
	assert_int_equal(q[3], -(1 << 21));
	assert_true(hx1_quantise(half, VETO_FP16, 2, 16, q, &e));
	assert_int_equal(e, -15);
	assert_int_equal(q[0], 1 << 5);
	assert_int_equal(q[1], -(1 << 14));
}

static void a_state_with_nan_or_infinity_is_bad(void **state)
{
	static const float bad[][2] = {{NAN, 1}, {1, INFINITY}, {-INFINITY, 0}};
	static const uint16_t half[][2] = {{0x7c00, 0}, {0, 0xfc01}}, brain[][2] = {{0x7f80, 0}, {0, 0xffc1}};
	int32_t q[2], e;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_false(hx1_quantise(bad[i], VETO_FP32, 2, 16, q, &e));
	for (int i = 0; i < 2; i++) {
		assert_false(hx1_quantise(half[i], VETO_FP16, 2, 24, q, &e));
		assert_false(hx1_quantise(brain[i], VETO_BF16, 2, 16, q, &e));
	}
}

/* Weights of 1/2 and -1/4 in int8: a = 1/2, a / 127 = 0.504 * 2^-7, mant = rint(0.50394 * 65536) = 33026, sh = 23. */
static void a_row_of_weights_becomes_integers(void **state)
{
	static const double w[] = {0.5, -0.25, 0}, zero[] = {0, -0.0, 0}, tiny[] = {0, 0, 0x1p-90}, nan[] = {0, NAN, 0};
	struct veto_weight_scale scale;
	int16_t out16[3];
	int8_t out[3];
	uint32_t bad;

	(void)state;
	assert_int_equal(hx1_make_row(w, 3, -1.5, VETO_INT8, out, &scale, &bad), 0);
	assert_int_equal(scale.mant, 33026);
	assert_int_equal(scale.sh, 23);
	assert_int_equal(scale.bias, -98304);
	assert_int_equal(out[0], 127);
	assert_int_equal(out[1], -64); /* -63.50003: the unit is a little less than 1/254 */
	assert_int_equal(out[2], 0);
	assert_int_equal(hx1_make_row(w, 3, 0, VETO_INT16, out16, &scale, &bad), 0);
	assert_int_equal(scale.mant, 32769);
	assert_int_equal(scale.sh, 31);
	assert_int_equal(out16[0], 32767);
	assert_int_equal(hx1_make_row(zero, 3, 0, VETO_INT16, out16, &scale, &bad), 0);
	assert_int_equal(scale.mant, 32768);
	assert_int_equal(scale.sh, 15);
	assert_int_equal(hx1_make_row(nan, 3, 0, VETO_INT16, out16, &scale, &bad), -EINVAL);
	assert_int_equal(bad, 1);
	assert_int_equal(hx1_make_row(w, 3, 32768, VETO_INT16, out16, &scale, &bad), -EINVAL);
	assert_int_equal(bad, 3);
	assert_int_equal(hx1_make_row(w, 3, NAN, VETO_INT16, out16, &scale, &bad), -EINVAL);
	assert_int_equal(bad, 3);
	assert_int_equal(hx1_make_row(w, 3, -32768, VETO_INT16, out16, &scale, &bad), 0);
	assert_int_equal(scale.bias, INT32_MIN);
	assert_int_equal(hx1_make_row(tiny, 3, 0, VETO_INT8, out, &scale, &bad), 0);
	assert_int_equal(scale.sh, 112);
	assert_int_equal(hx1_make_row(tiny, 3, 0, VETO_INT16, out16, &scale, &bad), 0);
	assert_int_equal(scale.sh, 120);
}

/* z = 3 * 1 - 2 * 0.5 + 0.25 = 2.25 with weights that are exact: w = 3 and -2 with mant = 2^15, sh = 15. */
static void a_layer_is_a_sum_of_products(void **state)
{
	static const int8_t w[] = {3, -2, 127, 127};
	static const struct veto_weight_scale scale[] = {{32768, 15, 16384}, {32768, -20, 0}};
	const struct hx1_layer layer = {2, 2, VETO_INT8, w, scale};
	static const float x[] = {1, 0.5f};
	int32_t q[2], e, z[2];

	(void)state;
	assert_true(hx1_quantise(x, VETO_FP32, 2, 16, q, &e));
	hx1_dense(&layer, q, e, z);
	assert_int_equal(z[0], 147456); /* 2.25 in Q16 */
	assert_int_equal(z[1], INT32_MAX); /* 127 * 1.5 * 2^35 */
}

/* The largest is 5.0 = 5 * 2^16: b = 18, so 4 bits are cut, and q is z / 16 with E = 2. */
static void between_layers_negative_values_become_zero(void **state)
{
	static const int32_t z[] = {5 << 16, -458752, 8, 24, 25, 7}, none[] = {-5, 0}, most[] = {INT32_MAX, 1 << 16};
	static const int32_t expected[] = {20480, 0, 0, 2, 2, 0};
	int32_t q[6], e;

	(void)state;
	hx1_between(z, 6, q, &e);
	assert_int_equal(e, 2);
	assert_memory_equal(q, expected, sizeof(q));
	hx1_between(none, 2, q, &e);
	assert_int_equal(e, 0);
	assert_int_equal(q[0], 0);
	assert_int_equal(q[1], 0);
	hx1_between(most, 2, q, &e);
	assert_int_equal(e, 14);
	assert_int_equal(q[0], 32767);
	assert_int_equal(q[1], 1);
	hx1_between((const int32_t[]){1}, 1, q, &e); /* 2^-16: small values are widened */
	assert_int_equal(q[0], 1 << 14);
	assert_int_equal(e, -16);
}

static double to_double(int32_t z) { return z / 65536.0; }

static void softmax_is_near_the_true_one(void **state)
{
	struct dice r = {7};
	double worst = 0, worst_log = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		const uint32_t k = 2 + (uint32_t)(dice_next(&r) % 7);
		int32_t z[8];
		uint32_t p[8];
		int64_t lp[8];
		double sum = 0;

		for (uint32_t j = 0; j < k; j++)
			z[j] = (int32_t)((dice_unit(&r) - 0.5) * 40 * 65536);
		hx1_softmax(z, k, p, lp);
		for (uint32_t j = 0; j < k; j++)
			sum += exp(to_double(z[j]));
		for (uint32_t j = 0; j < k; j++) {
			worst = fmax(worst, fabs(p[j] / 0x1p31 - exp(to_double(z[j])) / sum));
			worst_log = fmax(worst_log, fabs((double)lp[j] / 0x1p20 - (to_double(z[j]) - log(sum))));
		}
	}
	assert_true(worst <= 2e-5);
	assert_true(worst_log <= 4e-5);
}

static void the_sigmoid_rises_and_its_two_sides_add_up(void **state)
{
	uint32_t last = 0;

	(void)state;
	for (int32_t i = -40 * 1024; i <= 40 * 1024; i++) {
		const int32_t z[] = {0, i * 64};
		uint32_t p[2];
		int64_t lp[2];

		hx1_softmax(z, 2, p, lp);
		assert_true(fabs(p[1] / 0x1p31 - 1 / (1 + exp(-to_double(z[1])))) <= 2e-5);
		assert_true(fabs((double)lp[1] / 0x1p20 + log1p(exp(-to_double(z[1])))) <= 4e-5);
		assert_true(p[1] >= last);
		assert_in_range((int64_t)p[0] + p[1] + 1, 1LL << 31, (1LL << 31) + 1);
		last = p[1];
	}
}

/* Equal outputs: e_k = 2^31 each, so p = 1/K, rounded down. */
static void equal_outputs_share_equally(void **state)
{
	static const int32_t z[VETO_HEAD_OUTPUTS_MAX];
	uint32_t p[VETO_HEAD_OUTPUTS_MAX];
	int64_t lp[VETO_HEAD_OUTPUTS_MAX];

	(void)state;
	for (uint32_t k = 1; k <= VETO_HEAD_OUTPUTS_MAX; k++) {
		hx1_softmax(z, k, p, lp);
		assert_int_equal(p[k - 1], (1u << 31) / k);
		assert_true(fabs((double)lp[k - 1] / 0x1p20 + log(k)) < 2e-6);
	}
	assert_int_equal(hx1_both(1u << 30, 1u << 29), 3u << 29);
	assert_int_equal(hx1_both(1u << 31, 1), 1u << 31);
}

static void extreme_outputs_stay_finite(void **state)
{
	static const int32_t z[] = {INT32_MIN, INT32_MAX, 0};
	uint32_t p[3];
	int64_t lp[3];

	(void)state;
	hx1_softmax(z, 3, p, lp);
	assert_int_equal(p[0], 0);
	assert_int_equal(p[1], 1u << 31);
	assert_int_equal(p[2], 0);
	/* z counts as +-2^26 in Q16: 1024 nats each way */
	assert_true(fabs((double)lp[0] / 0x1p20 + 2048) < 1e-2);
	assert_true(fabs((double)lp[2] / 0x1p20 + 1024) < 1e-2);
}

/* The plane of the first two axes, in three dimensions: (3, 4, 2) is 2 away from it. */
static void a_distance_is_what_the_rows_leave(void **state)
{
	static const double axes[2][3] = {{1, 0, 0}, {0, 1, 0}};
	static const float x[] = {3, 4, 2}, inside[] = {-1, 1, 0};
	int16_t w[2][3];
	struct veto_weight_scale scale[2];
	const struct hx1_layer layer = {2, 3, VETO_INT16, w, scale};
	int32_t q[3], e;
	uint32_t bad;

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(hx1_make_row(axes[i], 3, 0, VETO_INT16, w[i], &scale[i], &bad), 0);
	assert_true(hx1_quantise(x, VETO_FP32, 3, 16, q, &e));
	assert_true(fabs(to_double(hx1_distance(&layer, q, e)) - 2) < 1e-3);
	assert_true(hx1_quantise(inside, VETO_FP32, 3, 16, q, &e));
	assert_true(to_double(hx1_distance(&layer, q, e)) < 0.02);
}

static void logarithms_go_back_to_probabilities(void **state)
{
	(void)state;
	for (int64_t l = 0; l > -(25LL << 20); l -= 977)
		assert_true(fabs(hx1_exp(l) / 0x1p31 - exp((double)l / 0x1p20)) <= 2e-5);
	assert_int_equal(hx1_exp(0), 1u << 31);
	assert_int_equal(hx1_exp(1 << 20), 1u << 31);
	assert_int_equal(hx1_exp(-(23LL << 20)), 0);
	assert_int_equal(hx1_exp(-(1LL << 50)), 0);
	assert_int_equal(hx1_exp(1LL << 50), 1u << 31);
}

/* u = (1, -1/2): F = 0, v = (2^22, -2^21); h = (1, 1/2): q24 = (2^22, 2^21), E = 0, so the sum is 3/4. */
static void a_table_row_gives_self_certainty(void **state)
{
	static const double u[] = {1, -0.5}, large[] = {0, -6}, bad_row[] = {0, INFINITY}, zero[] = {0, 0};
	static const float h[] = {1, 0.5f};
	int16_t hi[2], f;
	uint8_t lo[2];
	int32_t q[2], e;
	uint32_t bad;

	(void)state;
	assert_int_equal(hx1_make_table_row(u, 2, hi, lo, &f, &bad), 0);
	assert_int_equal(f, 0);
	assert_int_equal(hi[0] * 256 + lo[0], 1 << 22);
	assert_int_equal(hi[1] * 256 + lo[1], -(1 << 21));
	assert_true(hx1_quantise(h, VETO_FP32, 2, 24, q, &e));
	assert_int_equal(hx1_table_sum(q, 2, hi, lo), 3LL << 42);
	/* 0.75 + c 0.25 - logp -2 - log 4 */
	assert_int_equal(
		hx1_table_end(3LL << 42, e, f, 1 << 18, -(2LL << 20) + hx1_log_count(4)), (3 << 20) - hx1_log_count(4));
	assert_true(fabs((double)hx1_log_count(151936) / 0x1p20 - log(151936)) < 2e-6);
	assert_int_equal(hx1_make_table_row(large, 2, hi, lo, &f, &bad), 0);
	assert_int_equal(f, 2);
	assert_int_equal(hi[1] * 256 + lo[1], -6 * (1 << 20));
	assert_int_equal(hx1_make_table_row(large, 2, hi, NULL, &f, &bad), 0);
	assert_int_equal(hi[1], -6 * (1 << 12));
	assert_int_equal(hx1_table_sum(q, 2, hi, NULL), -6LL * (1 << 20) * (1 << 21));
	assert_int_equal(hx1_make_table_row(zero, 2, hi, lo, &f, &bad), 0);
	assert_int_equal(f, 0);
	assert_int_equal(hx1_make_table_row(bad_row, 2, hi, lo, &f, &bad), -EINVAL);
	assert_int_equal(bad, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(rounding_is_to_nearest_with_ties_to_even),
		cmocka_unit_test(states_are_quantised_against_their_largest_exponent),
		cmocka_unit_test(subnormal_states_count),
		cmocka_unit_test(a_state_with_nan_or_infinity_is_bad),
		cmocka_unit_test(a_row_of_weights_becomes_integers),
		cmocka_unit_test(a_layer_is_a_sum_of_products),
		cmocka_unit_test(between_layers_negative_values_become_zero),
		cmocka_unit_test(softmax_is_near_the_true_one),
		cmocka_unit_test(the_sigmoid_rises_and_its_two_sides_add_up),
		cmocka_unit_test(equal_outputs_share_equally),
		cmocka_unit_test(extreme_outputs_stay_finite),
		cmocka_unit_test(a_distance_is_what_the_rows_leave),
		cmocka_unit_test(logarithms_go_back_to_probabilities),
		cmocka_unit_test(a_table_row_gives_self_certainty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
