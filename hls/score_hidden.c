/* SPDX-License-Identifier: Apache-2.0 */
/* veto_score_hidden: hidden states through dense heads and tables (HX1 and SCH), for Vitis HLS as C.
 *
 * The weights of a head are read once for all states of a job, a beat a cycle from each port, all ports in step.  A block
 * is 64 columns: one beat of int8, two of int16.  multiply() takes a block of every port and GROUP states a cycle, which
 * is 1024 products of 16 x 16 bits whatever the number of ports is, so it keeps up with the memory as long as a job has
 * GROUP states, or twice as many with int16.  Rows go through three processes, which hand each other streams and nothing
 * back, so that no depth of them stalls for good: read_blocks(), multiply(), end_rows().  The last takes 16 cycles for
 * a row of every port and GROUP states; the others take no fewer from 1024 columns on, and shorter rows wait for it.  A
 * stream starts anew with each tile, which costs the memory's latency; a tile has at most 2048 blocks, as many whole rows
 * as these hold, which makes that a few per cent.
 *
 * Buffers: q holds 16 states of 16384 integers, and between two layers is written anew, for nothing else reads the
 * states' own by then.  A layer's z lie in z until all of them are known, because M, the largest, is needed for the
 * first.  wide is the one state of a table.  scales holds those of a layer, so that meta is read in one burst.  States
 * are read twice: for the largest exponent, then for q; that is little beside the weights.
 * Intended: II = 1 in every loop over beats, blocks and rows. */
#include "score_hidden.h"
#include "fx1_step.h"
#include "hx1_step.h"
#include "score_hidden_job.h"

#define PORTS VETO_WEIGHT_PORTS
#define STATES VETO_STATES_MAX
#define GROUP (STATES / PORTS) /* states that take part in a cycle */
#define BLOCK 64
#define TILE_BLOCKS 2048
#define TILE_ROWS 256
#define LANES 32 /* of a beat of a state, at most */
#define SCALES_A_BEAT 8

#define WEIGHT_ARGUMENT(port) weights_##port,
#define WEIGHT_ARGUMENTS VETO_EACH_WEIGHT_PORT(WEIGHT_ARGUMENT)

struct layer {
	uint64_t weight_beat;
	uint32_t rows, cols, states, is_int8, is_distance;
	uint32_t beats, blocks; /* of a row */
	uint32_t port_rows; /* in each port; the last of some may count for nothing */
	uint32_t groups; /* that have a state */
};

/* Some rows of each port. */
struct tile {
	uint32_t first, rows;
};

struct block {
	int16_t w[PORTS][BLOCK];
};

struct sums {
	int64_t acc[PORTS][GROUP];
};

static uint32_t ceil_div(uint32_t v, uint32_t by) { return (v + by - 1) / by; }

/* --- Step 1 --- */

static uint32_t lanes_of(uint32_t format) { return format == VETO_KERNEL_FP32 ? 16 : 32; }

/* Lane i of a beat as fp32 bits. */
static uint32_t widen(const struct veto_beat *beat, uint32_t format, uint32_t i)
{
#pragma HLS INLINE
	const uint32_t half = beat->w[i / 2] >> (i % 2 * 16) & 0xffffu;

	if (format == VETO_KERNEL_FP32)
		return beat->w[i & 15];
	return format == VETO_KERNEL_FP16 ? fx1_step_widen_fp16(half) : half << 16;
}

/* The largest exponent of each state; HX1_FIELD_BAD is larger than any other. */
static void find_exponents(const struct veto_beat *states, const struct work *w, int32_t emax[STATES])
{
	const uint32_t lanes = lanes_of(w->format);
	const uint32_t beats = ceil_div(w->cols, lanes);
	uint32_t s, b, i;

	for (s = 0; s < w->states; s++) {
		int32_t most = 1;

		for (b = 0; b < beats; b++) {
#pragma HLS PIPELINE II = 1
			const struct veto_beat beat = states[w->state_beat + s * beats + b];

			for (i = 0; i < LANES; i++) {
#pragma HLS UNROLL
				const int32_t e = hx1_step_exponent(widen(&beat, w->format, i));

				if (i < lanes && b * lanes + i < w->cols && e > most)
					most = e;
			}
		}
		emax[s] = most;
	}
}

