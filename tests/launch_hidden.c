/* SPDX-License-Identifier: Apache-2.0 */
/* Launches of veto_score_hidden as a host makes them, and what must come of them. */
#include "launch_hidden.h"
#include "check.h"
#include "xrt_layout.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BEAT sizeof(struct veto_beat)
#define RESULT_BEATS (sizeof(struct veto_hidden_result) / BEAT)
#define UNTOUCHED 0x77

static_assert(sizeof(struct veto_hidden_job) == BEAT && sizeof(struct veto_hidden_meta) == BEAT, "these are one beat");
static_assert(sizeof(struct veto_hidden_result) == 5 * BEAT, "a state's result is 5 beats");

static size_t whole(size_t bytes) { return (bytes + BEAT - 1) / BEAT * BEAT; }

struct hidden_launch *hidden_launch_new(int filler)
{
	struct hidden_launch *l = calloc(1, sizeof(*l));

	assert_non_null(l);
	l->filler = filler;
	return l;
}

void hidden_launch_free(struct hidden_launch *l)
{
	free(l->states.data);
	free(l->meta.data);
	for (uint32_t p = 0; p < VETO_WEIGHT_PORTS; p++)
		free(l->weights[p].data);
	free(l->results);
	free(l);
}

/* So many bytes, which are `filler`, and some more before them; returns where they start. */
static size_t take(struct memory *m, size_t before, size_t bytes, int filler)
{
	const size_t start = m->bytes + before;

	m->data = realloc(m->data, start + bytes);
	assert_non_null(m->data);
	memset(m->data + m->bytes, filler, before + bytes);
	m->bytes = start + bytes;
	return start;
}

/* Zeros, which are made `filler`. */
static void dirty(char *data, size_t bytes, int filler)
{
	for (size_t i = 0; i < bytes; i++) {
		assert_int_equal(data[i], 0);
		data[i] = (char)filler;
	}
}

/* A row of bytes in a port; returns what is behind it. */
static char *dirty_row(char *data, size_t bytes, bool is_there, int filler)
{
	if (!is_there)
		bytes = whole(bytes);
	dirty(data + (is_there ? bytes : 0), whole(bytes) - (is_there ? bytes : 0), filler);
	return data + whole(bytes);
}

/* What lies beyond a row's columns, and in rows that a port has for nothing. */
static void dirty_weights(const struct veto_head *head, uint32_t port, char *data, int filler)
{
	const uint32_t layers = head->info.kind == VETO_HEAD_SCH ? 1 : head->info.layers;

	for (uint32_t l = 0; l < layers; l++) {
		const bool is_table = head->info.kind == VETO_HEAD_SCH;
		const uint32_t rows = is_table ? head->info.vocab : head->layer[l].rows;
		const size_t cols = is_table ? head->info.cols : head->layer[l].cols;
		const bool is_int8 = !is_table && head->layer[l].format == VETO_INT8;

		for (uint32_t o = port; o < rows + VETO_WEIGHT_PORTS - 1 - (rows - 1) % VETO_WEIGHT_PORTS;
			o += VETO_WEIGHT_PORTS) {
			data = dirty_row(data, cols * (is_int8 ? 1 : 2), o < rows, filler);
			if (head->lo)
				data = dirty_row(data, cols, o < rows, filler);
		}
	}
}

/* Meta and weights, which a head's jobs share. */
static void place_head(struct hidden_launch *l, struct veto_hidden_job *job, const struct veto_head *head)
{
	const size_t meta = xrt_layout_meta_bytes(head), weights = xrt_layout_weight_bytes(head, VETO_WEIGHT_PORTS);

	for (uint32_t i = 0; i < l->count; i++)
		if (l->head[i] == head) {
			job->meta_offset = l->job[i].meta_offset;
			job->weight_offset = l->job[i].weight_offset;
			return;
		}
	assert_true(meta % BEAT == 0 && weights % BEAT == 0);
	job->meta_offset = take(&l->meta, BEAT, meta, l->filler);
	xrt_layout_meta(head, l->meta.data + job->meta_offset);
	for (uint32_t p = 0; p < VETO_WEIGHT_PORTS; p++) {
		job->weight_offset = take(&l->weights[p], BEAT, weights, l->filler);
		xrt_layout_weights(head, VETO_WEIGHT_PORTS, p, l->weights[p].data + job->weight_offset);
		dirty_weights(head, p, l->weights[p].data + job->weight_offset, l->filler);
	}
}

