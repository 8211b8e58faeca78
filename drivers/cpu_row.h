/* SPDX-License-Identifier: Apache-2.0 */
/* The way through a row that the variants with vectors share: each defines VECTOR, FLOATS (so many of them), struct tables
 * and struct list, includes this, and defines the functions that are declared here. */
#ifndef VETO_CPU_ROW_H
#define VETO_CPU_ROW_H

#include "cpu.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define CHUNK ((int)VETO_CHUNK_LOGITS)
#define CHUNKS_MAX (VETO_VOCAB_MAX / VETO_CHUNK_LOGITS)
#define SEARCH_STEP (4 * VECTOR) /* every loop over logits takes a part of it */
#define AHEAD_BYTES 16384 /* what is read that much later is fetched now, evenly: half of it in each pass */
#define PLAIN_LIMIT (1 << 26) /* 32 values of y below it can be summed in 32 bits */
#define NOTHING (-(1 << 30)) /* stands for the y of an entry left out: step 4 makes it 0 under every n */
#define KEY_MASKED 0x3b7ffffeu /* the largest key of a masked entry: one below that of -1024 */

/* A chunk between its two passes. */
struct values {
	_Alignas(FLOATS) int32_t y[VETO_CHUNK_LOGITS];
	/* 2^f less 1, Q16: of two vectors of y the even and the odd words of one */
	_Alignas(FLOATS) uint16_t m[VETO_CHUNK_LOGITS];
};

/* A row on its way. */
struct work {
	struct tables tables;
	struct values values[2]; /* of the chunks by turns */
	_Alignas(FLOATS) char tail[4 * VETO_CHUNK_LOGITS]; /* the last chunk, if it is not whole */
	int tail_logits;
	FLOATS high[CHUNKS_MAX][2]; /* highest entries of each chunk by lane */
};

static void start_tables(struct tables *t);

/* Steps 1 to 3, and 2^f, for a whole chunk whose y all lie within +-PLAIN_LIMIT, as no masked entry's, no limited
 * entry's and no NaN's (INT32_MIN) does; false, and nothing of use, if one does not. */
static inline bool measure_plain(const struct tables *t, const char *at, enum veto_format format, struct values *values,
	struct veto_chunk *c, FLOATS high[2]);
/* The same for any chunk. */
static inline void measure(const struct tables *t, const char *at, enum veto_format format, int logits,
	struct values *values, struct veto_chunk *c, FLOATS high[2]);

/* Step 4.  From `ahead` on bytes / 2 a logit are fetched. */
static inline void accumulate(
	const struct values *values, int logits, const char *ahead, size_t bytes, struct veto_chunk *c);

/* A key that k entries of the row reach, and few more: k of the highest of 64 parts of the row reach it. */
static uint32_t find_bound(const FLOATS (*high)[2], uint32_t chunks, uint32_t k);

/* The best entries so far; those with keys up to `least` are not wanted. */
static void start_list(struct list *l, struct fx1_top *top, uint32_t k, uint32_t least);
/* Whether one of these may be wanted. */
static inline bool is_wanted(const struct list *l, const FLOATS high[2]);
static inline void search(struct list *l, const char *at, enum veto_format format, int logits, uint32_t first);
static void end_list(const struct list *l, struct fx1_top *top);

/* The floats whose keys are above this one, KEY_MASKED or larger, are those with bits - *low < *range, as unsigned, and
 * positive NaNs among them: above a positive float's key they are its bits plus 1 up to infinity, above a negative
 * float's the bits from 0 to its own less 1. */
static void find_keys_above(uint32_t key, uint32_t *low, uint32_t *range)
{
	const uint32_t infinity = 0x7f800000;

	*low = key >> 31 ? (key & 0x7fffffff) + 1 : 0;
	*range = key >> 31 ? infinity + 1 - *low : ~key;
}

/* Copy the end of a row, less than a chunk, and fill up with masked entries. */
static void copy_tail(struct work *w, const char *at, enum veto_format format, uint32_t logits)
{
	static const uint32_t infinity[VETO_FORMATS] = {0xff800000, 0xfc00, 0xff80}; /* negative ones */
	const size_t bytes = veto_format_bytes(format);

	w->tail_logits = (int)((logits + SEARCH_STEP - 1) / SEARCH_STEP * SEARCH_STEP);
	memcpy(w->tail, at, logits * bytes);
	for (size_t i = logits; i < (size_t)w->tail_logits; i++)
		memcpy(w->tail + i * bytes, &infinity[format], bytes);
}

