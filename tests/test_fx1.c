/* SPDX-License-Identifier: Apache-2.0 */
/* The reference, held against hand-worked rows, golden rows, and long double arithmetic. */
#include "check.h"
#include "fx1.h"
#include "golden.h"
#include "rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct veto_score score_row(const float *row, uint32_t cols, uint32_t token, struct veto_record *record)
{
	struct veto_rows rows = {
		.rows = 1, .cols = cols, .stride_bytes = 4 * (size_t)cols, .data = row, .token = &token, .top_k = 2};
	struct fx1_top top[2];
	struct veto_score score;

	fx1_row(row, VETO_FP32, cols, 2, record, top);
	fx1_finish(&rows, 0, record, top, &score, NULL);
	return score;
}

/* Three logits of 0: y = 0, m = 2^16, e = 2^31, D = 2^16; s = 3 * 2^31, t = 3 * 2^47; S = T = 3 * 2^44. */
static void a_uniform_row_by_hand(void **state)
{
	const float row[3] = {0, 0, 0};
	struct veto_record r;
	struct veto_score score = score_row(row, 3, 1, &r);

	(void)state;
	assert_int_equal(r.n, 0);
	assert_int_equal(r.ymax, 0);
	assert_int_equal(r.cnt, 3);
	assert_int_equal(r.sumy, 0);
	assert_true(r.s == 3ULL << 44);
	assert_true(r.t == 3ULL << 44);
	/* log 3 = 1.0986123 nats = 1151978.4 in Q20 */
	assert_int_equal(score.field[VETO_ENTROPY].low, 1151978);
	assert_int_equal(score.field[VETO_LSE].low, 1151978);
	assert_int_equal(score.field[VETO_TOKEN_LOGP].low, -1151978);
	assert_int_equal(score.field[VETO_SELF_CERTAINTY].low, 0);
	assert_int_equal(score.field[VETO_MARGIN].low, 0);
}

/* 1 and 0: y = RNE(0xb8aa3b / 128) = 94548 and 0, so n = 1.  Of 94548, f = 29012, g = 28, r = 340 and
 * m = 65536 + 23216 + ((15459 * 680 + 0x4000) >> 15) = 89073, d = 0; of 0, m = 65536, d = 1.  So e = 89073 * 2^15 and 2^30,
 * D = 36524 and 131072; s = 3992485888, t = 247341696548864; S = s * 2^13, T = t / 8. */
static void two_logits_by_hand(void **state)
{
	const float row[2] = {1, 0};
	struct veto_record r;
	struct veto_score score = score_row(row, 2, 0, &r);
	/* With e = 2.718281828: LSE = log(1 + e) = 1.3132617, logp = -0.3132617, SC = LSE - 1/2 - log 2 = 0.1201145,
	 * H = 0.5822031. */
	static const struct {
		enum veto_field field;
		double nats;
	} want[] = {
		{VETO_LSE, 1.3132617},
		{VETO_TOKEN_LOGP, -0.3132617},
		{VETO_SELF_CERTAINTY, 0.1201145},
		{VETO_ENTROPY, 0.5822031},
		{VETO_MEAN, 0.5},
		{VETO_MARGIN, 1},
	};

	(void)state;
	assert_int_equal(r.n, 1);
	assert_int_equal(r.ymax, 94548);
	assert_int_equal(r.sumy, 94548);
	assert_true(r.s == 32706444394496);
	assert_true(r.t == 30917712068608);
	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		double nats = (double)score.field[want[i].field].low / 0x1p20;

		if (fabs(nats - want[i].nats) > 2e-5)
			fail_msg("%s: %.7f, expected %.7f", veto_fields[want[i].field].name, nats, want[i].nats);
	}
}

