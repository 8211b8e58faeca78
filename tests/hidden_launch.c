/* SPDX-License-Identifier: Apache-2.0 */
/* Launches of veto_score_hidden with one port of weights as a host makes them, and what must come of them. */
#include "hidden_launch.h"
#include "check.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BEAT sizeof(struct veto_beat)
#define MEMORY_BYTES (24u << 20)
#define STATES_OF_ALL 4096u

static_assert(sizeof(struct veto_hidden_job) == BEAT && sizeof(struct veto_hidden_meta) == BEAT, "these are one beat");
static_assert(sizeof(struct veto_hidden_result) == 5 * BEAT, "a state's result is 5 beats");
static_assert(8 * sizeof(struct veto_weight_scale) == BEAT && 8 * sizeof(struct veto_table_meta) == BEAT, "8 a beat");

static struct memory memory_new(void)
{
	struct memory m = {.at = aligned_alloc(4096, MEMORY_BYTES)};

	assert_non_null(m.at);
	return m;
}

/* So many bytes behind what is there, in whole beats; returns the offset. */
static uint64_t memory_add(struct memory *m, const void *data, size_t bytes, int filler)
{
	const uint64_t at = m->used;

	m->used += (bytes + BEAT - 1) / BEAT * BEAT;
	assert_true(m->used <= MEMORY_BYTES);
	memset(m->at + at, filler, m->used - at);
	if (data)
		memcpy(m->at + at, data, bytes);
	return at;
}

struct hidden_launch hidden_launch_new(int filler)
{
	struct hidden_launch l = {
		memory_new(), memory_new(), memory_new(), memory_new(), memory_new(), 0, filler, NULL};

	l.want = calloc(STATES_OF_ALL, sizeof(*l.want));
	assert_non_null(l.want);
	memory_add(&l.results, NULL, BEAT, 0x77); /* the trailer's */
	return l;
}

void hidden_launch_free(struct hidden_launch *l)
{
	free(l->states.at);
	free(l->jobs.at);
	free(l->results.at);
	free(l->meta.at);
	free(l->weights.at);
	free(l->want);
}

static struct hidden_place load_dense(struct hidden_launch *l, const struct veto_head *head)
{
	struct veto_hidden_meta meta = {.layers = head->info.layers, .is_distance = head->output == HEAD_DISTANCE};
	struct hidden_place place = {l->meta.used, l->weights.used};

	for (uint32_t i = 0; i < head->info.layers; i++) {
		meta.rows[i] = head->layer[i].rows;
		meta.weights[i] = head->layer[i].format;
	}
	memory_add(&l->meta, &meta, sizeof(meta), 0);
	for (uint32_t i = 0; i < head->info.layers; i++) {
		const struct hx1_layer *layer = &head->layer[i];
		const size_t bytes = layer->cols * (layer->format == VETO_INT8 ? 1 : 2);

		memory_add(&l->meta, layer->scale, layer->rows * sizeof(*layer->scale), 0);
		for (uint32_t o = 0; o < layer->rows; o++)
			memory_add(&l->weights, (const char *)layer->weight + o * bytes, bytes, l->filler);
	}
	return place;
}

struct hidden_place hidden_launch_load(struct hidden_launch *l, const struct veto_head *head)
{
	const size_t cols = head->info.cols;
	struct hidden_place place = {l->meta.used, l->weights.used};

	if (head->info.kind == VETO_HEAD_DENSE)
		return load_dense(l, head);
	memory_add(&l->meta, NULL, head->info.vocab * sizeof(struct veto_table_meta), 0);
	for (uint32_t i = 0; i < head->info.vocab; i++) {
		const struct veto_table_meta meta = {.f = head->f[i], .c = head->c[i]};

		memcpy(l->meta.at + place.meta + i * sizeof(meta), &meta, sizeof(meta));
		memory_add(&l->weights, head->hi + i * cols, cols * sizeof(*head->hi), l->filler);
		if (head->lo)
			memory_add(&l->weights, head->lo + i * cols, cols, l->filler);
	}
	return place;
}

