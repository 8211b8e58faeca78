/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of devices: their answers are those of the reference. */
#include "check.h"
#include "contract.h"
#include "fx1.h"
#include "golden.h"
#include "rows.h"

#include <fenv.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define JOB_ROWS_MAX 32

static uint64_t budget; /* logits left */

struct answers {
	struct veto_score score[JOB_ROWS_MAX];
	struct veto_record record[JOB_ROWS_MAX];
	uint32_t top_id[JOB_ROWS_MAX * VETO_TOP_MAX], subset_q31[JOB_ROWS_MAX * VETO_SUBSET_MAX];
};

static struct veto_results results_of(struct answers *a)
{
	return (struct veto_results){
		.score = a->score, .record = a->record, .top_id = a->top_id, .subset_q31 = a->subset_q31};
}

static void find_reference(const struct veto_rows *rows, struct answers *out)
{
	struct fx1_top top[VETO_TOP_MAX];

	for (uint32_t i = 0; i < rows->rows; i++) {
		fx1_row((const char *)rows->data + i * rows->stride_bytes, rows->format, rows->cols, VETO_TOP_MAX,
			&out->record[i], top);
		fx1_finish(rows, i, &out->record[i], top, &out->score[i], &out->subset_q31[i * rows->subset_tokens]);
		for (uint32_t j = 0; j < rows->top_k; j++)
			out->top_id[i * rows->top_k + j] = top[j].id;
	}
}

static void assert_same_row(
	const struct veto_rows *rows, uint32_t i, const struct answers *a, const struct answers *b, const char *what)
{
	const struct veto_record *x = &a->record[i], *y = &b->record[i];

	if (memcmp(x, y, sizeof(*x)) != 0)
		fail_msg(
			"%s: %s, %s, %u logits, row %u: record n %d %d, ymax %d %d, cnt %u %u, nan %u %u, sat %u %u, sumy %lld "
			"%lld, s %llx %llx, t %llx %llx",
			contract_uri, what, veto_format_names[rows->format], rows->cols, i, x->n, y->n, x->ymax,
			y->ymax, x->cnt, y->cnt, x->n_nan, y->n_nan, x->n_sat, y->n_sat, (long long)x->sumy,
			(long long)y->sumy, (unsigned long long)x->s, (unsigned long long)y->s,
			(unsigned long long)x->t, (unsigned long long)y->t);
	for (uint32_t j = i * rows->top_k; j < (i + 1) * rows->top_k; j++)
		if (a->top_id[j] != b->top_id[j])
			fail_msg("%s: %s, %s, %u logits, row %u: top %u is %u, expected %u", contract_uri, what,
				veto_format_names[rows->format], rows->cols, i, j - i * rows->top_k, a->top_id[j],
				b->top_id[j]);
	assert_memory_equal(&a->score[i], &b->score[i], sizeof(a->score[i]));
	assert_memory_equal(&a->subset_q31[i * rows->subset_tokens], &b->subset_q31[i * rows->subset_tokens],
		rows->subset_tokens * sizeof(uint32_t));
}

/* The device's answers are the reference's. */
static void check_rows(struct veto_device *dev, const struct veto_rows *rows, const char *what)
{
	static struct answers got, want;
	struct veto_results out = results_of(&got);

	assert_true(rows->rows <= JOB_ROWS_MAX);
	assert_int_equal(veto_device_score(dev, rows, &out), 0);
	find_reference(rows, &want);
	for (uint32_t i = 0; i < rows->rows; i++)
		assert_same_row(rows, i, &got, &want, what);
	budget -= budget < (uint64_t)rows->rows * rows->cols ? budget : (uint64_t)rows->rows * rows->cols;
}

/* A row of each of these kinds in one job: at an odd address, padded with finite values, every option in use. */
static void check_kinds(struct veto_device *dev, const enum row_kind *kinds, uint32_t count, enum veto_format format,
	uint32_t cols, uint64_t seed)
{
	const size_t bytes = veto_format_bytes(format);
	struct dice dice = {seed};
	struct veto_rows rows = {.format = format, .rows = count, .cols = cols};
	uint32_t token[JOB_ROWS_MAX], subset[2];
	const size_t shift = dice_below(&dice, 8);
	char *memory;

	rows.stride_bytes = cols * bytes + dice_below(&dice, 9);
	rows.top_k = dice_below(&dice, VETO_TOP_MAX + 1);
	memory = malloc(shift + count * rows.stride_bytes);
	assert_non_null(memory);
	memset(memory, 0x44, shift + count * rows.stride_bytes);
	rows.data = memory + shift;
	for (uint32_t i = 0; i < count; i++) {
		row_make(kinds[i], format, cols, seed + i, memory + shift + i * rows.stride_bytes);
		token[i] = dice_below(&dice, 4) ? dice_below(&dice, cols) : VETO_NO_TOKEN;
	}
	rows.token = token;
	subset[0] = dice_below(&dice, cols);
	subset[1] = (subset[0] + 1) % cols;
	rows.subset = subset;
	rows.subset_tokens = cols > 1 ? 2 : 1;
	check_rows(dev, &rows, count == 1 ? row_kinds[kinds[0]] : "one row of each kind");
	free(memory);
}