static void a_row_without_entries_is_empty(void **state)
{
	const float row[4] = {NAN, -INFINITY, -1e4f, -1024.125f};
	struct veto_record r;
	struct veto_score score = score_row(row, 4, 1, &r);

	(void)state;
	assert_int_equal(r.n, -(1 << 20));
	assert_int_equal(r.ymax, INT32_MIN);
	assert_int_equal(r.cnt, 0);
	assert_int_equal(r.n_nan, 1);
	assert_int_equal(score.has, 0);
	assert_int_equal(score.flags, VETO_EMPTY | VETO_NAN);
}

static void masked_tokens_count_for_nothing(void **state)
{
	float row[2000], masked[4000];
	struct veto_record a, b;
	struct veto_score plain, score;

	(void)state;
	row_make(ROW_MODEL, VETO_FP32, 1000, 5, row);
	plain = score_row(row, 1000, 3, &a);
	/* The same entries in the same chunk, masked ones between. */
	for (int i = 0; i < 1000; i++)
		row[i + 1000] = -1e4f;
	score = score_row(row, 2000, 3, &b);
	assert_memory_equal(&plain, &score, sizeof(score));
	memcpy(masked, row, sizeof(row));
	for (int i = 2000; i < 4000; i++)
		masked[i] = -INFINITY;
	score = score_row(masked, 4000, 3, &b);
	assert_memory_equal(&plain, &score, sizeof(score));
	assert_memory_equal(&a, &b, sizeof(a));
}

static void a_masked_or_missing_token_has_no_log_probability(void **state)
{
	const float row[3] = {1, -INFINITY, 2};
	struct veto_record r;

	(void)state;
	assert_true(score_row(row, 3, 0, &r).has >> VETO_TOKEN_LOGP & 1);
	assert_false(score_row(row, 3, 1, &r).has >> VETO_TOKEN_LOGP & 1);
	assert_false(score_row(row, 3, VETO_NO_TOKEN, &r).has >> VETO_TOKEN_LOGP & 1);
}

static void logits_become_log2_units_by_rounding_twice(void **state)
{
	static const struct {
		float x;
		int32_t y;
	} cases[] = {
		{0, 0},
		{-0.0f, 0},
		{1, 94548}, /* 0xb8aa3b / 128 = 94548.46 */
		{1024, 96817624}, /* 0xb8aa3b * 8 */
		{0x1.8p-16f, 2}, /* 2.164 */
		{0x1p-17f, 1}, /* 0.7213 */
		{5.28e-6f, 0}, /* 0.4992 */
		{1e-40f, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int32_t y = fx1_y(cases[i].x);
		float product = cases[i].x * 0x1.715476p+16f;

		if (y != cases[i].y || y != (int32_t)rintf(product) || fx1_y(-cases[i].x) != -y)
			fail_msg("%a: y is %d, expected %d", (double)cases[i].x, y, cases[i].y);
	}
	for (uint64_t bits = 0; bits < 1ULL << 32; bits += 9973) {
		uint32_t b = (uint32_t)bits;
		float x, product;

		memcpy(&x, &b, sizeof(x));
		product = x * 0x1.715476p+16f;
		if (fabsf(x) <= 1024 && fx1_y(x) != (int32_t)rintf(product))
			fail_msg("%a: %d by integers, %d by floats", (double)x, fx1_y(x), (int32_t)rintf(product));
	}
}

static void the_mantissa_is_right_to_two_parts_in_a_hundred_thousand(void **state)
{
	double worst = 0;

	(void)state;
	for (uint32_t f = 0; f < 65536; f++) {
		double error = fabs(fx1_mantissa(f) / 65536.0 / exp2(f / 65536.0) - 1);

		if (error > worst)
			worst = error;
		if (f > 0)
			assert_true(fx1_mantissa(f) >= fx1_mantissa(f - 1));
	}
	print_message("largest relative error of 2^f: %.4g\n", worst);
	assert_true(worst <= 1.772e-5);
}

static void logarithms_are_exact_to_26_bits(void **state)
{
	struct dice dice = {1};

	(void)state;
	for (int i = 0; i < 64; i++)
		assert_int_equal(fx1_log2(1ULL << i), (int64_t)i << 26);
	for (int i = 0; i < 100000; i++) {
		uint64_t v = dice_next(&dice) >> dice_below(&dice, 64);
		long double error = v ? (long double)fx1_log2(v) - log2l((long double)v) * 0x1p26L : 0;

		if (fabsl(error) > 2)
			fail_msg("log2(%llu) is off by %.2Lf units", (unsigned long long)v, error);
	}
}

static void short_formats_widen_exactly(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 65536; i++) {
		uint16_t half = (uint16_t)i;
		int exponent = (int)(i >> 10 & 31), fraction = (int)(i & 1023);
		double want = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
		float got = fx1_widen(&half, VETO_FP16, 0);
		uint32_t bits;

		if (exponent == 31)
			assert_true(fraction ? isnan(got) : isinf(got));
		else
			assert_true((double)fabsf(got) == want);
		assert_int_equal(signbit(got) != 0, i >> 15);
		got = fx1_widen(&half, VETO_BF16, 0);
		memcpy(&bits, &got, sizeof(bits));
		assert_int_equal(bits, i << 16);
	}
}

