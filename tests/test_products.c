/* SPDX-License-Identifier: Apache-2.0 */
/* The processor's ways through hidden states equal the reference, bit for bit, at every size and at the edges of every
 * number. */
#include "check.h"
#include "cpu_hidden.h"
#include "rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef __x86_64__
#define ALL 4u
#else
#define ALL 1u
#endif

static const struct cpu_products *const all[ALL] = {
	&cpu_products_portable,
#ifdef __x86_64__
	&cpu_products_avx2,
	&cpu_products_avx512,
	&cpu_products_vnni,
#endif
};

#define SIZES (sizeof(sizes) / sizeof(*sizes))

static const uint32_t sizes[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 576, 896, 1000, 4095, 4096,
	4097, 4112, 8191, 8192, 8193, 8224, 16383, 16384};

static void states_become_the_same_integers(void **state)
{
	struct dice dice = {1};

	(void)state;
	for (size_t i = 0; i < SIZES * STATE_KINDS * VETO_FORMATS; i++) {
		const uint32_t cols = sizes[i / (STATE_KINDS * VETO_FORMATS)];
		const enum state_kind kind = (enum state_kind)(i / VETO_FORMATS % STATE_KINDS);
		const enum veto_format format = (enum veto_format)(i % VETO_FORMATS);
		const uint32_t padded = (cols + CPU_STATE_ALIGN - 1) / CPU_STATE_ALIGN * CPU_STATE_ALIGN;
		void *x = state_new(kind, format, cols, &dice);
		int32_t *right = malloc(cols * sizeof(*right)), *wide = malloc(padded * sizeof(*wide));
		int16_t *q = malloc(padded * sizeof(*q));

		for (size_t p = 0; p < ALL; p++) {
			int32_t e = 1, right_e = 1;
			bool is_good;

			if (!all[p]->is_supported())
				continue;
			is_good = hx1_quantise(x, format, cols, 16, right, &right_e);
			if (is_good != all[p]->quantise16(x, format, cols, q, &e))
				fail_msg("%s: kind %d, %u values: one is bad", all[p]->name, (int)kind, cols);
			assert_int_equal(e, right_e);
			for (uint32_t j = 0; j < padded && is_good; j++)
				if (q[j] != (j < cols ? right[j] : 0))
					fail_msg("%s: kind %d, format %d, %u values: value %u is %d, expected %d",
						all[p]->name, (int)kind, (int)format, cols, j, q[j],
						j < cols ? right[j] : 0);
			if (!hx1_quantise(x, format, cols, 24, right, &right_e)) {
				assert_false(all[p]->quantise24(x, format, cols, wide, &e));
				continue;
			}
			assert_true(all[p]->quantise24(x, format, cols, wide, &e));
			assert_int_equal(e, right_e);
			assert_memory_equal(wide, right, cols * sizeof(*right));
		}
		free(q);
		free(wide);
		free(right);
		free(x);
	}
}

static int16_t edge(struct dice *dice, int16_t most) { return dice_below(dice, 2) ? most : (int16_t)-most; }

/* Random integers, or the largest of either sign, alike or not. */
static void fill16(int16_t *out, size_t count, int16_t most, int kind, struct dice *dice)
{
	for (size_t i = 0; i < count; i++)
		out[i] = kind == 0   ? (int16_t)((int32_t)dice_below(dice, 2 * (uint32_t)most + 1) - most)
			 : kind == 1 ? edge(dice, most)
				     : (int16_t)(kind == 2 ? most : -most);
}

static void check_dense(uint32_t cols, uint32_t rows, uint32_t states, int weights_kind, int state_kind, bool is_int8,
	struct dice *dice)
{
	const size_t stride = (cols + CPU_STATE_ALIGN - 1) / CPU_STATE_ALIGN * CPU_STATE_ALIGN;
	int16_t *w = malloc((size_t)rows * cols * sizeof(*w)), *q = calloc(states * stride, sizeof(*q));
	int8_t *narrow = malloc((size_t)rows * cols);
	int64_t *acc = malloc((size_t)rows * states * sizeof(*acc));
	int32_t *wide = malloc(cols * sizeof(*wide));
	const struct hx1_layer layer = {
		rows, cols, is_int8 ? VETO_INT8 : VETO_INT16, is_int8 ? (void *)narrow : w, NULL};