/* One state more, and what it must give. */
static void add_state(struct hidden_launch *l, const struct veto_head *head, const struct veto_rows *rows, uint32_t i)
{
	static int32_t room[2 * VETO_STATE_MAX];
	struct veto_hidden_result *want = &l->want[(l->results.used - BEAT) / sizeof(*want)];
	struct head_result result;

	memory_add(&l->states, (const char *)rows->data + i * rows->stride_bytes,
		rows->cols * veto_format_bytes(rows->format), l->filler);
	memory_add(&l->results, NULL, sizeof(*want), 0x77);
	assert_true(l->results.used <= STATES_OF_ALL * sizeof(*want));
	head_score(head, rows, i, room, room + VETO_STATE_MAX, &result);
	*want = (struct veto_hidden_result){
		.status = result.is_bad ? VETO_HIDDEN_BAD_STATE : VETO_HIDDEN_OK, .tag = 1000 + l->count};
	if (result.is_bad)
		return;
	want->sc_q20 = result.sc_q20;
	memcpy(want->z, result.z, sizeof(want->z));
	if (head->info.kind == VETO_HEAD_DENSE && head->output == HEAD_DISTANCE) {
		want->e = result.e;
		want->squares = result.squares;
	}
}

void hidden_launch_add(struct hidden_launch *l, const struct veto_head *head, const struct hidden_place *place,
	const struct veto_rows *rows)
{
	const bool is_table = head->info.kind == VETO_HEAD_SCH;
	const uint32_t batch = is_table ? 1 : rows->rows;

	for (uint32_t i = 0; i < rows->rows; i += batch) {
		struct veto_hidden_job job = {.state_offset = l->states.used,
			.cols = rows->cols,
			.format = (uint32_t)rows->format,
			.op = !is_table	 ? VETO_HIDDEN_HEAD
			      : head->lo ? VETO_HIDDEN_TABLE24
					 : VETO_HIDDEN_TABLE16,
			.tag = 1000 + l->count,
			.states = batch,
			.meta_offset = place->meta,
			.weight_offset = place->weights};

		if (is_table) {
			job.token = rows->token[i];
			job.offset_q20 = (int32_t)head_offset_q20(head, rows, i);
		}
		for (uint32_t j = 0; j < batch; j++)
			add_state(l, head, rows, i + j);
		memory_add(&l->jobs, &job, sizeof(job), 0);
		l->count++;
	}
}

struct veto_hidden_job *hidden_launch_last(struct hidden_launch *l)
{
	return (struct veto_hidden_job *)(void *)(l->jobs.at + l->jobs.used - BEAT);
}

void hidden_launch_move(struct hidden_launch *l, int states)
{
	const size_t bytes = (size_t)abs(states) * sizeof(struct veto_hidden_result);

	if (states > 0)
		memory_add(&l->results, NULL, bytes, 0x77);
	else
		l->results.used -= bytes;
}

void *hidden_launch_find(const struct hidden_launch *l, uint64_t address, uint64_t bytes)
{
	const struct memory *const all[5] = {&l->states, &l->jobs, &l->results, &l->meta, &l->weights};

	for (size_t i = 0; i < 5; i++) {
		const uint64_t at = (uintptr_t)all[i]->at;

		if (address >= at && address + bytes <= at + all[i]->used)
			return all[i]->at + (address - at);
	}
	return NULL;
}

struct veto_trailer hidden_launch_trailer(const struct hidden_launch *l)
{
	struct veto_trailer trailer;

	memcpy(&trailer, l->results.at + l->results.used - BEAT, BEAT);
	assert_int_equal(trailer.magic, VETO_KERNEL_MAGIC);
	assert_int_equal(trailer.contract, VETO_KERNEL_CONTRACT);
	assert_int_equal(trailer.arithmetic, VETO_HX1_VERSION);
	for (int i = 0; i < 11; i++)
		assert_int_equal(trailer.zero[i], 0);
	return trailer;
}

void hidden_launch_assert(const struct hidden_launch *l, uint32_t states, const char *what)
{
	for (uint32_t i = 0; i < states; i++) {
		const struct veto_hidden_result *want = &l->want[i];
		struct veto_hidden_result got;

		memcpy(&got, l->results.at + i * sizeof(got), sizeof(got));
		if (got.status != want->status || got.tag != want->tag || got.sc_q20 != want->sc_q20 ||
			got.e != want->e || got.squares != want->squares)
			fail_msg("%s, state %u: status %u %u, tag %u %u, sc %d %d, e %d %d, squares %llx %llx", what, i,
				got.status, want->status, got.tag, want->tag, got.sc_q20, want->sc_q20, got.e, want->e,
				(unsigned long long)got.squares, (unsigned long long)want->squares);
		for (uint32_t o = 0; o < VETO_HEAD_OUTPUTS_MAX; o++)
			if (got.z[o] != want->z[o])
				fail_msg("%s, state %u: z[%u] is %d, expected %d", what, i, o, got.z[o], want->z[o]);
		assert_memory_equal(&got, want, sizeof(got));
	}
}