/* q of the states of a head, with the sums of their squares, or wide of a table's. */
static void quantise(const struct veto_beat *states, const struct work *w, const int32_t emax[STATES],
	int16_t q[PORTS][GROUP][VETO_STATE_MAX], int32_t wide[VETO_STATE_MAX], uint64_t squares[STATES])
{
	const uint32_t lanes = lanes_of(w->format);
	const uint32_t beats = ceil_div(w->cols, lanes);
	const int32_t width = w->op == VETO_HIDDEN_HEAD ? 16 : 24;
	uint32_t s, b, i;

	for (s = 0; s < w->states; s++) {
		uint64_t sum = 0;

		for (b = 0; b < beats; b++) {
#pragma HLS PIPELINE II = 1
			const struct veto_beat beat = states[w->state_beat + s * beats + b];
			const uint32_t first = b * lanes / BLOCK * BLOCK; /* of the block */
			int32_t value[LANES];

			for (i = 0; i < LANES; i++) {
#pragma HLS UNROLL
				const int is_there = i < lanes && b * lanes + i < w->cols;

				value[i] = is_there ? hx1_step_quantise(widen(&beat, w->format, i), emax[s], width) : 0;
				if (w->is_distance)
					sum += (uint64_t)((int64_t)(int16_t)value[i] * (int16_t)value[i]);
			}
			/* Every column of a block has a memory of its own. */
			for (i = 0; i < BLOCK; i++) {
#pragma HLS UNROLL
				const int32_t v = value[lanes == 16 ? i % 16 : i % 32];

				if ((lanes == 16 ? i / 16 : i / 32) != b % (BLOCK / lanes))
					continue;
				if (w->op == VETO_HIDDEN_HEAD)
					q[s / GROUP][s % GROUP][first + i] = (int16_t)v;
				else
					wide[first + i] = v;
			}
		}
		squares[s] = sum;
	}
}

/* --- Step 2 --- */

static int32_t lane8(const struct veto_beat *beat, uint32_t i)
{
	return (int8_t)(beat->w[i / 4] >> (i % 4 * 8) & 0xffu);
}

static int32_t lane16(const struct veto_beat *beat, uint32_t i)
{
	return (int16_t)(beat->w[i / 2] >> (i % 2 * 16) & 0xffffu);
}

/* The rows of a tile as blocks; weights beyond cols are 0 there. */
static void read_blocks(VETO_WEIGHT_PARAMETERS struct layer layer, struct tile tile, struct block *out)
{
	const uint64_t first = layer.weight_beat + (uint64_t)tile.first * layer.beats;
	struct block block;
	uint32_t row, b, p, i, blocks = 0;

	for (row = 0; row < tile.rows; row++) {
		for (b = 0; b < layer.beats; b++) {
#pragma HLS PIPELINE II = 1
			const uint32_t half = layer.is_int8 ? 0 : b % 2;
			const uint32_t left = layer.cols - (layer.is_int8 ? b : b / 2) * BLOCK;
			const uint64_t at = first + row * layer.beats + b;
			struct veto_beat beat[PORTS];

#define READ_WEIGHTS(port) beat[port] = weights_##port[at];
			VETO_EACH_WEIGHT_PORT(READ_WEIGHTS)
			for (p = 0; p < PORTS; p++) {
#pragma HLS UNROLL
				for (i = 0; i < BLOCK; i++) {
#pragma HLS UNROLL
					const int32_t w = layer.is_int8 ? lane8(&beat[p], i) : lane16(&beat[p], i % 32);

					if (i / 32 >= half)
						block.w[p][i] =
							(int16_t)(i < left && (layer.is_int8 || i / 32 == half) ? w
														: 0);
				}
			}
			if (layer.is_int8 || half == 1 || b + 1 == layer.beats)
				out[blocks++] = block;
		}
	}
}