static void keys_order_all_floats(void **state)
{
	static const float rising[] = {
		-INFINITY, -1e30f, -1, -0x1p-149f, -0.0f, 0.0f, 0x1p-149f, 1, 1024, 1025, INFINITY};

	(void)state;
	for (size_t i = 1; i < sizeof(rising) / sizeof(*rising); i++) {
		assert_true(fx1_key(rising[i - 1]) < fx1_key(rising[i]));
		assert_memory_equal(&(float){fx1_key_value(fx1_key(rising[i]))}, &rising[i], sizeof(float));
	}
}

static void equal_keys_rank_by_token(void **state)
{
	const float row[6] = {1, -0.0f, 0, 1, 2000, 1500};
	struct veto_record r;
	struct fx1_top top[7];
	static const uint32_t want[7] = {4, 5, 0, 3, 2, 1, VETO_NO_TOKEN};

	(void)state;
	fx1_row(row, VETO_FP32, 6, 7, &r, top);
	for (int i = 0; i < 7; i++)
		assert_int_equal(top[i].id, want[i]);
	assert_int_equal(r.n_sat, 2);
}

static void chunks_merge_in_any_order(void **state)
{
	static float row[40 * VETO_CHUNK_LOGITS];
	struct veto_chunk chunk[40];
	struct veto_record want, got;
	struct dice dice = {3};

	(void)state;
	row_make(ROW_TERRACES, VETO_FP32, 40 * VETO_CHUNK_LOGITS, 9, row);
	for (uint32_t i = 0; i < 40; i++)
		fx1_chunk(row, VETO_FP32, i * VETO_CHUNK_LOGITS, VETO_CHUNK_LOGITS, &chunk[i]);
	fx1_merge(chunk, 40, &want);
	for (int round = 0; round < 100; round++) {
		for (uint32_t i = 39; i > 0; i--) {
			uint32_t j = dice_below(&dice, i + 1);
			struct veto_chunk moving = chunk[i];

			chunk[i] = chunk[j];
			chunk[j] = moving;
		}
		fx1_merge(chunk, 40, &got);
		assert_memory_equal(&want, &got, sizeof(want));
	}
}

static void check_golden(const struct golden *golden, void *arg)
{
	uint32_t *rows = arg;

	for (uint32_t i = 0; i < golden->rows.rows; i++) {
		struct veto_record record;
		struct fx1_top top[2];

		fx1_row((const char *)golden->rows.data + i * golden->rows.stride_bytes, golden->rows.format,
			golden->rows.cols, 2, &record, top);
		if (memcmp(&record, &golden->record[i], sizeof(record)) != 0)
			fail_msg("golden rows %s, row %u", golden->name, i);
		(*rows)++;
	}
}

static void golden_rows_give_their_records(void **state)
{
	uint32_t rows = 0;

	(void)state;
	golden_each(check_golden, &rows);
	print_message("%u golden rows\n", rows);
	assert_true(rows > 100);
}

/* --- Against long double --- */

