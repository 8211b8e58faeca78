/* SPDX-License-Identifier: Apache-2.0 */
/* veto_score_logits: FX1 records and the likeliest tokens of rows of logits, for Vitis HLS as C.
 *
 * Rows flow through a chain of processes, a beat a cycle.  A beat holds 16 fp32 or 32 16-bit logits, so a chunk is 64 or
 * 32 beats.  The sums of a chunk need its maximum first: find_heads() passes each beat on and states the maximum behind
 * the chunk's last, while sum_chunks() is still busy with the chunk before.  So the streams between them must hold more
 * than a chunk, 64 beats, or both would wait for each other; 128 let them overlap.  merge_chunks() holds a row's 256
 * chunk records: N is known only behind the last.  find_top() sorts each beat in a network and merges it into one of
 * TOP_LISTS lists in turn, so that a merge may take TOP_LISTS cycles and no order of logits stalls it.
 * Intended: II = 1 in every loop over beats, and the next row starts while the last processes finish this one. */
#include "score_logits.h"
#include "fx1_step.h"

#define LANES 32
#define BEATS_MAX (VETO_VOCAB_MAX / 16)
#define CHUNKS_MAX (VETO_VOCAB_MAX / VETO_CHUNK_LOGITS)
#define TOP_LISTS 8
#define RESULT_BEATS 5
#define ID_BITS 18
#define ID_MASK ((1u << ID_BITS) - 1)

/* A row's job, as each process sees it. */
struct work {
	uint32_t first_beat, beats, lanes, chunk_beats, vocab, format, k, tag;
};

/* A beat after step 2: the lanes that count, and their y. */
struct lanes {
	int32_t y[LANES];
	uint32_t on; /* bit i: lane i counts */
};

struct counts {
	uint32_t n_nan, n_sat;
};

struct head {
	int32_t ymax;
	uint32_t cnt;
	int64_t sumy;
	struct counts masked;
};

static const uint16_t table_a[64] = VETO_FX1_A;
static const uint16_t table_b[64] = VETO_FX1_B;

static struct work read_job(const struct veto_beat *jobs, uint32_t index)
{
	const struct veto_beat job = jobs[index];
	struct work w;

	w.first_beat = job.w[0] >> 6 | job.w[1] << 26;
	w.vocab = job.w[2];
	w.format = job.w[3];
	w.k = job.w[4];
	w.tag = job.w[5];
	w.lanes = w.format == VETO_KERNEL_FP32 ? 16 : 32;
	w.chunk_beats = VETO_CHUNK_LOGITS / w.lanes;
	w.beats = (w.vocab + w.lanes - 1) / w.lanes;
	return w;
}

/* Lane i of a beat as fp32 bits. */
static uint32_t widen(const struct veto_beat *beat, uint32_t format, int i)
{
#pragma HLS INLINE
	const uint32_t half = beat->w[i / 2] >> (i % 2 * 16) & 0xffffu;

	if (format == VETO_KERNEL_FP32)
		return beat->w[i & 15];
	return format == VETO_KERNEL_FP16 ? fx1_step_widen_fp16(half) : half << 16;
}

/* Steps 1 and 2.  The raw beat goes on too, with the lanes that top-k may list. */
static void convert(const struct veto_beat *rows, struct work w, struct lanes *out, struct counts *counts,
	struct veto_beat *raw, uint32_t *raw_on)
{
	uint32_t b;
	int i;

	for (b = 0; b < w.beats; b++) {
#pragma HLS PIPELINE II = 1
		const struct veto_beat beat = rows[w.first_beat + b];
		struct lanes lanes;
		struct counts c;

		lanes.on = 0;
		c.n_nan = 0;
		c.n_sat = 0;
		for (i = 0; i < LANES; i++) {
#pragma HLS UNROLL
			const uint32_t bits = widen(&beat, w.format, i);
			const int is_there = (uint32_t)i < w.lanes && b * w.lanes + (uint32_t)i < w.vocab;
			const int is_nan = fx1_step_is_nan(bits);
			const int is_saturated = fx1_step_is_saturated(bits);
			const int is_on = is_there && !is_nan && !fx1_step_is_low(bits);

			lanes.y[i] = fx1_step_y(!is_on ? 0 : is_saturated ? FX1_BITS_1024 : bits);
			lanes.on |= (uint32_t)is_on << i;
			c.n_nan += (uint32_t)(is_there && is_nan);
			c.n_sat += (uint32_t)(is_there && is_saturated);
		}
		out[b] = lanes;
		counts[b] = c;
		raw[b] = beat;
		raw_on[b] = lanes.on;
	}
}

