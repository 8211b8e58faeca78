/* SPDX-License-Identifier: Apache-2.0 */
/* HX1 and SCH (arithmetic.md) for one value, as hardware does them: integers of fixed widths, signs apart from sizes. */
#ifndef VETO_HX1_STEP_H
#define VETO_HX1_STEP_H

#include "veto_hw.h"

#define HX1_FIELD_BAD 255 /* the exponent field of NaN and infinity */
#define HX1_MOST 40 /* log2 of what R() limits to */

/* Whether v, whose s lowest bits go, rounds up: to nearest, ties to even.  s 1..63. */
static inline uint32_t hx1_step_carry(uint64_t v, int32_t s)
{
	const uint64_t first = v >> (s - 1) & 1u;
	const uint64_t others = v & (((uint64_t)1 << (s - 1)) - 1);

	return (uint32_t)(first && (others != 0 || (v >> s & 1u)));
}

/* R(v, s) for |v| <= 2^60. */
static inline int64_t hx1_step_round(int64_t v, int32_t s)
{
	const uint64_t size = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	const uint64_t most = (uint64_t)1 << HX1_MOST;
	const int32_t left = s < -63 ? 63 : -s;
	uint64_t r;

	if (s > 60)
		r = 0;
	else if (s > 0)
		r = (size >> s) + hx1_step_carry(size, s);
	else
		r = size > most >> left ? most : size << left;
	if (r > most)
		r = most;
	return v < 0 ? -(int64_t)r : (int64_t)r;
}

/* R(v, s) for v below 2^31 and s of at least 1: no limit is reached. */
static inline uint32_t hx1_step_shrink(uint32_t v, int32_t s) { return s > 31 ? 0 : (v >> s) + hx1_step_carry(v, s); }

static inline int32_t hx1_step_sat32(int64_t v)
{
	return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v;
}

/* Step 1 for the bits of a fp32 value: e_i, which is HX1_FIELD_BAD if it is NaN or infinite. */
static inline int32_t hx1_step_exponent(uint32_t bits)
{
	const int32_t field = (int32_t)(bits >> 23 & 255u);

	return field > 0 ? field : 1;
}

/* q_i of so many bits, 16 or 24. */
static inline int32_t hx1_step_quantise(uint32_t bits, int32_t emax, int32_t width)
{
	const uint32_t significand = (bits & 0x7fffffu) | (uint32_t)((bits >> 23 & 255u) > 0) << 23;
	const uint32_t most = (1u << (width - 1)) - 1;
	uint32_t size = hx1_step_shrink(significand, emax - hx1_step_exponent(bits) + 25 - width);

	if (size > most)
		size = most;
	return bits >> 31 ? -(int32_t)size : (int32_t)size;
}

/* Step 2: z of a row from its sum of products. */
static inline int32_t hx1_step_dense(int64_t acc, struct veto_weight_scale scale, int32_t e)
{
	return hx1_step_sat32(hx1_step_round(acc * scale.mant, scale.sh - 2 - e) + scale.bias);
}

/* Step 3: b of the largest z, and q of one z. */
static inline int32_t hx1_step_log2(int32_t most)
{
	int32_t b = 16; /* which gives E = 0 if there is nothing above 0 */
	int i;

	for (i = 0; i < 31; i++) {
#pragma HLS UNROLL
		if (most > 0 && most >> i & 1)
			b = i;
	}
	return b;
}

static inline int32_t hx1_step_between(int32_t z, int32_t b)
{
	uint32_t q = z > 0 ? (uint32_t)z : 0;

	q = b > 14 ? hx1_step_shrink(q, b - 14) : q << (14 - b);
	return q > 32767 ? 32767 : (int32_t)q;
}

/* Step 4: c of a row of a distance. */
static inline int32_t hx1_step_part(int64_t acc, struct veto_weight_scale scale)
{
	const int64_t part = hx1_step_round(acc * scale.mant, scale.sh - 8);
	const int64_t most = 1 << 30;

	return (int32_t)(part > most ? most : part < -most ? -most : part);
}

/* SCH: self-certainty from a token's sum of products. */
static inline int32_t hx1_step_table(int64_t acc, int32_t e, int32_t f, int32_t c, int32_t offset)
{
	return hx1_step_sat32(hx1_step_round(acc, 24 - e - f) + c - offset);
}

#endif
