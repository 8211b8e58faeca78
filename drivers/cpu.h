/* SPDX-License-Identifier: Apache-2.0 */
/* The cpu: device's ways to find a row's record, one a file. */
#ifndef VETO_CPU_H
#define VETO_CPU_H

#include "fx1.h"

struct cpu_isa {
	const char *name;
	bool (*is_supported)(void); /* by this processor */
	/* As fx1_row(): the row at any alignment, cols 1..VETO_VOCAB_MAX, k 2..VETO_TOP_MAX; reads nothing beyond cols.
	 * The rounding mode is to nearest. */
	void (*row)(const void *row, enum veto_format format, uint32_t cols, uint32_t k, struct veto_record *out,
		struct fx1_top *top);
};

extern const struct cpu_isa cpu_portable, cpu_avx2, cpu_avx512;

/* Those that this build has, worst to best; NULL ends the list. */
extern const struct cpu_isa *const cpu_isas[];

#endif
