/* SPDX-License-Identifier: Apache-2.0 */
/* What every device does: `contract URI LOGITS` checks the device, on so many logits; edges come first. */
#include "check.h"
#include "fx1.h"
#include "golden.h"
#include "rows.h"

#include <errno.h>
#include <fenv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SKIPPED 77
#define JOB_ROWS_MAX 32

static const char *uri;
static uint64_t budget; /* logits left */

static struct veto_device *open_device(void)
{
	struct veto_device *dev;
	char why[VETO_WHY_MAX];

	if (veto_device_open(uri, &dev, why))
		fail_msg("%s", why);
	return dev;
}

/* --- Equal to the reference --- */

struct answers {
	struct veto_score score[JOB_ROWS_MAX];
	struct veto_record record[JOB_ROWS_MAX];
	uint32_t top_id[JOB_ROWS_MAX * VETO_TOP_MAX], subset_q31[JOB_ROWS_MAX * VETO_SUBSET_MAX];
};

static struct veto_results results_of(struct answers *a)
{
	return (struct veto_results){a->score, a->record, a->top_id, a->subset_q31};
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
			uri, what, veto_format_names[rows->format], rows->cols, i, x->n, y->n, x->ymax, y->ymax, x->cnt,
			y->cnt, x->n_nan, y->n_nan, x->n_sat, y->n_sat, (long long)x->sumy, (long long)y->sumy,
			(unsigned long long)x->s, (unsigned long long)y->s, (unsigned long long)x->t,
			(unsigned long long)y->t);
	for (uint32_t j = i * rows->top_k; j < (i + 1) * rows->top_k; j++)
		if (a->top_id[j] != b->top_id[j])
			fail_msg("%s: %s, %s, %u logits, row %u: top %u is %u, expected %u", uri, what,
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
	struct veto_device *dev = open_device();
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

/* What the edges leave of the budget. */
static void random_rows_equal_the_reference(void **state)
{
	struct veto_device *dev = open_device();
	struct dice dice = {4711};
	uint64_t rows = 0;

	(void)state;
	while (budget > 0) {
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
			fail_msg("%s: golden rows %s, row %u", uri, golden->name, i);
	}
}

static void golden_rows_give_their_records(void **state)
{
	struct veto_device *dev = open_device();

	(void)state;
	golden_each(check_golden, dev);
	veto_device_close(dev);
}

static void every_k_lists_the_likeliest(void **state)
{
	struct veto_device *dev = open_device();
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
	struct veto_device *dev = open_device();
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
	struct veto_device *dev = open_device();

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
	struct veto_device *dev = open_device();
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
		dev = open_device();
		assert_int_equal(veto_device_score(dev, &rows, &out), 0);
		assert_int_equal(fegetround(), modes[i]);
		veto_device_close(dev);
		fesetround(FE_TONEAREST);
		for (uint32_t j = 0; j < rows.rows; j++)
			assert_same_row(&rows, j, &got, &want, "under another rounding mode");
	}
}

/* --- Jobs --- */

#define JOBS_MAX 64

/* Jobs of one row each. */
struct jobs {
	uint32_t row[JOBS_MAX][5000];
	struct veto_record record[JOBS_MAX];
	bool is_done[JOBS_MAX];
};

static int submit_one(struct veto_device *dev, struct jobs *jobs, uint32_t i)
{
	struct veto_rows rows = {.rows = 1, .cols = 5000 - i, .stride_bytes = sizeof(*jobs->row), .data = jobs->row[i]};
	struct veto_results out = {.record = &jobs->record[i]};

	row_make(ROW_MODEL, VETO_FP32, rows.cols, i, jobs->row[i]);
	return veto_device_submit(dev, &rows, &out, 1000 + i);
}