static void multiply(struct layer layer, struct tile tile, const struct block *in,
	int16_t q[PORTS][GROUP][VETO_STATE_MAX], struct sums *out)
{
	struct sums sums[PORTS]; /* of each group */
#pragma HLS ARRAY_PARTITION variable = sums complete dim = 0
	struct block block;
	uint32_t row, b, g, p, k, i, blocks = 0, ends = 0;

	for (row = 0; row < tile.rows; row++) {
		for (b = 0; b < layer.blocks; b++) {
			for (g = 0; g < layer.groups; g++) {
#pragma HLS PIPELINE II = 1
				if (g == 0)
					block = in[blocks++];
				for (p = 0; p < PORTS; p++) {
#pragma HLS UNROLL
					for (k = 0; k < GROUP; k++) {
#pragma HLS UNROLL
						int64_t sum = 0;

						if (g * GROUP + k < layer.states)
							for (i = 0; i < BLOCK; i++) {
#pragma HLS UNROLL
								sum += (int32_t)block.w[p][i] * q[g][k][b * BLOCK + i];
							}
						sums[g].acc[p][k] = (b == 0 ? 0 : sums[g].acc[p][k]) + sum;
					}
				}
				if (b + 1 == layer.blocks)
					out[ends++] = sums[g];
			}
		}
	}
}

static void end_rows(struct layer layer, struct tile tile, const struct sums *in,
	const struct veto_weight_scale *scales, const int32_t e[STATES], int32_t z[STATES][VETO_STATE_MAX])
{
	struct sums sums;
	uint32_t row, g, i, ends = 0;

	for (row = 0; row < tile.rows; row++) {
		for (g = 0; g < layer.groups; g++) {
			for (i = 0; i < PORTS * GROUP; i++) {
#pragma HLS PIPELINE II = 1
				const uint32_t o = (tile.first + row) * PORTS + i / GROUP;
				const uint32_t s = g * GROUP + i % GROUP;
				int64_t acc;

				if (i == 0)
					sums = in[ends++];
				acc = sums.acc[i / GROUP][i % GROUP];
				if (o < layer.rows && s < layer.states)
					z[s][o] = layer.is_distance ? hx1_step_part(acc, scales[o])
								    : hx1_step_dense(acc, scales[o], e[s]);
			}
		}
	}
}

/* Tile t of so many rows of a port. */
static struct tile tile_of(uint32_t port_rows, uint32_t rows, uint32_t t)
{
	struct tile tile;

	tile.first = t * rows;
	tile.rows = port_rows - tile.first < rows ? port_rows - tile.first : rows;
	return tile;
}

static void score_layer(VETO_WEIGHT_PARAMETERS struct layer layer, const struct veto_weight_scale *scales,
	const int32_t e[STATES], int16_t q[PORTS][GROUP][VETO_STATE_MAX], int32_t z[STATES][VETO_STATE_MAX])
{
	const uint32_t fit = TILE_BLOCKS / layer.blocks;
	const uint32_t rows = fit < TILE_ROWS ? fit : TILE_ROWS;
	const uint32_t tiles = ceil_div(layer.port_rows, rows);
	uint32_t t;

	for (t = 0; t < tiles; t++) {
#pragma HLS DATAFLOW
		struct block blocks[TILE_BLOCKS];
		struct sums sums[TILE_ROWS * PORTS];
		const struct tile tile = tile_of(layer.port_rows, rows, t);
#pragma HLS STREAM variable = blocks depth = 64
#pragma HLS STREAM variable = sums depth = 32

		read_blocks(WEIGHT_ARGUMENTS layer, tile, blocks);
		multiply(layer, tile, blocks, q, sums);
		end_rows(layer, tile, sums, scales, e, z);
	}
}

static void read_scales(
	const struct veto_beat *meta, uint64_t first_beat, uint32_t rows, struct veto_weight_scale *scales)
{
	const uint32_t beats = ceil_div(rows, SCALES_A_BEAT);
	uint32_t b, i;

	for (b = 0; b < beats; b++) {
#pragma HLS PIPELINE II = 1
		const struct veto_beat beat = meta[first_beat + b];

		for (i = 0; i < SCALES_A_BEAT; i++) {
#pragma HLS UNROLL
			struct veto_weight_scale scale;

			scale.mant = (uint16_t)(beat.w[2 * i] & 0xffffu);
			scale.sh = (int16_t)(beat.w[2 * i] >> 16);
			scale.bias = (int32_t)beat.w[2 * i + 1];
			scales[b * SCALES_A_BEAT + i] = scale;
		}
	}
}

/* --- Step 3 --- */

