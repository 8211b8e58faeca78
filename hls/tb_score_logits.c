/* SPDX-License-Identifier: Apache-2.0 */
/* Test bench of veto_score_logits: its results are the reference's, whatever lies around the rows. */
#include "check.h"
#include "golden.h"
#include "launch.h"
#include "rows.h"
#include "score_logits.h"

#include <stdlib.h>
#include <string.h>

#define BEAT sizeof(struct veto_beat)

static void check_golden(const struct golden *golden, void *arg)
{
	(void)arg;
	launch_check(&golden->rows, 1, golden->rows.top_k, 0x7f, golden->name);
}

static void golden_rows_have_the_results_of_the_reference(void **state)
{
	(void)state;
	golden_each(check_golden, NULL);
}

static void rows_of_every_kind_and_size_have_the_results_of_the_reference(void **state)
{
	static const uint32_t cols[] = {1, 2, 15, 16, 17, 31, 32, 33, 1008, 1023, 1024, 1025, 1040, 1041, 1056, 1057,
		2047, 2048, 2049, 5000, 262144};
	/* Behind a row: NaN, infinity, zeros, plain numbers. */
	static const int fillers[] = {0xff, 0x7f, 0, 0x42};

	(void)state;
	for (size_t i = 0; i < sizeof(cols) / sizeof(*cols); i++)
		for (int f = 0; f < VETO_FORMATS; f++)
			for (int kind = 0; kind < (cols[i] > 5000 ? 2 : ROW_KINDS); kind++) {
				const struct veto_rows rows = {
					.format = (enum veto_format)f,
					.rows = 1,
					.cols = cols[i],
					.data = malloc(cols[i] * sizeof(float)),
				};

				assert_non_null(rows.data);
				row_make((enum row_kind)kind, rows.format, cols[i], i + (size_t)kind,
					(void *)(uintptr_t)rows.data);
				launch_check(&rows, 1, (uint32_t)(i + (size_t)kind) % (VETO_TOP_MAX + 1),
					fillers[kind % 4], row_kinds[kind]);
				free((void *)(uintptr_t)rows.data);
			}
}

/* Long after short, full after empty, one format after another: nothing of a row is left for the next. */
static void rows_of_a_launch_do_not_touch_each_other(void **state)
{
	static uint32_t row[9][3000];
	struct veto_rows sets[9];

	(void)state;
	for (uint32_t i = 0; i < 9; i++) {
		sets[i] = (struct veto_rows){.format = (enum veto_format)(i % 3),
			.rows = 1,
			.cols = i % 2 ? 1 + i : 3000 - i,
			.stride_bytes = sizeof(*row),
			.data = row[i]};
		row_make(i == 4 ? ROW_EMPTY : ROW_MODEL, sets[i].format, sets[i].cols, i, row[i]);
	}
	launch_check(sets, 9, 20, 0x55, "of nine");
}

/* The longest rows, each with the shortest behind it, which are done first. */
static void short_rows_follow_the_longest(void **state)
{
	static const uint32_t cols[] = {VETO_VOCAB_MAX, 1, 1, 1, 33, 1, VETO_VOCAB_MAX - 1000, 1, 1025, 1, 1, 2048};
	enum { SETS = sizeof(cols) / sizeof(*cols) };

	(void)state;
	for (int f = 0; f < VETO_FORMATS; f++) {
		struct veto_rows sets[SETS];
		uint32_t *row[SETS];

		for (uint32_t i = 0; i < SETS; i++) {
			row[i] = malloc(cols[i] * sizeof(*row[i])); /* the widest format */
			assert_non_null(row[i]);
			sets[i] = (struct veto_rows){
				.format = (enum veto_format)f, .rows = 1, .cols = cols[i], .data = row[i]};
			row_make(i % 3 ? ROW_MODEL : ROW_RISING, sets[i].format, cols[i], i, row[i]);
		}
		launch_check(sets, SETS, 32, 0, "behind a long one");
		for (uint32_t i = 0; i < SETS; i++)
			free(row[i]);
	}
}