/* Step 3: what a chunk's sums need to know, behind its last beat. */
static void find_heads(
	struct work w, const struct lanes *in, const struct counts *counts, struct lanes *out, struct head *heads)
{
	struct head head;
	uint32_t b, chunk = 0, left = 0;
	int i;

	for (b = 0; b < w.beats; b++) {
#pragma HLS PIPELINE II = 1
		const struct lanes lanes = in[b];

		if (left == 0) {
			head.ymax = INT32_MIN;
			head.cnt = 0;
			head.sumy = 0;
			head.masked.n_nan = 0;
			head.masked.n_sat = 0;
			left = w.chunk_beats;
		}
		for (i = 0; i < LANES; i++) {
#pragma HLS UNROLL
			if (lanes.on >> i & 1) {
				head.cnt++;
				head.sumy += lanes.y[i];
				if (lanes.y[i] > head.ymax)
					head.ymax = lanes.y[i];
			}
		}
		head.masked.n_nan += counts[b].n_nan;
		head.masked.n_sat += counts[b].n_sat;
		out[b] = lanes;
		left--;
		if (left == 0 || b + 1 == w.beats)
			heads[chunk++] = head;
	}
}

/* Step 4. */
static void sum_chunks(struct work w, const struct lanes *in, const struct head *heads, struct veto_chunk *chunks)
{
	struct head head;
	uint64_t s = 0, t = 0;
	int32_t n = VETO_N_EMPTY;
	uint32_t b, chunk = 0, left = 0;
	int i;

	for (b = 0; b < w.beats; b++) {
#pragma HLS PIPELINE II = 1
		const struct lanes lanes = in[b];

		if (left == 0) {
			head = heads[chunk];
			n = head.cnt > 0 ? head.ymax >> 16 : VETO_N_EMPTY;
			s = 0;
			t = 0;
			left = w.chunk_beats;
		}
		for (i = 0; i < LANES; i++) {
#pragma HLS UNROLL
			const int32_t y = lanes.y[i];
			const uint32_t g = (uint32_t)y >> 10 & 63u;

			if (lanes.on >> i & 1) {
				const uint64_t e =
					fx1_step_element(y, (uint32_t)(n - (y >> 16)), table_a[g], table_b[g]);

				s += e;
				t += e * (uint64_t)((n + 1) * 65536 - y);
			}
		}
		left--;
		if (left == 0 || b + 1 == w.beats) {
			struct veto_chunk c;

			c.n = n;
			c.ymax = head.ymax;
			c.cnt = head.cnt;
			c.n_nan = head.masked.n_nan;
			c.n_sat = head.masked.n_sat;
			c.index = chunk;
			c.sumy = head.sumy;
			c.s = s;
			c.t = t;
			c.zero[0] = c.zero[1] = 0;
			chunks[chunk++] = c;
		}
	}
}

/* Step 5. */
static void merge_chunks(struct work w, const struct veto_chunk *chunks, struct veto_record *out)
{
	struct veto_chunk held[CHUNKS_MAX];
	const uint32_t count = (w.beats + w.chunk_beats - 1) / w.chunk_beats;
	struct veto_record r;
	uint32_t i;

	r.n = VETO_N_EMPTY;
	r.ymax = INT32_MIN;
	r.cnt = r.n_nan = r.n_sat = 0;
	r.tag = w.tag;
	r.sumy = 0;
	r.s = r.t = 0;
	r.zero[0] = r.zero[1] = 0;
	for (i = 0; i < count; i++) {
#pragma HLS PIPELINE II = 1
		const struct veto_chunk c = chunks[i];

		held[i] = c;
		r.cnt += c.cnt;
		r.n_nan += c.n_nan;
		r.n_sat += c.n_sat;
		r.sumy += c.sumy;
		if (c.ymax > r.ymax) {
			r.ymax = c.ymax;
			r.n = c.n;
		}
	}
	for (i = 0; i < count; i++) {
#pragma HLS PIPELINE II = 1
		const struct veto_chunk c = held[i];
		const uint32_t d = (uint32_t)(r.n - c.n);

		if (c.cnt > 0 && d <= VETO_ROW_SHIFT_MAX) {
			r.s += (c.s << 13) >> d;
			r.t += (c.t + ((uint64_t)d << 16) * c.s) >> (d + 3);
		}
	}
	*out = r;
}

