/* SPDX-License-Identifier: Apache-2.0 */
/* The cpu: device's ways to find a row's record, one a file, and what those with vectors share. */
#ifndef VETO_CPU_H
#define VETO_CPU_H

#include "fx1.h"

#include <string.h>

struct cpu_isa {
	const char *name;
	bool (*is_supported)(void); /* by this processor */
	/* As fx1_row(): the row at any alignment, cols 1..VETO_VOCAB_MAX, k 2..VETO_TOP_MAX; reads nothing beyond cols.
	 * The rounding mode is to nearest. */
	void (*row)(const void *row, enum veto_format format, uint32_t cols, uint32_t k, struct veto_record *out,
		struct fx1_top *top);
};

extern const struct cpu_isa cpu_portable, cpu_avx2, cpu_avx512;

#define CPU_KEY_MASKED 0x3b7ffffeu /* the largest key of a masked entry: one below that of -1024 */

/* The floats whose keys are above this one, CPU_KEY_MASKED or larger, are those with bits - *low < *range, as unsigned,
 * and positive NaNs among them: above a positive float's key they are its bits plus 1 up to infinity, above a negative
 * float's the bits from 0 to its own less 1. */
static inline void cpu_keys_above(uint32_t key, uint32_t *low, uint32_t *range)
{
	const uint32_t infinity = 0x7f800000;

	*low = key >> 31 ? (key & 0x7fffffff) + 1 : 0;
	*range = key >> 31 ? infinity + 1 - *low : ~key;
}

/* Copy the end of a row, less than a chunk, and fill up with masked entries to a multiple of `step`, which is returned. */
static inline int cpu_copy_tail(char *tail, const char *at, enum veto_format format, uint32_t logits, uint32_t step)
{
	static const uint32_t infinity[VETO_FORMATS] = {0xff800000, 0xfc00, 0xff80}; /* negative ones */
	const uint32_t bytes = format == VETO_FP32 ? 4 : 2;
	const uint32_t all = (logits + step - 1) / step * step;

	memcpy(tail, at, logits * bytes);
	for (uint32_t i = logits; i < all; i++)
		memcpy(tail + i * bytes, &infinity[format], bytes);
	return (int)all;
}

#endif
