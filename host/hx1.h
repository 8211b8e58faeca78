/* SPDX-License-Identifier: Apache-2.0 */
/* HX1 (hls/arithmetic.md): the reference for hidden states, and the functions that every device's results go through. */
#ifndef VETO_HX1_H
#define VETO_HX1_H

#include "veto.h"

/* Rows of integers, and what each counts: weight = w * mant * 2^-sh. */
struct hx1_layer {
	uint32_t rows, cols;
	enum veto_weight_format format;
	const void *weight; /* [rows][cols] int8_t or int16_t */
	const struct veto_weight_scale *scale; /* [rows] */
};

/* v times 2^-s, to nearest, ties to even, within +-2^40.  |v| < 2^60. */
int64_t hx1_round(int64_t v, int64_t s);

/* Step 1: a state of cols values (1..VETO_STATE_MAX) as q times 2^(e - bits + 2), bits 16 or 24.
 * False: a value is NaN or infinite, and nothing is written. */
bool hx1_quantise(const void *state, enum veto_format format, uint32_t cols, int bits, int32_t *q, int32_t *e);

/* Step 2: z[layer->rows], Q16. */
void hx1_dense(const struct hx1_layer *layer, const int32_t *q, int32_t e, int32_t *z);
int64_t hx1_row_sum(const struct hx1_layer *layer, uint32_t row, const int32_t *q);
/* Its end for row o: from the sum of products. */
int32_t hx1_dense_end(const struct hx1_layer *layer, uint32_t o, int64_t acc, int32_t e);

/* The sum of two outputs. */
int32_t hx1_add(int32_t a, int32_t b);

/* Step 3: q[count] and e from z[count]. */
void hx1_between(const int32_t *z, uint32_t count, int32_t *q, int32_t *e);

/* Step 4.  Softmax of z[count], 1 to VETO_HEAD_OUTPUTS_MAX: p in Q31, and logarithms in Q20 nats; NULL: not wanted. */
void hx1_softmax(const int32_t *z, uint32_t count, uint32_t *p, int64_t *lp);
/* Sum of two classes of p[]. */
uint32_t hx1_both(uint32_t p, uint32_t q);
/* How far the state q, e lies from the space that the layer's rows (int16, orthonormal) span, Q16. */
int32_t hx1_distance(const struct hx1_layer *layer, const int32_t *q, int32_t e);
/* Its end: from the parts along the rows, as hx1_part() gives them, and the sum of the squares of q. */
int32_t hx1_distance_end(const int32_t *part, uint32_t rows, uint64_t squares, int32_t e);
int32_t hx1_part(const struct hx1_layer *layer, uint32_t o, int64_t acc);

/* Step 5: 2^31 exp(l), l in Q20 nats. */
uint32_t hx1_exp(int64_t l);

/* Step 6: the integers of a row of weights and of its bias, in double.
 *   -EINVAL  *bad says which weight is NaN or infinite (cols: the bias), or cols + 1: a number out of range */
int hx1_make_row(const double *weight, uint32_t cols, double bias, enum veto_weight_format format, void *out,
	struct veto_weight_scale *scale, uint32_t *bad);

/* SCH: a row of a table, v = 256 hi + lo, for the quantised state q (24 bits) with e; c in Q20 nats.
 * lo NULL: 0. */
int64_t hx1_table_sum(const int32_t *q, uint32_t cols, const int16_t *hi, const uint8_t *lo);
/* Its end: self-certainty in Q20 nats.  offset_q20 = logp_q20 + hx1_log_count(vocab). */
int32_t hx1_table_end(int64_t acc, int32_t e, int16_t f, int32_t c, int64_t offset_q20);
/* log(count) in Q20 nats. */
int64_t hx1_log_count(uint32_t count);

/* The integers of a centred, scaled row u of an output embedding, and f; lo NULL: 16 bits.
 *   -EINVAL  *bad says which is NaN or infinite, or cols: out of range */
int hx1_make_table_row(const double *u, uint32_t cols, int16_t *hi, uint8_t *lo, int16_t *f, uint32_t *bad);

#endif
