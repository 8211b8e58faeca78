/* SPDX-License-Identifier: Apache-2.0 */
/* Products of hidden states in plain C. */
#include "cpu_hidden.h"

#include <string.h>

static bool is_supported(void) { return true; }

static bool quantise16(const void *state, enum veto_format format, uint32_t cols, int16_t *q, int32_t *e)
{
	int32_t wide[VETO_STATE_MAX];
	uint32_t i;

	if (!hx1_quantise(state, format, cols, 16, wide, e))
		return false;
	for (i = 0; i < cols; i++)
		q[i] = (int16_t)wide[i];
	for (; i % CPU_STATE_ALIGN; i++)
		q[i] = 0;
	return true;
}

static bool quantise24(const void *state, enum veto_format format, uint32_t cols, int32_t *q, int32_t *e)
{
	return hx1_quantise(state, format, cols, 24, q, e);
}

/* A product has 31 bits, so that one sum of two fits 32, and rows of 8-bit weights many more. */
static int64_t sum16(const int16_t *w, const int16_t *q, uint32_t cols)
{
	int64_t acc = 0;

	for (uint32_t i = 0; i < cols; i++)
		acc += w[i] * q[i];
	return acc;
}

static int64_t sum8(const int8_t *w, const int16_t *q, uint32_t cols)
{
	int64_t acc = 0;

	for (uint32_t i = 0; i < cols; i += 512) {
		const uint32_t end = cols - i < 512 ? cols : i + 512;
		int32_t part = 0;

		for (uint32_t j = i; j < end; j++)
			part += w[j] * q[j];
		acc += part;
	}
	return acc;
}

static void dense(const struct hx1_layer *layer, const int16_t *q, size_t stride, uint32_t states, int64_t *acc)
{
	for (uint32_t o = 0; o < layer->rows; o++) {
		const size_t at = (size_t)o * layer->cols;

		for (uint32_t s = 0; s < states; s++)
			acc[(size_t)s * layer->rows + o] =
				layer->format == VETO_INT8
					? sum8((const int8_t *)layer->weight + at, q + s * stride, layer->cols)
					: sum16((const int16_t *)layer->weight + at, q + s * stride, layer->cols);
	}
}

const struct cpu_products cpu_products_portable = {
	.name = "portable",
	.is_supported = is_supported,
	.quantise16 = quantise16,
	.quantise24 = quantise24,
	.dense = dense,
	.table = hx1_table_sum,
};