void hidden_launch_add(struct hidden_launch *l, const struct veto_head *head, enum veto_format format,
	enum state_kind kind, uint32_t states, struct dice *dice)
{
	const bool is_table = head->info.kind == VETO_HEAD_SCH;
	struct veto_hidden_job *job = &l->job[l->count];
	const size_t bytes = head->info.cols * veto_format_bytes(format);

	assert_true(l->count < HIDDEN_JOBS_MAX);
	*job = (struct veto_hidden_job){.cols = head->info.cols,
		.format = format,
		.op = xrt_layout_op(head),
		.token = is_table ? dice_below(dice, head->info.vocab) : 0,
		.tag = 1000 + l->count,
		.states = is_table ? 1 : states};
	place_head(l, job, head);
	job->state_offset = take(&l->states, BEAT, job->states * whole(bytes), l->filler);
	for (uint32_t i = 0; i < job->states; i++) {
		void *state = state_new(kind < STATE_KINDS ? kind : (enum state_kind)dice_below(dice, STATE_KINDS),
			format, head->info.cols, dice);

		memcpy(l->states.data + job->state_offset + i * whole(bytes), state, bytes);
		free(state);
	}
	l->logp_q20[l->count] = dice_below(dice, 4) ? -(int64_t)dice_below(dice, 20u << 20) : -(1LL << 30);
	if (is_table)
		job->offset_q20 = (int32_t)(l->logp_q20[l->count] + hx1_log_count(head->info.vocab));
	l->head[l->count++] = head;
}

/* Of a job; one that asks for too many counts for as many as there may be. */
static uint32_t states_of(const struct veto_hidden_job *job)
{
	return job->states < VETO_STATES_MAX ? job->states : VETO_STATES_MAX;
}

static size_t states_before(const struct hidden_launch *l, uint32_t job)
{
	size_t states = 0;

	for (uint32_t i = 0; i < job; i++)
		states += states_of(&l->job[i]);
	return states;
}

/* Bytes as the kernel knows them, on a beat. */
static struct veto_beat *beats_new(const void *data, size_t bytes)
{
	struct veto_beat *beats = aligned_alloc(BEAT, bytes ? bytes : BEAT);

	assert_non_null(beats);
	if (bytes > 0)
		memcpy(beats, data, bytes);
	return beats;
}

struct veto_trailer hidden_launch_run(struct hidden_launch *l, uint32_t count)
{
	const size_t trailer_at =
		count > VETO_LAUNCH_ROWS_MAX ? 0 : RESULT_BEATS * states_before(l, count < l->count ? count : l->count);
	struct veto_beat *states = beats_new(l->states.data, l->states.bytes),
			 *jobs = beats_new(l->job, l->count * BEAT), *meta = beats_new(l->meta.data, l->meta.bytes);
	struct veto_beat *weights[VETO_WEIGHT_PORTS];
	struct veto_trailer trailer;

	for (uint32_t p = 0; p < VETO_WEIGHT_PORTS; p++)
		weights[p] = beats_new(l->weights[p].data, l->weights[p].bytes);
	free(l->results);
	l->results = aligned_alloc(BEAT, (trailer_at + 1) * BEAT);
	assert_non_null(l->results);
	memset(l->results, UNTOUCHED, (trailer_at + 1) * BEAT);
#define WEIGHTS(port) weights[port],
	veto_score_hidden(states, jobs, l->results, meta, VETO_EACH_WEIGHT_PORT(WEIGHTS) count);
	for (uint32_t p = 0; p < VETO_WEIGHT_PORTS; p++)
		free(weights[p]);
	free(meta);
	free(jobs);
	free(states);
	memcpy(&trailer, &l->results[trailer_at], BEAT);
	assert_int_equal(trailer.magic, VETO_KERNEL_MAGIC);
	assert_int_equal(trailer.contract, VETO_KERNEL_CONTRACT);
	assert_int_equal(trailer.arithmetic, VETO_HX1_VERSION);
	for (size_t i = 0; i < sizeof(trailer.zero) / sizeof(*trailer.zero); i++)
		assert_int_equal(trailer.zero[i], 0);
	return trailer;
}

