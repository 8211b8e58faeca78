/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of random weights, of every shape that is known. */
#ifndef VETO_TESTS_HEADS_H
#define VETO_TESTS_HEADS_H

#include "head_make.h"
#include "sha256.h"

/* A published head's file, made: its tensors have their names and shapes. */
struct published {
	const struct head_shape *shape;
	struct tensor tensor[2 * VETO_HEAD_LAYERS_MAX];
	uint32_t tensors;
};

/* Weights are normal, so that outputs are of the order of 1; those of a subspace orthonormal.  type: "F32" or "BF16". */
void published_new(struct published *p, const struct head_shape *shape, const char *type, uint32_t cols, uint64_t seed);
void published_free(struct published *p);
void published_write(const struct published *p, const char *path);
/* The head of it, in integers, from a file that is gone again. */
struct veto_head *published_head(const struct published *p, enum veto_weight_format format);

/* The same of a made one. */
struct veto_head *head_new(
	const struct head_shape *shape, enum veto_weight_format format, uint32_t cols, uint64_t seed);
/* A table of random rows; has_lo: of 24 bits. */
struct veto_head *table_new(uint32_t vocab, uint32_t cols, bool has_lo, uint64_t seed);

/* The entry of that name. */
const struct head_shape *shape_named(const char *name);

#endif