static void rows_of_every_kind_around_every_edge_equal_the_reference(void **state)
{
	static const uint32_t edges[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256,
		257, 511, 513, 1007, 1023, 1024, 1025, 1055, 1056, 2047, 2048, 2049, 3071, 3072, 3073, 5000};
	static const uint32_t large[] = {49152, 151936, 262143, 262144};
	static const enum row_kind large_kinds[] = {ROW_MODEL, ROW_BITS, ROW_TERRACES, ROW_RISING};
	struct veto_device *dev = contract_open();
	enum row_kind all[ROW_KINDS];

	(void)state;
	for (int i = 0; i < ROW_KINDS; i++)
		all[i] = (enum row_kind)i;
	for (size_t i = 0; i < sizeof(edges) / sizeof(*edges); i++)
		for (int f = 0; f < VETO_FORMATS; f++)
			check_kinds(dev, all, ROW_KINDS, (enum veto_format)f, edges[i], 1000 * i);
	for (size_t i = 0; i < sizeof(large) / sizeof(*large); i++)
		for (int f = 0; f < VETO_FORMATS; f++)
			check_kinds(dev, large_kinds, 4, (enum veto_format)f, large[i], 77 * i);
	veto_device_close(dev);
}

/* Of all 256 edges so many as half the budget allows, the last among them; kinds and formats take turns. */
static void rows_around_every_edge_of_a_chunk_equal_the_reference(void **state)
{
	const uint64_t all = 3ull * VETO_VOCAB_MAX / VETO_CHUNK_LOGITS * (VETO_VOCAB_MAX / 2);
	const uint64_t step = 1 + 2 * all / (budget + 1);
	struct veto_device *dev = contract_open();
	uint32_t turn = 0;

	(void)state;
	for (uint64_t i = 0; i < VETO_VOCAB_MAX / VETO_CHUNK_LOGITS; i += step) {
		const uint32_t edge = VETO_VOCAB_MAX - (uint32_t)i * VETO_CHUNK_LOGITS;

		for (uint32_t cols = edge - 1; cols <= edge + 1 && cols <= VETO_VOCAB_MAX; cols++, turn++) {
			enum row_kind kind = (enum row_kind)(turn % ROW_KINDS);

			check_kinds(dev, &kind, 1, (enum veto_format)(turn / ROW_KINDS % VETO_FORMATS), cols, turn);
		}
	}
	print_message("%u rows around edges of chunks\n", turn);
	veto_device_close(dev);
}

/* What the edges leave of the budget, and so many rows as are asked for. */
static void random_rows_equal_the_reference(void **state)
{
	struct veto_device *dev = contract_open();
	struct dice dice = {4711};
	uint64_t rows = 0;

	(void)state;
	while (budget > 0 || rows < contract_random_rows) {
		enum row_kind kinds[JOB_ROWS_MAX];
		uint32_t cols = 1 + dice_below(&dice, dice_below(&dice, 8) ? 3000 : 40000);
		uint32_t count = cols > 3000 ? 2 : 1 + dice_below(&dice, JOB_ROWS_MAX);

		for (uint32_t i = 0; i < count; i++)
			kinds[i] = (enum row_kind)dice_below(&dice, ROW_KINDS);
		check_kinds(
			dev, kinds, count, (enum veto_format)dice_below(&dice, VETO_FORMATS), cols, dice_next(&dice));
		rows += count;
	}
	print_message("%llu random rows\n", (unsigned long long)rows);
	veto_device_close(dev);
}

static void check_golden(const struct golden *golden, void *arg)
{
	struct veto_rows rows = golden->rows;

	for (uint32_t i = 0; i < rows.rows; i++) {
		struct veto_rows one = rows;
		struct veto_record record;
		struct veto_results out = {.record = &record};

		one.rows = 1;
		one.data = (const char *)rows.data + i * rows.stride_bytes;
		assert_int_equal(veto_device_score(arg, &one, &out), 0);
		if (memcmp(&record, &golden->record[i], sizeof(record)) != 0)
			fail_msg("%s: golden rows %s, row %u", contract_uri, golden->name, i);
	}
}

static void golden_rows_give_their_records(void **state)
{
	struct veto_device *dev = contract_open();

	(void)state;
	golden_each(check_golden, dev);
	veto_device_close(dev);
}

static void every_k_lists_the_likeliest(void **state)
{
	struct veto_device *dev = contract_open();
	uint32_t row[2500];
	struct veto_rows rows = {.rows = 1, .cols = 2500, .stride_bytes = sizeof(row), .data = row};

	(void)state;
	for (uint32_t k = 0; k <= VETO_TOP_MAX; k++)
		for (int kind = 0; kind < ROW_KINDS; kind++) {
			row_make((enum row_kind)kind, VETO_FP32, 2500, k, row);
			rows.top_k = k;
			check_rows(dev, &rows, row_kinds[kind]);
		}
	veto_device_close(dev);
}