static struct veto_hidden_result expected(const struct hidden_launch *l, uint32_t index, uint32_t state)
{
	const struct veto_hidden_job *job = &l->job[index];
	const struct veto_head *head = l->head[index];
	const size_t stride = whole(job->cols * veto_format_bytes((enum veto_format)job->format));
	const struct veto_rows rows = {.kind = VETO_HIDDEN,
		.format = (enum veto_format)job->format,
		.rows = 1,
		.cols = job->cols,
		.stride_bytes = stride,
		.data = l->states.data + job->state_offset + state * stride,
		.token = &job->token,
		.token_logp_q20 = &l->logp_q20[index]};
	struct veto_hidden_result want = {.tag = job->tag};
	int32_t *room = malloc(2 * VETO_STATE_MAX * sizeof(*room));
	struct head_result found;

	assert_non_null(room);
	head_score(head, &rows, 0, room, room + VETO_STATE_MAX, &found);
	free(room);
	if (found.is_bad) {
		want.status = VETO_HIDDEN_BAD_STATE;
		return want;
	}
	want.sc_q20 = found.sc_q20;
	if (job->op == VETO_HIDDEN_HEAD && head->output == HEAD_DISTANCE) {
		want.e = found.e;
		want.squares = found.squares;
	}
	memcpy(want.z, found.z, sizeof(want.z));
	return want;
}

static void assert_result(const struct hidden_launch *l, uint32_t index, uint32_t state,
	const struct veto_hidden_result *got, const char *what)
{
	const struct veto_hidden_job *job = &l->job[index];
	const struct veto_hidden_result want = expected(l, index, state);
	uint32_t o = 0;

	if (memcmp(got, &want, sizeof(want)) == 0)
		return;
	while (o + 1 < VETO_HEAD_OUTPUTS_MAX && got->z[o] == want.z[o])
		o++;
	fail_msg(
		"%s: job %u, op %u, %s of %u, state %u: status %u %u, tag %u %u, sc %d %d, e %d %d, squares %llx %llx, "
		"z[%u] %d %d",
		what, index, job->op, veto_format_names[job->format], job->cols, state, got->status, want.status,
		got->tag, want.tag, got->sc_q20, want.sc_q20, got->e, want.e, (unsigned long long)got->squares,
		(unsigned long long)want.squares, o, got->z[o], want.z[o]);
}

void hidden_launch_assert(const struct hidden_launch *l, uint32_t jobs, const char *what)
{
	const struct veto_beat *result = l->results, *end = l->results + RESULT_BEATS * states_before(l, l->count);

	for (uint32_t i = 0; i < jobs; i++)
		for (uint32_t s = 0; s < l->job[i].states; s++, result += RESULT_BEATS) {
			struct veto_hidden_result got;

			memcpy(&got, result, sizeof(got));
			assert_result(l, i, s, &got, what);
		}
	for (; result < end; result++)
		for (int i = 0; i < 16; i++)
			assert_int_equal(result->w[i], UNTOUCHED * 0x01010101u);
}

void hidden_launch_check(struct hidden_launch *l, const char *what)
{
	const struct veto_trailer trailer = hidden_launch_run(l, l->count);

	assert_int_equal(trailer.error, VETO_KERNEL_OK);
	assert_int_equal(trailer.rows_done, l->count);
	hidden_launch_assert(l, l->count, what);
	hidden_launch_free(l);
}