static void between(uint32_t states, uint32_t rows, int32_t z[STATES][VETO_STATE_MAX],
	int16_t q[PORTS][GROUP][VETO_STATE_MAX], int32_t e[STATES])
{
	int32_t most[STATES];
	uint32_t o, s;

	for (o = 0; o < rows; o++) {
#pragma HLS PIPELINE II = 1
		for (s = 0; s < STATES; s++) {
#pragma HLS UNROLL
			if (o == 0)
				most[s] = 0;
			if (s < states && z[s][o] > most[s])
				most[s] = z[s][o];
		}
	}
	for (o = 0; o < rows; o++) {
#pragma HLS PIPELINE II = 1
		for (s = 0; s < STATES; s++) {
#pragma HLS UNROLL
			const int32_t b = hx1_step_log2(most[s]);

			if (s < states)
				q[s / GROUP][s % GROUP][o] = (int16_t)hx1_step_between(z[s][o], b);
			e[s] = b - 16;
		}
	}
}

/* --- Jobs, from states to results --- */

static void score_head(const struct veto_beat *meta, VETO_WEIGHT_PARAMETERS const struct work *w, int32_t e[STATES],
	int16_t q[PORTS][GROUP][VETO_STATE_MAX], int32_t z[STATES][VETO_STATE_MAX])
{
	static struct veto_weight_scale scales[VETO_STATE_MAX];
#pragma HLS ARRAY_PARTITION variable = scales cyclic factor = 8 dim = 1
	uint64_t scale_beat = w->meta_beat + 1;
	struct layer layer;
	uint32_t l;

	layer.weight_beat = w->weight_beat;
	layer.cols = w->cols;
	layer.states = w->states;
	layer.is_distance = w->is_distance;
	layer.groups = ceil_div(w->states, GROUP);
	for (l = 0; l < w->layers; l++) {
		layer.rows = w->rows[l];
		layer.is_int8 = w->weights[l] == VETO_INT8;
		layer.blocks = ceil_div(layer.cols, BLOCK);
		layer.beats = layer.is_int8 ? layer.blocks : ceil_div(layer.cols, 32);
		layer.port_rows = ceil_div(layer.rows, PORTS);
		read_scales(meta, scale_beat, layer.rows, scales);
		score_layer(WEIGHT_ARGUMENTS layer, scales, e, q, z);
		if (l + 1 < w->layers)
			between(w->states, layer.rows, z, q, e);
		scale_beat += ceil_div(layer.rows, SCALES_A_BEAT);
		layer.weight_beat += (uint64_t)layer.port_rows * layer.beats;
		layer.cols = layer.rows;
	}
}

static struct veto_beat read_port(VETO_WEIGHT_PARAMETERS uint32_t port, uint64_t at)
{
#pragma HLS INLINE
#define READ_IF_ASKED(i)                                                                                               \
	if (port == (i))                                                                                               \
		beat = weights_##i[at];
	struct veto_beat beat = {{0}};

	VETO_EACH_WEIGHT_PORT(READ_IF_ASKED)
	return beat;
}

static int32_t score_table(const struct veto_beat *meta, VETO_WEIGHT_PARAMETERS const struct work *w, int32_t e,
	const int32_t wide[VETO_STATE_MAX])
{
	const uint32_t highs = ceil_div(w->cols, 32);
	const uint32_t lows = w->op == VETO_HIDDEN_TABLE24 ? ceil_div(w->cols, 64) : 0;
	const uint64_t first = w->weight_beat + (uint64_t)(w->token / PORTS) * (highs + lows);
	const struct veto_beat token = meta[w->meta_beat + w->token / 8];
	const uint32_t f = token.w[w->token % 8 * 2];
	const uint32_t c = token.w[w->token % 8 * 2 + 1];
	int64_t high = 0, low = 0;
	uint32_t b, i;

	for (b = 0; b < highs; b++) {
#pragma HLS PIPELINE II = 1
		const struct veto_beat beat = read_port(WEIGHT_ARGUMENTS w->token % PORTS, first + b);

		for (i = 0; i < 32; i++) {
#pragma HLS UNROLL
			if (b * 32 + i < w->cols)
				high += (int64_t)wide[b * 32 + i] * lane16(&beat, i);
		}
	}
	for (b = 0; b < lows; b++) {
#pragma HLS PIPELINE II = 1
		const struct veto_beat beat = read_port(WEIGHT_ARGUMENTS w->token % PORTS, first + highs + b);

		for (i = 0; i < 64; i++) {
#pragma HLS UNROLL
			if (b * 64 + i < w->cols)
				low += (int64_t)wide[b * 64 + i] * (lane8(&beat, i) & 0xff);
		}
	}
	return hx1_step_table(high * 256 + low, e, (int16_t)(f & 0xffffu), (int32_t)c, w->offset_q20);
}