static void subsets_of_every_size_have_their_probabilities(void **state)
{
	struct veto_device *dev = contract_open();
	uint32_t row[70], subset[VETO_SUBSET_MAX];
	struct veto_rows rows = {.rows = 1, .cols = 70, .stride_bytes = sizeof(row), .data = row, .subset = subset};

	(void)state;
	for (uint32_t i = 0; i < VETO_SUBSET_MAX; i++)
		subset[i] = (i * 11 + 3) % 70;
	for (uint32_t n = 0; n <= VETO_SUBSET_MAX; n++)
		for (int kind = 0; kind < ROW_KINDS; kind++) {
			row_make((enum row_kind)kind, VETO_FP32, 70, n, row);
			rows.subset_tokens = n;
			check_rows(dev, &rows, row_kinds[kind]);
		}
	veto_device_close(dev);
}

/* --- Memory --- */

/* The row ends where the mapping does. */
static void nothing_beyond_a_row_is_read(void **state)
{
	static const uint32_t cols[] = {1, 5, 16, 31, 32, 33, 100, 1023, 1024, 1025, 2000, 2049};
	const size_t page = (size_t)sysconf(_SC_PAGESIZE), room = 4 * page;
	char *map = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct veto_device *dev = contract_open();

	(void)state;
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(mprotect(map + room, page, PROT_NONE), 0);
	for (size_t i = 0; i < sizeof(cols) / sizeof(*cols); i++)
		for (int f = 0; f < VETO_FORMATS; f++) {
			const size_t bytes = cols[i] * veto_format_bytes((enum veto_format)f);
			struct veto_rows rows = {
				.format = (enum veto_format)f, .rows = 1, .cols = cols[i], .stride_bytes = bytes};

			rows.data = map + room - bytes;
			row_make(ROW_MODEL, rows.format, cols[i], i, map + room - bytes);
			check_rows(dev, &rows, "before the end of a mapping");
		}
	veto_device_close(dev);
	munmap(map, room + page);
}

static void only_the_results_that_are_wanted_are_written(void **state)
{
	struct veto_device *dev = contract_open();
	float row[2][40] = {{1, 2, 3}};
	struct veto_rows rows = {.rows = 2, .cols = 40, .stride_bytes = sizeof(*row), .data = row, .top_k = 2};
	uint32_t top_id[6] = {9, 9, 9, 9, 9, 9};
	struct veto_record record[3];
	struct veto_results none = {0}, out = {.record = record, .top_id = top_id};
	struct veto_record before;

	(void)state;
	memset(record, 0x5a, sizeof(record));
	before = record[2];
	assert_int_equal(veto_device_score(dev, &rows, &none), 0);
	assert_int_equal(veto_device_score(dev, &rows, &out), 0);
	assert_int_equal(record[1].cnt, 40);
	assert_memory_equal(&record[2], &before, sizeof(before));
	assert_int_equal(top_id[0], 2);
	assert_int_equal(top_id[1], 1);
	assert_int_equal(top_id[4], 9);
	rows.rows = 0;
	rows.data = NULL;
	assert_int_equal(veto_device_score(dev, &rows, &out), 0);
	veto_device_close(dev);
}

static void the_callers_rounding_mode_changes_nothing(void **state)
{
	static const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
	static struct answers got, want;
	static uint16_t row[8][3000];
	struct veto_rows rows = {
		.format = VETO_BF16, .rows = 8, .cols = 3000, .stride_bytes = sizeof(*row), .data = row, .top_k = 20};
	struct veto_results out = results_of(&got);

	(void)state;
	for (uint32_t i = 0; i < 8; i++)
		row_make(ROW_MODEL, VETO_BF16, 3000, i, row[i]);
	find_reference(&rows, &want);
	for (size_t i = 0; i < 3; i++) {
		struct veto_device *dev;

		fesetround(modes[i]);
		dev = contract_open();
		assert_int_equal(veto_device_score(dev, &rows, &out), 0);
		assert_int_equal(fegetround(), modes[i]);
		veto_device_close(dev);
		fesetround(FE_TONEAREST);
		for (uint32_t j = 0; j < rows.rows; j++)
			assert_same_row(&rows, j, &got, &want, "under another rounding mode");
	}
}

int contract_test_rows(uint64_t logits)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_rows_give_their_records),
		cmocka_unit_test(rows_of_every_kind_around_every_edge_equal_the_reference),
		cmocka_unit_test(rows_around_every_edge_of_a_chunk_equal_the_reference),
		cmocka_unit_test(every_k_lists_the_likeliest),
		cmocka_unit_test(subsets_of_every_size_have_their_probabilities),
		cmocka_unit_test(nothing_beyond_a_row_is_read),
		cmocka_unit_test(only_the_results_that_are_wanted_are_written),
		cmocka_unit_test(the_callers_rounding_mode_changes_nothing),
		cmocka_unit_test(random_rows_equal_the_reference),
	};

	budget = logits;
	return cmocka_run_group_tests_name(contract_uri, tests, NULL, NULL);
}
