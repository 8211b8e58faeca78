/* SPDX-License-Identifier: Apache-2.0 */
/* FX1 (hls/arithmetic.md): the reference for rows of logits, and the finish that every device's records go through. */
#ifndef VETO_FX1_H
#define VETO_FX1_H

#include "veto.h"

/* An entry of a top-k list.  A larger key is better, ties go to the lower id; unused: key 0, id VETO_NO_TOKEN. */
struct fx1_top {
	uint32_t key, id;
};

/* Entries that a device finds for a confidence over k: the margin needs two. */
#define FX1_TOP_ENTRIES(k) ((k) > 2 ? (k) : 2)

/* Widen the entry at index of a row to fp32, exactly. */
float fx1_widen(const void *row, enum veto_format format, size_t index);

/* The nearest fp16, ties to even; beyond the range infinite, and NaN for NaN. */
uint16_t fx1_narrow_fp16(float x);

/* Step 1: what a logit counts as. */
enum fx1_kind { FX1_PLAIN, FX1_MASKED, FX1_NAN, FX1_SATURATED };
enum fx1_kind fx1_classify(float x);

/* Step 2, |x| <= 1024: log2 units, Q16.  In integers, so that no rounding mode matters. */
int32_t fx1_y(float x);

/* Steps 1 and 2 for one entry: false if it is masked or NaN. */
bool fx1_entry_y(const void *row, enum veto_format format, size_t index, int32_t *y);

/* 2^(f / 65536) in Q16, f < 65536; and step 4's e (Q31) of y in a chunk whose n is given, 0 where y is too far below. */
uint32_t fx1_mantissa(uint32_t f);
uint64_t fx1_element(int32_t y, int32_t n);

/* Steps 1 to 4: the chunk of `logits` entries (1..VETO_CHUNK_LOGITS) at `first`, a multiple of VETO_CHUNK_LOGITS. */
void fx1_chunk(const void *row, enum veto_format format, uint32_t first, uint32_t logits, struct veto_chunk *out);

/* Step 5: the chunks of a row, in any order. */
void fx1_merge(const struct veto_chunk *chunk, uint32_t chunks, struct veto_record *out);

/* Steps 1 to 5 for a row of cols entries, and the k likeliest in top[k], best first (k 0..VETO_TOP_MAX).  The plainest
 * form: what every device must equal. */
void fx1_row(const void *row, enum veto_format format, uint32_t cols, uint32_t k, struct veto_record *out,
	struct fx1_top *top);

/* The total order of entries: of the fp32-widened bits, before any limit. */
uint32_t fx1_key(float x);
/* The fp32 value that has this key. */
float fx1_key_value(uint32_t key);
/* Insert into a list of k entries, best first, if it is good enough. */
void fx1_top_insert(struct fx1_top *top, uint32_t k, uint32_t key, uint32_t id);

/* Step 6's functions: log2 of v > 0 in Q26; Q26 log2 units to Q20 nats. */
int64_t fx1_log2(uint64_t v);
int64_t fx1_nats(int64_t v);

/* log sum exp of a row that has something, Q26 log2 units. */
int64_t fx1_lse(const struct veto_record *record);

/* Step 6 and the scores of single tokens, for row i: from its record, its FX1_TOP_ENTRIES(rows->top_k) best, and the
 * entries that the rows name.  subset_q31[rows->subset_tokens] may be NULL. */
void fx1_finish(const struct veto_rows *rows, uint32_t i, const struct veto_record *record, const struct fx1_top *top,
	struct veto_score *score, uint32_t *subset_q31);

#endif