static void several_jobs_are_in_flight_and_each_is_reaped_once(void **state)
{
	static struct jobs jobs;
	struct veto_device *dev = open_device();
	const uint32_t depth = veto_device_info(dev)->depth;
	struct veto_done done;

	(void)state;
	assert_in_range(depth, 2, JOBS_MAX - 1);
	assert_int_equal(veto_device_reap(dev, 0, &done), -ENOENT);
	for (uint32_t i = 0; i < depth; i++)
		assert_int_equal(submit_one(dev, &jobs, i), 0);
	assert_int_equal(submit_one(dev, &jobs, depth), -EAGAIN);
	for (uint32_t i = 0; i < depth; i++) {
		assert_int_equal(veto_device_reap(dev, -1, &done), 0);
		assert_in_range(done.tag, 1000, 1000 + depth - 1);
		assert_int_equal(done.status, 0);
		assert_false(jobs.is_done[done.tag - 1000]);
		jobs.is_done[done.tag - 1000] = true;
		assert_int_equal(jobs.record[done.tag - 1000].cnt, 5000 - (done.tag - 1000));
	}
	assert_int_equal(veto_device_reap(dev, 0, &done), -ENOENT);
	veto_device_close(dev);
}

static void a_job_without_rows_ends_among_others(void **state)
{
	static struct jobs jobs;
	struct veto_device *dev = open_device();
	struct veto_rows empty = {.cols = 1, .stride_bytes = 4};
	struct veto_results none = {0};
	struct veto_done done;
	uint64_t tags = 0;

	(void)state;
	assert_int_equal(submit_one(dev, &jobs, 0), 0);
	assert_int_equal(veto_device_submit(dev, &empty, &none, 5), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(veto_device_reap(dev, -1, &done), 0);
		assert_int_equal(done.status, 0);
		tags += done.tag;
	}
	assert_int_equal(tags, 1005);
	veto_device_close(dev);
}

static void polling_reaps_in_the_end(void **state)
{
	static struct jobs jobs;
	struct veto_device *dev = open_device();
	struct veto_done done;
	int err;

	(void)state;
	assert_int_equal(submit_one(dev, &jobs, 0), 0);
	while ((err = veto_device_reap(dev, 0, &done)) == -EAGAIN)
		usleep(100);
	assert_int_equal(err, 0);
	assert_int_equal(submit_one(dev, &jobs, 1), 0);
	while ((err = veto_device_reap(dev, 50000, &done)) == -EAGAIN)
		;
	assert_int_equal(err, 0);
	assert_int_equal(done.tag, 1001);
	veto_device_close(dev);
}

static void a_busy_device_refuses_to_score_alone(void **state)
{
	static struct jobs jobs;
	struct veto_device *dev = open_device();
	struct veto_rows rows = {.cols = 1, .stride_bytes = 4};
	struct veto_results none = {0};

	(void)state;
	assert_int_equal(submit_one(dev, &jobs, 0), 0);
	assert_int_equal(veto_device_score(dev, &rows, &none), -EBUSY);
	veto_device_close(dev);
}

static void closing_ends_the_jobs_in_flight(void **state)
{
	static struct jobs jobs;

	(void)state;
	for (int round = 0; round < 5; round++) {
		struct veto_device *dev = open_device();
		struct veto_done done;

		for (uint32_t i = 0; i < veto_device_info(dev)->depth; i++)
			assert_int_equal(submit_one(dev, &jobs, i), 0);
		if (round % 2)
			assert_int_equal(veto_device_reap(dev, -1, &done), 0);
		veto_device_close(dev);
	}
	veto_device_close(NULL);
}

/* --- What a device says and refuses --- */

static void a_device_opens_again_by_the_uri_it_states(void **state)
{
	struct veto_device *dev = open_device(), *again;
	const struct veto_device_info *info = veto_device_info(dev);
	char why[VETO_WHY_MAX];

	(void)state;
	assert_true(info->formats != 0);
	assert_true(info->memories != 0);
	assert_int_equal(strncmp(info->uri, info->backend, strlen(info->backend)), 0);
	if (veto_device_open(info->uri, &again, why))
		fail_msg("%s", why);
	assert_string_equal(veto_device_info(again)->uri, info->uri);
	veto_device_close(again);
	veto_device_close(dev);
}