enum { SC, H, LSE, LOGP, MEASURES };

/* The formulas on the same stored values. */
static void measure(const float *row, uint32_t cols, uint32_t token, long double out[MEASURES])
{
	long double best = -INFINITY, sum = 0, weighted = 0, plain = 0, lse;

	for (uint32_t i = 0; i < cols; i++)
		best = row[i] > best ? (long double)row[i] : best;
	for (uint32_t i = 0; i < cols; i++) {
		long double e = expl((long double)row[i] - best);

		sum += e;
		weighted += e * (long double)row[i];
		plain += (long double)row[i];
	}
	lse = best + logl(sum);
	out[SC] = lse - plain / cols - logl(cols);
	out[H] = lse - weighted / sum;
	out[LSE] = lse;
	out[LOGP] = (long double)row[token] - lse;
}

static void compare(enum row_kind kind, uint32_t cols, uint64_t seed, double worst[MEASURES])
{
	static const enum veto_field field[MEASURES] = {VETO_SELF_CERTAINTY, VETO_ENTROPY, VETO_LSE, VETO_TOKEN_LOGP};
	static float row[VETO_VOCAB_MAX];
	long double want[MEASURES];
	struct veto_record record;
	struct veto_score score;
	struct dice dice = {seed};
	uint32_t token = dice_below(&dice, cols);

	row_make(kind, VETO_FP32, cols, seed, row);
	score = score_row(row, cols, token, &record);
	measure(row, cols, token, want);
	for (int i = 0; i < MEASURES; i++) {
		double error = fabs((double)((long double)score.field[field[i]].low / 0x1p20L - want[i]));

		if (error > worst[i])
			worst[i] = error;
	}
}

static void check_accuracy(const char *what, enum row_kind kind, double bound)
{
	static const uint32_t cols[] = {1, 2, 10, 300, 1024, 1025, 3000, 49152, 151936, VETO_VOCAB_MAX};
	double worst[MEASURES] = {0};

	for (size_t i = 0; i < sizeof(cols) / sizeof(*cols); i++)
		for (uint64_t seed = 0; seed < (cols[i] > 3000 ? 3 : 300); seed++)
			compare(kind, cols[i], seed, worst);
	print_message(
		"%s: largest error in nats: self-certainty %.2e, entropy %.2e, LSE %.2e, logp %.2e (bound %.0e)\n",
		what, worst[SC], worst[H], worst[LSE], worst[LOGP], bound);
	for (int i = 0; i < MEASURES; i++)
		assert_true(worst[i] <= bound);
}

static void scores_are_right_to_the_stated_bounds(void **state)
{
	(void)state;
	check_accuracy("rows as of a model", ROW_MODEL, 1e-4);
	check_accuracy("rows within +-512", ROW_WIDE, 1e-4);
	check_accuracy("rows within +-1024", ROW_WIDER, 2e-4);
	check_accuracy("rising rows", ROW_RISING, 1e-4);
	check_accuracy("chunks far apart", ROW_TERRACES, 1e-4);
	check_accuracy("ties", ROW_TIES, 2e-4);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_uniform_row_by_hand),
		cmocka_unit_test(two_logits_by_hand),
		cmocka_unit_test(a_row_without_entries_is_empty),
		cmocka_unit_test(masked_tokens_count_for_nothing),
		cmocka_unit_test(a_masked_or_missing_token_has_no_log_probability),
		cmocka_unit_test(logits_become_log2_units_by_rounding_twice),
		cmocka_unit_test(the_mantissa_is_right_to_two_parts_in_a_hundred_thousand),
		cmocka_unit_test(logarithms_are_exact_to_26_bits),
		cmocka_unit_test(short_formats_widen_exactly),
		cmocka_unit_test(keys_order_all_floats),
		cmocka_unit_test(equal_keys_rank_by_token),
		cmocka_unit_test(chunks_merge_in_any_order),
		cmocka_unit_test(golden_rows_give_their_records),
		cmocka_unit_test(scores_are_right_to_the_stated_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