/* --- The likeliest tokens: entries are key, then the id's complement, in one number; 0: unused --- */

static void order(uint64_t *high, uint64_t *low)
{
#pragma HLS INLINE
	if (*low > *high) {
		const uint64_t other = *high;

		*high = *low;
		*low = other;
	}
}

/* The last log2(LANES) stages of a bitonic network: a bitonic v becomes falling. */
static void settle(uint64_t v[LANES])
{
#pragma HLS INLINE
	int j, i;

	for (j = LANES / 2; j > 0; j /= 2) {
#pragma HLS UNROLL
		for (i = 0; i < LANES; i++) {
#pragma HLS UNROLL
			if (!(i & j))
				order(&v[i], &v[i | j]);
		}
	}
}

static void sort(uint64_t v[LANES])
{
#pragma HLS INLINE
	int size, j, i;

	for (size = 2; size < LANES; size *= 2) {
#pragma HLS UNROLL
		for (j = size / 2; j > 0; j /= 2) {
#pragma HLS UNROLL
			for (i = 0; i < LANES; i++) {
#pragma HLS UNROLL
				if (!(i & j) && !(i & size))
					order(&v[i], &v[i | j]);
				else if (!(i & j))
					order(&v[i | j], &v[i]);
			}
		}
	}
	settle(v);
}

/* The best LANES of two falling lists, into the first. */
static void merge(uint64_t list[LANES], const uint64_t v[LANES])
{
#pragma HLS INLINE
	int i;

	for (i = 0; i < LANES; i++) {
#pragma HLS UNROLL
		if (v[LANES - 1 - i] > list[i])
			list[i] = v[LANES - 1 - i];
	}
	settle(list);
}

static void find_top(struct work w, const struct veto_beat *raw, const uint32_t *raw_on, uint64_t top[LANES])
{
	uint64_t list[TOP_LISTS][LANES];
#pragma HLS ARRAY_PARTITION variable = list complete dim = 0
	uint32_t b;
	int i, l;

	for (l = 0; l < TOP_LISTS; l++)
		for (i = 0; i < LANES; i++)
			list[l][i] = 0;
	for (b = 0; b < w.beats; b++) {
#pragma HLS PIPELINE II = 1
#pragma HLS DEPENDENCE variable = list inter distance = 8 true
		const struct veto_beat beat = raw[b];
		uint64_t v[LANES];

		for (i = 0; i < LANES; i++) {
#pragma HLS UNROLL
			const uint32_t id = b * w.lanes + (uint32_t)i;
			const uint64_t key = fx1_step_key(widen(&beat, w.format, i));

			v[i] = raw_on[b] >> i & 1 ? key << ID_BITS | (~id & ID_MASK) : 0;
		}
		sort(v);
		merge(list[b % TOP_LISTS], v);
	}
	for (l = 1; l < TOP_LISTS; l++)
		merge(list[0], list[l]);
	for (i = 0; i < LANES; i++)
		top[i] = list[0][i];
}

static void write_result(struct work w, uint32_t index, const struct veto_record *r, const uint64_t top[LANES],
	struct veto_beat *results)
{
	struct veto_beat beat;
	uint32_t b, i;

