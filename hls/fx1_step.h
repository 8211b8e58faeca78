/* SPDX-License-Identifier: Apache-2.0 */
/* FX1 (arithmetic.md), steps 1, 2 and 4 for one logit, as hardware does them: integers of fixed widths, no float, no
 * library.  For HLS C and OpenCL C, which know the types uint32_t, int32_t and uint64_t and have seen veto_hw.h. */
#ifndef VETO_FX1_STEP_H
#define VETO_FX1_STEP_H

#define FX1_BITS_1024 0x44800000u /* of the fp32 value */
#define FX1_BITS_INFINITY 0x7f800000u

/* The bits of the fp32 value that equals a fp16 value. */
static inline uint32_t fx1_step_widen_fp16(uint32_t half)
{
	const uint32_t sign = (half & 0x8000u) << 16;
	const uint32_t exponent = half >> 10 & 31u;
	uint32_t fraction = half & 1023u;
	uint32_t shifts = 0;
	int i;

	if (exponent == 31)
		return sign | FX1_BITS_INFINITY | fraction << 13;
	if (exponent > 0)
		return sign | (exponent + 112) << 23 | fraction << 13;
	if (fraction == 0)
		return sign;
	/* Subnormal: bring its first bit to where a normal one has it. */
	for (i = 0; i < 10; i++) {
#pragma HLS UNROLL
		if (fraction < 1024) {
			fraction <<= 1;
			shifts++;
		}
	}
	return sign | (113 - shifts) << 23 | (fraction & 1023u) << 13;
}

static inline int fx1_step_is_nan(uint32_t bits) { return (bits & 0x7fffffffu) > FX1_BITS_INFINITY; }

/* Below -1024, and no NaN. */
static inline int fx1_step_is_low(uint32_t bits)
{
	return bits >> 31 && (bits & 0x7fffffffu) > FX1_BITS_1024 && !fx1_step_is_nan(bits);
}

/* Above 1024, and no NaN. */
static inline int fx1_step_is_saturated(uint32_t bits) { return bits > FX1_BITS_1024 && bits <= FX1_BITS_INFINITY; }

/* v times 2^-s, s 1..25, to nearest, ties to even. */
static inline uint32_t fx1_step_round(uint32_t v, uint32_t s)
{
	const uint32_t whole = v >> s;
	const uint32_t rest = v & ((1u << s) - 1);
	const uint32_t half = 1u << (s - 1);

	return whole + (uint32_t)(rest > half || (rest == half && (whole & 1)));
}

/* Step 2 for |x| <= 1024: y, log2 units, Q16. */
static inline int32_t fx1_step_y(uint32_t bits)
{
	const uint32_t exponent = bits >> 23 & 255u;
	const uint64_t product = (uint64_t)((bits & 0x7fffffu) | 0x800000u) * VETO_LOG2E_SIGNIFICAND;
	const uint32_t extra = product >> 47 ? 24 : 23; /* bits beyond the 24 that a fp32 product keeps */
	uint32_t low, kept, y;

	if (exponent < 109) /* |x| < 2^-18: |y| is below a half */
		return 0;
	low = (uint32_t)product & ((1u << extra) - 1);
	kept = (uint32_t)(product >> extra);
	kept += (uint32_t)(low > 1u << (extra - 1) || (low == 1u << (extra - 1) && (kept & 1)));
	/* kept stands for kept * 2^(exponent + extra - 157) */
	y = exponent + extra >= 157 ? kept << (exponent + extra - 157) : fx1_step_round(kept, 157 - exponent - extra);
	return bits >> 31 ? -(int32_t)y : (int32_t)y;
}

/* The place of a logit in the total order that top-k follows. */
static inline uint32_t fx1_step_key(uint32_t bits) { return bits ^ (bits >> 31 ? 0xffffffffu : 0x80000000u); }

/* Step 4: e (Q31) of a y that lies d = n - (y >> 16) below its chunk's n; a and b are the tables' entries for it. */
static inline uint64_t fx1_step_element(int32_t y, uint32_t d, uint32_t a, uint32_t b)
{
	const uint32_t r = (uint32_t)y & 1023u;
	const uint32_t m = 65536u + a + ((b * (2 * r) + 0x4000u) >> 15);

	return d > VETO_SHIFT_MAX ? 0 : ((uint64_t)m << 15) >> d;
}

#endif