	fill16(w, (size_t)rows * cols, is_int8 ? 127 : INT16_MAX, weights_kind, dice);
	for (size_t i = 0; i < (size_t)rows * cols; i++)
		narrow[i] = (int8_t)w[i];
	for (uint32_t s = 0; s < states; s++)
		fill16(q + s * stride, cols, INT16_MAX, state_kind, dice);
	for (size_t p = 0; p < ALL; p++) {
		if (!all[p]->is_supported())
			continue;
		memset(acc, 0x55, (size_t)rows * states * sizeof(*acc));
		all[p]->dense(&layer, q, stride, states, acc);
		for (uint32_t s = 0; s < states; s++) {
			for (uint32_t i = 0; i < cols; i++)
				wide[i] = q[s * stride + i];
			for (uint32_t o = 0; o < rows; o++)
				if (acc[(size_t)s * rows + o] != hx1_row_sum(&layer, o, wide))
					fail_msg(
						"%s: %u x %u, %u states, int%d, kinds %d, %d: row %u, state %u: %lld, expected %lld",
						all[p]->name, rows, cols, states, is_int8 ? 8 : 16, weights_kind,
						state_kind, o, s, (long long)acc[(size_t)s * rows + o],
						(long long)hx1_row_sum(&layer, o, wide));
		}
	}
	free(wide);
	free(acc);
	free(narrow);
	free(q);
	free(w);
}

static void sums_of_products_are_the_same(void **state)
{
	struct dice dice = {2};

	(void)state;
	for (size_t i = 0; i < SIZES; i++)
		for (int kind = 0; kind < 16; kind++)
			for (int is_int8 = 0; is_int8 < 2; is_int8++)
				check_dense(sizes[i], 1 + dice_below(&dice, 9), 1 + dice_below(&dice, 5), kind / 4,
					kind % 4, is_int8, &dice);
	for (uint32_t states = 1; states <= VETO_STATES_MAX; states++)
		for (int is_int8 = 0; is_int8 < 2; is_int8++)
			check_dense(300, 131, states, 0, 0, is_int8, &dice);
}

static void rows_of_tables_give_the_same_sums(void **state)
{
	struct dice dice = {3};

	(void)state;
	for (size_t i = 0; i < SIZES * 16; i++) {
		const uint32_t cols = sizes[i / 16];
		const int kind = (int)(i % 16);
		int32_t *q = malloc(cols * sizeof(*q));
		int16_t *hi = malloc(cols * sizeof(*hi));
		uint8_t *lo = malloc(cols);

		fill16(hi, cols, INT16_MAX, kind / 4, &dice);
		for (uint32_t j = 0; j < cols; j++) {
			const int32_t most = (1 << 23) - 1;

			lo[j] = kind / 4 == 2 ? 255 : (uint8_t)dice_next(&dice);
			q[j] = kind % 4 == 0   ? (int32_t)dice_below(&dice, 1u << 24) - (1 << 23)
			       : kind % 4 == 1 ? most * (dice_below(&dice, 2) ? 1 : -1)
					       : most * (kind % 4 == 2 ? 1 : -1);
		}
		for (size_t p = 0; p < ALL; p++) {
			if (!all[p]->is_supported())
				continue;
			assert_int_equal(all[p]->table(q, cols, hi, lo), hx1_table_sum(q, cols, hi, lo));
			assert_int_equal(all[p]->table(q, cols, hi, NULL), hx1_table_sum(q, cols, hi, NULL));
		}
		free(lo);
		free(hi);
		free(q);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(states_become_the_same_integers),
		cmocka_unit_test(sums_of_products_are_the_same),
		cmocka_unit_test(rows_of_tables_give_the_same_sums),
	};

	for (size_t p = 0; p < ALL; p++)
		if (!all[p]->is_supported())
			print_message("not on this processor: %s\n", all[p]->name);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
