/* SPDX-License-Identifier: Apache-2.0 */
/* The cpu: device's ways through a hidden state, one a file. */
#ifndef VETO_CPU_HIDDEN_H
#define VETO_CPU_HIDDEN_H

#include "backend.h"

#define CPU_STATE_ALIGN 64 /* states' integers lie this many apart, or a multiple; zeros behind the last */

struct cpu_products {
	const char *name;
	bool (*is_supported)(void); /* by this processor */
	/* As hx1_quantise(), to int16_t (16 bits, zeros up to a multiple of CPU_STATE_ALIGN values) or int32_t (24). */
	bool (*quantise16)(const void *state, enum veto_format format, uint32_t cols, int16_t *q, int32_t *e);
	bool (*quantise24)(const void *state, enum veto_format format, uint32_t cols, int32_t *q, int32_t *e);
	/* acc[s * layer->rows + o] = hx1_row_sum() of row o and of the state at q + s * stride. */
	void (*dense)(const struct hx1_layer *layer, const int16_t *q, size_t stride, uint32_t states, int64_t *acc);
	/* As hx1_table_sum(). */
	int64_t (*table)(const int32_t *q, uint32_t cols, const int16_t *hi, const uint8_t *lo);
};

extern const struct cpu_products cpu_products_portable, cpu_products_avx2, cpu_products_avx512, cpu_products_vnni;

/* Bytes that scoring with the head takes besides the results. */
size_t cpu_hidden_bytes(const struct veto_head *head);

/* Score `count` (at most VETO_STATES_MAX) states from `first` on; scratch is aligned to 64. */
void cpu_hidden_score(
	const struct cpu_products *products, struct job *job, uint32_t first, uint32_t count, void *scratch);

#endif