static void rows_out_of_range_are_refused(void **state)
{
	struct veto_device *dev = open_device();
	float row[10] = {0};
	uint32_t token = 10, subset[] = {1, 2, 1}, beyond = 10;
	const struct veto_rows good = {.rows = 1, .cols = 10, .stride_bytes = sizeof(row), .data = row, .top_k = 3};
	struct veto_rows bad[12];
	struct veto_record record = {.cnt = 77};
	struct veto_results out = {.record = &record};

	(void)state;
	for (int i = 0; i < 12; i++)
		bad[i] = good;
	bad[0].cols = 0;
	bad[1].cols = VETO_VOCAB_MAX + 1;
	bad[2].stride_bytes = sizeof(row) - 1;
	bad[3].data = NULL;
	bad[4].top_k = VETO_TOP_MAX + 1;
	bad[5].token = &token;
	bad[6].subset = subset;
	bad[6].subset_tokens = 3;
	bad[7].subset = &beyond;
	bad[7].subset_tokens = 1;
	bad[8].subset = subset;
	bad[8].subset_tokens = VETO_SUBSET_MAX + 1;
	bad[9].format = VETO_FORMATS;
	for (int i = 0; i < 10; i++)
		if (veto_device_submit(dev, &bad[i], &out, 0) != -EINVAL)
			fail_msg("%s: bad rows %d were not refused", uri, i);
	bad[10].memory = (enum veto_memory)(VETO_DEVICE + 1);
	bad[11].memory = VETO_DEVICE;
	assert_int_equal(veto_device_submit(dev, &bad[10], &out, 0), -EOPNOTSUPP);
	if (!(veto_device_info(dev)->memories >> VETO_DEVICE & 1))
		assert_int_equal(veto_device_submit(dev, &bad[11], &out, 0), -EOPNOTSUPP);
	assert_int_equal(record.cnt, 77);
	assert_int_equal(veto_device_score(dev, &good, &out), 0);
	veto_device_close(dev);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_opens_again_by_the_uri_it_states),
		cmocka_unit_test(golden_rows_give_their_records),
		cmocka_unit_test(rows_of_every_kind_around_every_edge_equal_the_reference),
		cmocka_unit_test(every_k_lists_the_likeliest),
		cmocka_unit_test(subsets_of_every_size_have_their_probabilities),
		cmocka_unit_test(nothing_beyond_a_row_is_read),
		cmocka_unit_test(only_the_results_that_are_wanted_are_written),
		cmocka_unit_test(the_callers_rounding_mode_changes_nothing),
		cmocka_unit_test(several_jobs_are_in_flight_and_each_is_reaped_once),
		cmocka_unit_test(a_job_without_rows_ends_among_others),
		cmocka_unit_test(polling_reaps_in_the_end),
		cmocka_unit_test(a_busy_device_refuses_to_score_alone),
		cmocka_unit_test(closing_ends_the_jobs_in_flight),
		cmocka_unit_test(rows_out_of_range_are_refused),
		cmocka_unit_test(random_rows_equal_the_reference),
	};
	struct veto_device *dev;
	char why[VETO_WHY_MAX];
	int err;

	if (argc != 3) {
		fprintf(stderr, "usage: contract URI LOGITS\n");
		return 2;
	}
	uri = argv[1];
	budget = strtoull(argv[2], NULL, 10);
	err = veto_device_open(uri, &dev, why);
	if (err == -ENODEV) {
		printf("skipped: %s\n", why);
		return SKIPPED;
	}
	if (!err)
		veto_device_close(dev);
	return cmocka_run_group_tests_name(uri, tests, NULL, NULL);
}