/* is_plain: the chunk before was; returns whether this one is, for chunks of a kind follow each other. */
static inline bool measure_chunk(struct work *w, const char *row, enum veto_format format, uint32_t i, uint32_t whole,
	bool is_plain, struct veto_chunk *c)
{
	const char *at = i < whole ? row + i * VETO_CHUNK_LOGITS * veto_format_bytes(format) : w->tail;
	struct values *v = &w->values[i % 2];

	is_plain = is_plain && i < whole && measure_plain(&w->tables, at, format, v, c, w->high[i]);
	if (!is_plain)
		measure(&w->tables, at, format, i < whole ? CHUNK : w->tail_logits, v, c, w->high[i]);
	return is_plain || (c->cnt == VETO_CHUNK_LOGITS && c->n_sat == 0);
}

static inline void accumulate_chunk(const struct work *w, const char *row, enum veto_format format, uint32_t i,
	uint32_t whole, struct veto_chunk *c)
{
	const size_t bytes = format == VETO_FP32 ? 4 : 2;
	const char *half = row + (i * VETO_CHUNK_LOGITS + VETO_CHUNK_LOGITS / 2) * bytes;

	if (c->cnt > 0)
		accumulate(&w->values[i % 2], i < whole ? CHUNK : w->tail_logits, half + AHEAD_BYTES, bytes, c);
}

/* Search the chunks whose highest entries reach the bound. */
static inline void find_top(
	const struct work *w, const char *row, enum veto_format format, uint32_t cols, uint32_t k, struct fx1_top *top)
{
	const uint32_t whole = cols / VETO_CHUNK_LOGITS, chunks = whole + (w->tail_logits > 0);
	const uint32_t bound = find_bound(w->high, chunks, k);
	struct list list;

	start_list(&list, top, k, bound > KEY_MASKED ? bound - 1 : KEY_MASKED);
	for (uint32_t i = 0; i < chunks; i++)
		if (is_wanted(&list, w->high[i]))
			search(&list, i < whole ? row + i * VETO_CHUNK_LOGITS * veto_format_bytes(format) : w->tail,
				format, i < whole ? CHUNK : w->tail_logits, i * VETO_CHUNK_LOGITS);
	end_list(&list, top);
}

/* Each chunk is measured before the one before it is accumulated, so that its n is there in time. */
static inline __attribute__((always_inline)) void row_of(const char *row, enum veto_format format, uint32_t cols,
	uint32_t k, struct veto_record *out, struct fx1_top *top)
{
	const uint32_t whole = cols / VETO_CHUNK_LOGITS, rest = cols % VETO_CHUNK_LOGITS;
	const uint32_t chunks = whole + (rest > 0);
	struct veto_chunk chunk[CHUNKS_MAX];
	bool is_plain = true;
	struct work w;

	assert(chunks > 0);
	start_tables(&w.tables);
	copy_tail(&w, row + whole * VETO_CHUNK_LOGITS * veto_format_bytes(format), format, rest);
	for (uint32_t i = 0; i < chunks; i++) {
		is_plain = measure_chunk(&w, row, format, i, whole, is_plain, &chunk[i]);
		if (i > 0)
			accumulate_chunk(&w, row, format, i - 1, whole, &chunk[i - 1]);
	}
	accumulate_chunk(&w, row, format, chunks - 1, whole, &chunk[chunks - 1]);
	fx1_merge(chunk, chunks, out);
	find_top(&w, row, format, cols, k, top);
}

static void score_row(const void *row, enum veto_format format, uint32_t cols, uint32_t k, struct veto_record *out,
	struct fx1_top *top)
{
	if (format == VETO_FP32)
		row_of(row, VETO_FP32, cols, k, out, top);
	else if (format == VETO_FP16)
		row_of(row, VETO_FP16, cols, k, out, top);
	else
		row_of(row, VETO_BF16, cols, k, out, top);
}

#endif
