/* SPDX-License-Identifier: Apache-2.0 */
/* Test bench of veto_score_logits: its results are the reference's, whatever lies around the rows. */
#include "check.h"
#include "fx1.h"
#include "golden.h"
#include "rows.h"
#include "score_logits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BEAT sizeof(struct veto_beat)

static_assert(sizeof(struct veto_logits_job) == BEAT && sizeof(struct veto_trailer) == BEAT, "these are one beat");
static_assert(sizeof(struct veto_logits_result) == 5 * BEAT, "a row's result is 5 beats");

/* A launch as a host makes it: each row on a beat of its own, whatever its stride was. */
struct launch {
	struct veto_beat *rows;
	struct veto_logits_job *job;
	struct veto_beat *results;
	uint32_t count;
};

static size_t beats_of(const struct veto_rows *r) { return (r->cols * veto_format_bytes(r->format) + BEAT - 1) / BEAT; }

/* What lies behind a row in its last beat is `filler`. */
static void launch_add(struct launch *l, size_t *beat, const struct veto_rows *r, uint32_t k, int filler)
{
	for (uint32_t i = 0; i < r->rows; i++) {
		memset(&l->rows[*beat], filler, beats_of(r) * BEAT);
		memcpy(&l->rows[*beat], (const char *)r->data + i * r->stride_bytes,
			r->cols * veto_format_bytes(r->format));
		l->job[l->count] = (struct veto_logits_job){.offset_bytes = *beat * BEAT,
			.vocab = r->cols,
			.format = r->format,
			.k = k,
			.tag = 1000 + l->count};
		l->count++;
		*beat += beats_of(r);
	}
}

static struct launch launch_new(const struct veto_rows *r, size_t sets, uint32_t k, int filler)
{
	struct launch l = {0};
	size_t beats = 0, beat = 0, rows = 0;

	for (size_t i = 0; i < sets; i++) {
		beats += r[i].rows * beats_of(&r[i]);
		rows += r[i].rows;
	}
	l.rows = aligned_alloc(BEAT, beats * BEAT);
	l.job = aligned_alloc(BEAT, rows * BEAT);
	l.results = aligned_alloc(BEAT, (5 * rows + 1) * BEAT);
	assert_true(l.rows && l.job && l.results);
	memset(l.results, 0x77, (5 * rows + 1) * BEAT);
	for (size_t i = 0; i < sets; i++)
		launch_add(&l, &beat, &r[i], k, filler);
	return l;
}

/* The kernel knows jobs as beats. */
static struct veto_trailer launch_run(struct launch *l)
{
	struct veto_beat *jobs = aligned_alloc(BEAT, l->count ? l->count * BEAT : BEAT);
	struct veto_trailer trailer;

	assert_non_null(jobs);
	memcpy(jobs, l->job, l->count * BEAT);
	veto_score_logits(l->rows, jobs, l->results, l->count);
	free(jobs);
	memcpy(&trailer, &l->results[5 * l->count], BEAT);
	assert_int_equal(trailer.magic, VETO_KERNEL_MAGIC);
	assert_int_equal(trailer.contract, VETO_KERNEL_CONTRACT);
	assert_int_equal(trailer.arithmetic, VETO_FX1_VERSION);
	return trailer;
}

static void launch_free(struct launch *l)
{
	free(l->rows);
	free(l->job);
	free(l->results);
}

static void assert_result(const struct launch *l, uint32_t index, const void *row, const char *what)
{
	const struct veto_logits_job *job = &l->job[index];
	struct veto_logits_result got, want = {0};

	fx1_row(row, (enum veto_format)job->format, job->vocab, job->k, &want.record, (struct fx1_top *)want.top);
	want.record.tag = job->tag;
	for (uint32_t i = job->k; i < VETO_TOP_MAX; i++)
		want.top[i].id = VETO_NO_TOKEN;
	memcpy(&got, &l->results[5 * index], sizeof(got));
	if (memcmp(&got.record, &want.record, sizeof(got.record)) != 0)
		fail_msg("%s: %s, %u logits: record n %d %d, ymax %d %d, cnt %u %u, s %llx %llx, t %llx %llx", what,
			veto_format_names[job->format], job->vocab, got.record.n, want.record.n, got.record.ymax,
			want.record.ymax, got.record.cnt, want.record.cnt, (unsigned long long)got.record.s,
			(unsigned long long)want.record.s, (unsigned long long)got.record.t,
			(unsigned long long)want.record.t);
	for (uint32_t i = 0; i < VETO_TOP_MAX; i++)
		if (got.top[i].key != want.top[i].key || got.top[i].id != want.top[i].id)
			fail_msg("%s: %s, %u logits: top %u is %08x of %u, expected %08x of %u", what,
				veto_format_names[job->format], job->vocab, i, got.top[i].key, got.top[i].id,
				want.top[i].key, want.top[i].id);
}

/* All rows in one launch. */
static void check(const struct veto_rows *rows, uint32_t k, int filler, const char *what)
{
	struct launch l = launch_new(rows, 1, k, filler);
	struct veto_trailer trailer = launch_run(&l);

	assert_int_equal(trailer.error, VETO_KERNEL_OK);
	assert_int_equal(trailer.rows_done, rows->rows);
	for (uint32_t i = 0; i < rows->rows; i++)
		assert_result(&l, i, (const char *)rows->data + i * rows->stride_bytes, what);
	launch_free(&l);
}

static void check_golden(const struct golden *golden, void *arg)
{
	(void)arg;
	check(&golden->rows, golden->rows.top_k, 0x7f, golden->name);
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
				check(&rows, (uint32_t)(i + (size_t)kind) % (VETO_TOP_MAX + 1), fillers[kind % 4],
					row_kinds[kind]);
				free((void *)(uintptr_t)rows.data);
			}
}

/* Long after short, full after empty, one format after another: nothing of a row is left for the next. */
static void rows_of_a_launch_do_not_touch_each_other(void **state)
{
	static uint32_t row[9][3000];
	struct veto_rows sets[9];
	struct veto_trailer trailer;
	struct launch l;

	(void)state;
	for (uint32_t i = 0; i < 9; i++) {
		sets[i] = (struct veto_rows){.format = (enum veto_format)(i % 3),
			.rows = 1,
			.cols = i % 2 ? 1 + i : 3000 - i,
			.stride_bytes = sizeof(*row),
			.data = row[i]};
		row_make(i == 4 ? ROW_EMPTY : ROW_MODEL, sets[i].format, sets[i].cols, i, row[i]);
	}
	l = launch_new(sets, 9, 20, 0x55);
	trailer = launch_run(&l);
	assert_int_equal(trailer.rows_done, 9);
	for (uint32_t i = 0; i < 9; i++)
		assert_result(&l, i, row[i], "of nine");
	launch_free(&l);
}

static void a_launch_that_breaks_the_contract_scores_nothing(void **state)
{
	static const float row[16];
	const struct veto_rows rows = {.rows = 2, .cols = 16, .data = row};
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
		assert_int_equal(trailer.rows_done, 0);
		assert_int_equal(l.results[0].w[0], 0x77777777);
		launch_free(&l);
	}
}

static void a_launch_of_no_rows_leaves_its_trailer(void **state)
{
	struct veto_beat results = {{0}};

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
		cmocka_unit_test(a_launch_that_breaks_the_contract_scores_nothing),
		cmocka_unit_test(a_launch_of_no_rows_leaves_its_trailer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