	beat.w[0] = (uint32_t)r->n;
	beat.w[1] = (uint32_t)r->ymax;
	beat.w[2] = r->cnt;
	beat.w[3] = r->n_nan;
	beat.w[4] = r->n_sat;
	beat.w[5] = r->tag;
	beat.w[6] = (uint32_t)r->sumy;
	beat.w[7] = (uint32_t)((uint64_t)r->sumy >> 32);
	beat.w[8] = (uint32_t)r->s;
	beat.w[9] = (uint32_t)(r->s >> 32);
	beat.w[10] = (uint32_t)r->t;
	beat.w[11] = (uint32_t)(r->t >> 32);
	beat.w[12] = beat.w[13] = beat.w[14] = beat.w[15] = 0;
	results[index * RESULT_BEATS] = beat;
	for (b = 0; b < 4; b++) {
#pragma HLS PIPELINE II = 1
		for (i = 0; i < 8; i++) {
#pragma HLS UNROLL
			const uint64_t entry = b * 8 + i < w.k ? top[b * 8 + i] : 0;

			beat.w[2 * i] = (uint32_t)(entry >> ID_BITS);
			beat.w[2 * i + 1] = entry ? ~(uint32_t)entry & ID_MASK : VETO_NO_TOKEN;
		}
		results[index * RESULT_BEATS + 1 + b] = beat;
	}
}

static void score_rows(
	const struct veto_beat *rows, const struct veto_beat *jobs, struct veto_beat *results, uint32_t count)
{
	uint32_t index;

	for (index = 0; index < count; index++) {
#pragma HLS DATAFLOW
		struct lanes front[BEATS_MAX], back[BEATS_MAX];
		struct counts counts[BEATS_MAX];
		struct veto_beat raw[BEATS_MAX];
		uint32_t raw_on[BEATS_MAX];
		struct head heads[CHUNKS_MAX];
		struct veto_chunk chunks[CHUNKS_MAX];
		struct veto_record record;
		uint64_t top[LANES];
		const struct work w = read_job(jobs, index);
#pragma HLS STREAM variable = front depth = 128
#pragma HLS STREAM variable = back depth = 128
#pragma HLS STREAM variable = counts depth = 128
#pragma HLS STREAM variable = raw depth = 128
#pragma HLS STREAM variable = raw_on depth = 128
#pragma HLS STREAM variable = heads depth = 4
#pragma HLS STREAM variable = chunks depth = 4

		convert(rows, w, front, counts, raw, raw_on);
		find_heads(w, front, counts, back, heads);
		sum_chunks(w, back, heads, chunks);
		merge_chunks(w, chunks, &record);
		find_top(w, raw, raw_on, top);
		write_result(w, index, &record, top, results);
	}
}

/* How many jobs there are before the first bad one. */
static uint32_t count_good(const struct veto_beat *jobs, uint32_t count)
{
	uint32_t good = 0;
	uint32_t i;

	for (i = 0; i < count; i++) {
#pragma HLS PIPELINE II = 1
		const struct veto_beat job = jobs[i];

		if (good == i && !(job.w[0] & 63u) && !(job.w[1] >> 6) && job.w[2] >= 1 && job.w[2] <= VETO_VOCAB_MAX &&
			job.w[3] < VETO_KERNEL_FORMATS && job.w[4] <= VETO_TOP_MAX)
			good++;
	}
	return good;
}

void veto_score_logits(
	const struct veto_beat *rows, const struct veto_beat *jobs, struct veto_beat *results, uint32_t count)
{
#pragma HLS INTERFACE m_axi port = rows offset = slave bundle = rows max_read_burst_length = 64 num_read_outstanding = \
	32
#pragma HLS INTERFACE m_axi port = jobs offset = slave bundle = jobs
#pragma HLS INTERFACE m_axi port = results offset = slave bundle = results
#pragma HLS INTERFACE s_axilite port = count
#pragma HLS INTERFACE s_axilite port = return
	const uint32_t rows_done = count > VETO_LAUNCH_ROWS_MAX ? 0 : count_good(jobs, count);
	struct veto_beat trailer;
	uint32_t i;

	score_rows(rows, jobs, results, rows_done);
	trailer.w[0] = VETO_KERNEL_MAGIC;
	trailer.w[1] = VETO_KERNEL_CONTRACT;
	trailer.w[2] = VETO_FX1_VERSION;
	trailer.w[3] = rows_done;
	trailer.w[4] = count > VETO_LAUNCH_ROWS_MAX ? VETO_KERNEL_BAD_COUNT
		       : rows_done < count	    ? VETO_KERNEL_BAD_JOB
						    : VETO_KERNEL_OK;
	for (i = 5; i < 16; i++)
		trailer.w[i] = 0;
	results[count * RESULT_BEATS] = trailer;
}