static void score_job(const struct veto_beat *states, struct veto_beat *results, uint32_t first_result,
	const struct veto_beat *meta, VETO_WEIGHT_PARAMETERS const struct work *w)
{
	static int16_t q[PORTS][GROUP][VETO_STATE_MAX];
	static int32_t wide[VETO_STATE_MAX];
	static int32_t z[STATES][VETO_STATE_MAX];
#pragma HLS ARRAY_PARTITION variable = q complete dim = 2
#pragma HLS ARRAY_PARTITION variable = q cyclic factor = 64 dim = 3
#pragma HLS ARRAY_PARTITION variable = wide cyclic factor = 64 dim = 1
#pragma HLS ARRAY_PARTITION variable = z complete dim = 1
#pragma HLS BIND_STORAGE variable = z type = ram_2p impl = uram
	const uint32_t outputs = w->op == VETO_HIDDEN_HEAD ? w->rows[w->layers - 1] : 0;
	int32_t emax[STATES], e[STATES];
	uint64_t squares[STATES];
	struct found found;
	uint32_t s;

	find_exponents(states, w, emax);
	quantise(states, w, emax, q, wide, squares);
	for (s = 0; s < w->states; s++)
		e[s] = emax[s] - 127;
	found.sc_q20 = 0;
	if (w->op == VETO_HIDDEN_HEAD)
		score_head(meta, WEIGHT_ARGUMENTS w, e, q, z);
	else
		found.sc_q20 = score_table(meta, WEIGHT_ARGUMENTS w, e[0], wide);
	for (s = 0; s < w->states; s++) {
		found.is_bad = emax[s] == HX1_FIELD_BAD;
		found.e = w->is_distance ? e[s] : 0;
		found.squares = squares[s];
		write_result(results, first_result + s * RESULT_BEATS, w->tag, found, outputs, z, s);
	}
}

/* Interfaces of ports that a macro names. */
#define INTERFACE(text) INTERFACE_OF(HLS INTERFACE text)
#define INTERFACE_OF(text) _Pragma(#text)
#define WEIGHT_INTERFACE(port_number)                                                                                  \
	INTERFACE(m_axi port = weights_##port_number offset = slave bundle =                                           \
			  weights_##port_number max_read_burst_length = 64 num_read_outstanding = 32)

void veto_score_hidden(const struct veto_beat *states, const struct veto_beat *jobs, struct veto_beat *results,
	const struct veto_beat *meta, VETO_WEIGHT_PARAMETERS uint32_t count)
{
#pragma HLS INTERFACE m_axi port = states offset = slave bundle = states max_read_burst_length = 64
#pragma HLS INTERFACE m_axi port = jobs offset = slave bundle = jobs
#pragma HLS INTERFACE m_axi port = results offset = slave bundle = results
#pragma HLS INTERFACE m_axi port = meta offset = slave bundle = meta max_read_burst_length = 64
#pragma HLS INTERFACE s_axilite port = count
#pragma HLS INTERFACE s_axilite port = return
	VETO_EACH_WEIGHT_PORT(WEIGHT_INTERFACE)
	const uint32_t jobs_there = count > VETO_LAUNCH_ROWS_MAX ? 0 : count;
	const uint32_t states_there = count_states(jobs, jobs_there);
	uint32_t i, beat = 0;

	for (i = 0; i < jobs_there; i++) {
		const struct veto_beat job = jobs[i];
		struct work w = read_job(job);

		if (!is_good_job(job, &w))
			break;
		if (w.op == VETO_HIDDEN_HEAD) {
			read_head(meta[w.meta_beat], &w);
			if (!is_good_head(&w))
				break;
		}
		score_job(states, results, beat, meta, WEIGHT_ARGUMENTS & w);
		beat += w.states * RESULT_BEATS;
	}
	write_trailer(results, states_there * RESULT_BEATS, i,
		count > VETO_LAUNCH_ROWS_MAX ? VETO_KERNEL_BAD_COUNT
		: i < count		     ? VETO_KERNEL_BAD_JOB
					     : VETO_KERNEL_OK);
}
