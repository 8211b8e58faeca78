/* SPDX-License-Identifier: Apache-2.0 */
/* What veto_score_hidden reads of its jobs, and what it writes of them: numbers in beats, as veto_hw.h says. */
#ifndef VETO_SCORE_HIDDEN_JOB_H
#define VETO_SCORE_HIDDEN_JOB_H

#include "veto_hw.h"

#define RESULT_BEATS 5

/* A job, and what its meta says of a head. */
struct work {
	uint64_t state_beat, meta_beat, weight_beat;
	uint32_t cols, format, op, token, tag, states;
	int32_t offset_q20;
	uint32_t layers, rows[VETO_HEAD_LAYERS_MAX], weights[VETO_HEAD_LAYERS_MAX], is_distance;
};

static uint64_t beat_at(uint32_t low, uint32_t high) { return (uint64_t)high << 26 | low >> 6; }

static struct work read_job(struct veto_beat job)
{
	struct work w;

	w.state_beat = beat_at(job.w[0], job.w[1]);
	w.cols = job.w[2];
	w.format = job.w[3];
	w.op = job.w[4];
	w.token = job.w[5];
	w.tag = job.w[6];
	w.states = job.w[7];
	w.meta_beat = beat_at(job.w[8], job.w[9]);
	w.weight_beat = beat_at(job.w[10], job.w[11]);
	w.offset_q20 = (int32_t)job.w[12];
	w.layers = w.rows[0] = w.rows[1] = w.weights[0] = w.weights[1] = w.is_distance = 0;
	return w;
}

static int is_good_job(struct veto_beat job, const struct work *w)
{
	const int is_table = w->op == VETO_HIDDEN_TABLE24 || w->op == VETO_HIDDEN_TABLE16;

	return !((job.w[0] | job.w[8] | job.w[10]) & 63u) && w->cols >= 1 && w->cols <= VETO_STATE_MAX &&
	       w->format < VETO_KERNEL_FORMATS && (w->op == VETO_HIDDEN_HEAD || is_table) && w->states >= 1 &&
	       w->states <= (is_table ? 1 : VETO_STATES_MAX);
}

static void read_head(struct veto_beat head, struct work *w)
{
	w->layers = head.w[0];
	w->rows[0] = head.w[1];
	w->rows[1] = head.w[2];
	w->weights[0] = head.w[3];
	w->weights[1] = head.w[4];
	w->is_distance = head.w[5];
}

static int is_good_layer(uint32_t rows, uint32_t weights, uint32_t rows_max)
{
	return rows >= 1 && rows <= rows_max && (weights == VETO_INT8 || weights == VETO_INT16);
}

static int is_good_head(const struct work *w)
{
	if (w->is_distance && !(w->is_distance == 1 && w->layers == 1 && w->weights[0] == VETO_INT16 &&
				      w->rows[0] <= VETO_DISTANCE_ROWS_MAX))
		return 0;
	if (w->layers == 1)
		return is_good_layer(w->rows[0], w->weights[0], VETO_HEAD_OUTPUTS_MAX);
	return w->layers == 2 && is_good_layer(w->rows[0], w->weights[0], VETO_STATE_MAX) &&
	       is_good_layer(w->rows[1], w->weights[1], VETO_HEAD_OUTPUTS_MAX);
}

/* The states that jobs have results for, bad jobs too. */
static uint32_t count_states(const struct veto_beat *jobs, uint32_t count)
{
	uint32_t states = 0, i;

	for (i = 0; i < count; i++) {
#pragma HLS PIPELINE II = 1
		const uint32_t more = jobs[i].w[7];

		states += more < VETO_STATES_MAX ? more : VETO_STATES_MAX;
	}
	return states;
}

/* What is found out about a state, but z. */
struct found {
	uint32_t is_bad;
	int32_t sc_q20, e;
	uint64_t squares;
};

static void write_result(struct veto_beat *results, uint32_t first, uint32_t tag, struct found found, uint32_t outputs,
	int32_t z[VETO_STATES_MAX][VETO_STATE_MAX], uint32_t state)
{
	struct veto_beat beat;
	uint32_t b, i;

	for (i = 6; i < 16; i++)
		beat.w[i] = 0;
	beat.w[0] = found.is_bad ? VETO_HIDDEN_BAD_STATE : VETO_HIDDEN_OK;
	beat.w[1] = tag;
	beat.w[2] = found.is_bad ? 0 : (uint32_t)found.sc_q20;
	beat.w[3] = found.is_bad ? 0 : (uint32_t)found.e;
	beat.w[4] = found.is_bad ? 0 : (uint32_t)found.squares;
	beat.w[5] = found.is_bad ? 0 : (uint32_t)(found.squares >> 32);
	results[first] = beat;
	for (b = 0; b < RESULT_BEATS - 1; b++) {
#pragma HLS PIPELINE II = 1
		for (i = 0; i < 16; i++) {
#pragma HLS UNROLL
			beat.w[i] = !found.is_bad && b * 16 + i < outputs ? (uint32_t)z[state][b * 16 + i] : 0;
		}
		results[first + 1 + b] = beat;
	}
}

static void write_trailer(struct veto_beat *results, uint32_t at, uint32_t jobs_done, uint32_t error)
{
	struct veto_beat trailer;
	uint32_t i;

	trailer.w[0] = VETO_KERNEL_MAGIC;
	trailer.w[1] = VETO_KERNEL_CONTRACT;
	trailer.w[2] = VETO_HX1_VERSION;
	trailer.w[3] = jobs_done;
	trailer.w[4] = error;
	for (i = 5; i < 16; i++)
		trailer.w[i] = 0;
	results[at] = trailer;
}

#endif