/* Each is the only entry that is not masked, in every kind of lane: its y is the record's sum. */
static void the_edges_of_every_format_have_the_results_of_the_reference(void **state)
{
	/* Without their signs: zero, subnormals, normals, 2^-18, next to 1024, the largest, infinity, NaN. */
	static const uint32_t fp32[] = {0, 1, 0x7fffff, 0x800000, 0x36800000, 0x367fffff, 0x36ffffff, 0x447fffff,
		0x44800000, 0x44800001, 0x3f800000, 0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fffffff};
	static const uint32_t fp16[] = {
		0, 1, 2, 0x200, 0x3ff, 0x400, 0x63ff, 0x6400, 0x6401, 0x3c00, 0x7bff, 0x7c00, 0x7c01, 0x7e00, 0x7fff};
	static const uint32_t bf16[] = {0, 1, 0x7f, 0x80, 0x3680, 0x367f, 0x36ff, 0x447f, 0x4480, 0x4481, 0x3f80,
		0x7f7f, 0x7f80, 0x7f81, 0x7fff};
	static const uint32_t *const edges[] = {[VETO_FP32] = fp32, [VETO_FP16] = fp16, [VETO_BF16] = bf16};
	static const uint32_t lanes[] = {0, 15, 16, 31, 32, 39};
	enum { EDGES = 15, LANES = 6, COLS = 40 };
	static uint32_t row[2 * EDGES * LANES][COLS];

	(void)state;
	for (int f = 0; f < VETO_FORMATS; f++) {
		const bool is_half = f != VETO_FP32;
		const struct veto_rows rows = {.format = (enum veto_format)f,
			.rows = 2 * EDGES * LANES,
			.cols = COLS,
			.stride_bytes = sizeof(*row),
			.data = row};

		for (uint32_t i = 0; i < rows.rows; i++) {
			const uint32_t bits =
				edges[f][i % EDGES] | (i % (2 * EDGES) >= EDGES ? is_half ? 0x8000u : 0x80000000u : 0);
			const uint32_t lane = lanes[i / (2 * EDGES)];

			row_make(ROW_EMPTY, rows.format, COLS, 0, row[i]);
			memcpy((char *)row[i] + lane * veto_format_bytes(rows.format), &bits,
				veto_format_bytes(rows.format));
		}
		launch_check(&rows, 1, 3, 0x7f, "an edge");
	}
}

static void random_launches_have_the_results_of_the_reference(void **state)
{
	enum { LAUNCHES = 60, SETS = 12, COLS = 9000 };
	static uint32_t row[SETS][COLS];
	struct dice dice = {4};

	(void)state;
	for (int launch = 0; launch < LAUNCHES; launch++) {
		const uint32_t count = 1 + dice_below(&dice, SETS);
		struct veto_rows sets[SETS];

		for (uint32_t i = 0; i < count; i++) {
			sets[i] = (struct veto_rows){.format = (enum veto_format)dice_below(&dice, VETO_FORMATS),
				.rows = 1,
				.cols = 1 + dice_below(&dice, dice_below(&dice, 3) ? 200 : COLS),
				.data = row[i]};
			row_make((enum row_kind)dice_below(&dice, ROW_KINDS), sets[i].format, sets[i].cols,
				dice_next(&dice), row[i]);
		}
		launch_check(
			sets, count, dice_below(&dice, VETO_TOP_MAX + 1), (int)dice_below(&dice, 256), "at random");
	}
}

static void rows_behind_a_bad_job_are_not_scored(void **state)
{
	static const float row[16];
	const struct veto_rows rows = {.rows = 3, .cols = 16, .data = row};
	static const struct {
		size_t offset; /* of the word in the second job */
		uint32_t word;
	} bad[] = {{0, 32}, {4, 64}, {8, 0}, {8, VETO_VOCAB_MAX + 1}, {12, 3}, {16, VETO_TOP_MAX + 1}};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct launch l = launch_new(&rows, 1, 5, 0);
		struct veto_trailer trailer;

		memcpy((char *)&l.job[1] + bad[i].offset, &bad[i].word, 4);
		trailer = launch_run(&l);
		assert_int_equal(trailer.error, VETO_KERNEL_BAD_JOB);
		assert_int_equal(trailer.rows_done, 1);
		launch_assert(&l, 0, row, "before a bad job");
		for (int j = 5; j < 15; j++)
			assert_int_equal(l.results[j].w[0], 0x77777777);
		launch_free(&l);
	}
}

static void a_launch_of_no_rows_leaves_its_trailer(void **state)
{
	_Alignas(BEAT) struct veto_beat results = {{0}};

	(void)state;
	veto_score_logits(NULL, NULL, &results, 0);
	assert_int_equal(results.w[0], VETO_KERNEL_MAGIC);
	assert_int_equal(results.w[3], 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_rows_have_the_results_of_the_reference),
		cmocka_unit_test(rows_of_every_kind_and_size_have_the_results_of_the_reference),
		cmocka_unit_test(rows_of_a_launch_do_not_touch_each_other),
		cmocka_unit_test(short_rows_follow_the_longest),
		cmocka_unit_test(the_edges_of_every_format_have_the_results_of_the_reference),
		cmocka_unit_test(random_launches_have_the_results_of_the_reference),
		cmocka_unit_test(rows_behind_a_bad_job_are_not_scored),
		cmocka_unit_test(a_launch_of_no_rows_leaves_its_trailer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
