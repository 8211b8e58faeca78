/* SPDX-License-Identifier: Apache-2.0 */
/* Launches of veto_score_logits as a host makes them, and what must come of them. */
#include "launch.h"
#include "check.h"
#include "fx1.h"
#include "score_logits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BEAT sizeof(struct veto_beat)

static_assert(sizeof(struct veto_logits_job) == BEAT && sizeof(struct veto_trailer) == BEAT, "these are one beat");
static_assert(sizeof(struct veto_logits_result) == 5 * BEAT, "a row's result is 5 beats");

static size_t beats_of(const struct veto_rows *r) { return (r->cols * veto_format_bytes(r->format) + BEAT - 1) / BEAT; }

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

struct launch launch_new(const struct veto_rows *r, size_t sets, uint32_t k, int filler)
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
struct veto_trailer launch_run(struct launch *l)
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

void launch_free(struct launch *l)
{
	free(l->rows);
	free(l->job);
	free(l->results);
}

void launch_assert(const struct launch *l, uint32_t index, const void *row, const char *what)
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

void launch_check(const struct veto_rows *sets, size_t count, uint32_t k, int filler, const char *what)
{
	struct launch l = launch_new(sets, count, k, filler);
	struct veto_trailer trailer = launch_run(&l);
	uint32_t index = 0;

	assert_int_equal(trailer.error, VETO_KERNEL_OK);
	assert_int_equal(trailer.rows_done, l.count);
	for (size_t i = 0; i < count; i++)
		for (uint32_t j = 0; j < sets[i].rows; j++)
			launch_assert(&l, index++, (const char *)sets[i].data + j * sets[i].stride_bytes, what);
	launch_free(&l);
}
