/* SPDX-License-Identifier: Apache-2.0 */
/* How a head lies in a card's memories, as veto_hw.h says of struct veto_hidden_job. */
#include "xrt_layout.h"

#include <string.h>

#define BEAT sizeof(struct veto_beat)

static size_t beats_of(size_t bytes) { return (bytes + BEAT - 1) / BEAT * BEAT; }

static size_t rows_in_port(uint32_t rows, uint32_t ports) { return ((size_t)rows + ports - 1) / ports; }

enum veto_hidden_op xrt_layout_op(const struct veto_head *head)
{
	if (head->info.kind != VETO_HEAD_SCH)
		return VETO_HIDDEN_HEAD;
	return head->lo ? VETO_HIDDEN_TABLE24 : VETO_HIDDEN_TABLE16;
}

size_t xrt_layout_meta_bytes(const struct veto_head *head)
{
	size_t bytes = sizeof(struct veto_hidden_meta);

	if (head->info.kind == VETO_HEAD_SCH)
		return beats_of(head->info.vocab * sizeof(struct veto_table_meta));
	for (uint32_t l = 0; l < head->info.layers; l++)
		bytes += beats_of(head->layer[l].rows * sizeof(struct veto_weight_scale));
	return bytes;
}

static size_t weight_bytes(enum veto_weight_format format) { return format == VETO_INT8 ? 1 : 2; }

static size_t layer_stride(const struct hx1_layer *layer)
{
	return beats_of(layer->cols * weight_bytes(layer->format));
}

size_t xrt_layout_weight_bytes(const struct veto_head *head, uint32_t ports)
{
	const size_t cols = head->info.cols;
	size_t bytes = 0;

	if (head->info.kind == VETO_HEAD_SCH)
		return rows_in_port(head->info.vocab, ports) * (beats_of(2 * cols) + (head->lo ? beats_of(cols) : 0));
	for (uint32_t l = 0; l < head->info.layers; l++)
		bytes += rows_in_port(head->layer[l].rows, ports) * layer_stride(&head->layer[l]);
	return bytes;
}

static void dense_meta(const struct veto_head *head, char *out)
{
	struct veto_hidden_meta meta = {.layers = head->info.layers, .is_distance = head->output == HEAD_DISTANCE};

	for (uint32_t l = 0; l < head->info.layers; l++) {
		meta.rows[l] = head->layer[l].rows;
		meta.weights[l] = head->layer[l].format;
	}
	memcpy(out, &meta, sizeof(meta));
	out += sizeof(meta);
	for (uint32_t l = 0; l < head->info.layers; l++) {
		const size_t bytes = head->layer[l].rows * sizeof(struct veto_weight_scale);

		memcpy(out, head->layer[l].scale, bytes);
		memset(out + bytes, 0, beats_of(bytes) - bytes);
		out += beats_of(bytes);
	}
}

void xrt_layout_meta(const struct veto_head *head, void *out)
{
	const size_t bytes = xrt_layout_meta_bytes(head);
	size_t used = 0;

	if (head->info.kind != VETO_HEAD_SCH) {
		dense_meta(head, out);
		return;
	}
	for (uint32_t i = 0; i < head->info.vocab; i++, used += sizeof(struct veto_table_meta)) {
		const struct veto_table_meta meta = {.f = head->f[i], .c = head->c[i]};

		memcpy((char *)out + used, &meta, sizeof(meta));
	}
	memset((char *)out + used, 0, bytes - used);
}

/* A row in whole beats; NULL: zeros.  Returns what is behind it. */
static char *put_row(char *out, const void *row, size_t bytes)
{
	if (row)
		memcpy(out, row, bytes);
	memset(out + (row ? bytes : 0), 0, beats_of(bytes) - (row ? bytes : 0));
	return out + beats_of(bytes);
}

static void table_weights(const struct veto_head *head, uint32_t ports, uint32_t port, char *out)
{
	const size_t cols = head->info.cols;

	for (size_t i = 0; i < rows_in_port(head->info.vocab, ports); i++) {
		const size_t row = i * ports + port;
		const bool is_there = row < head->info.vocab;

		out = put_row(out, is_there ? head->hi + row * cols : NULL, 2 * cols);
		if (head->lo)
			out = put_row(out, is_there ? head->lo + row * cols : NULL, cols);
	}
}

void xrt_layout_weights(const struct veto_head *head, uint32_t ports, uint32_t port, void *out)
{
	char *at = out;

	if (head->info.kind == VETO_HEAD_SCH) {
		table_weights(head, ports, port, out);
		return;
	}
	for (uint32_t l = 0; l < head->info.layers; l++) {
		const struct hx1_layer *layer = &head->layer[l];
		const size_t bytes = layer->cols * weight_bytes(layer->format);

		for (size_t i = 0; i < rows_in_port(layer->rows, ports); i++) {
			const size_t row = i * ports + port;

			at = put_row(at, row < layer->rows ? (const char *)layer->weight + row * bytes : NULL, bytes);
		}
	}
}
