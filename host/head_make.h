/* SPDX-License-Identifier: Apache-2.0 */
/* Makes head files. */
#ifndef VETO_HEAD_MAKE_H
#define VETO_HEAD_MAKE_H

#include "head.h"

/* What a head file says of itself. */
struct head_texts {
	const char *shape, *output, *aggregation, *tap;
	const char *backbone, *quantisation; /* fingerprint or "any", and "" */
	const char *
		trained_on; /* hashes of the questions' texts, 16 hexadecimal digits each, behind one another; NULL: not known */
};

/* A layer as it was trained: weight [rows][cols] and bias [rows] or NULL, in floating point. */
struct head_source {
	const struct tensor *weight, *bias;
};

/* Sorts of heads whose published files are known; a NULL name ends the table. */
struct head_shape {
	const char *name, *help;
	const char *output, *aggregation, *tap;
	struct {
		const char *weight, *bias; /* names of tensors; NULL: of the file's only one, and none */
		bool may_lack_bias;
		uint32_t rows, rows_per_col; /* of the weight: so many, or so many times its columns; 0: any */
	} layer[VETO_HEAD_LAYERS_MAX];
	uint32_t layers;
};
extern const struct head_shape head_shapes[];

/* Statistics of token scores that a head counts on besides, as they were trained: a weight [count] of each, per nat, or per 64
 * of a count, and what is added. */
struct head_statistics {
	const struct statistic *statistic;
	const double *weight;
	uint32_t count; /* 0: none */
	double bias;
};

/* Find a shape's tensors in a file.
 *   -EINVAL  unknown shape, a tensor missing or of another type or shape; `why` says which */
int head_shape_find(const char *name, const struct safetensors *st, const struct head_shape **shape,
	struct head_source source[VETO_HEAD_LAYERS_MAX], char *why);

/* Write a dense head in integers; one that could not be read again is not left behind.
 *   -EINVAL  a weight is NaN, infinite or out of range (`why` names tensor and index), or veto_head_open() would refuse
 *   -errno   can't be written
 *   -ENOMEM */
int head_make_dense(const char *path, const struct head_texts *texts, const struct head_source *source, uint32_t layers,
	enum veto_weight_format format, char *why);

/* The same of a head with statistics; layers 0: of statistics alone, source NULL. */
int head_make_fused(const char *path, const struct head_texts *texts, const struct head_source *source, uint32_t layers,
	enum veto_weight_format format, const struct head_statistics *statistics, char *why);

/* Write a table: v = 256 hi + lo [vocab][cols], lo NULL for 16 bits; f and c [vocab].  Errors as above. */
int head_make_table(const char *path, const struct head_texts *texts, uint32_t vocab, uint32_t cols, const int16_t *hi,
	const uint8_t *lo, const int16_t *f, const int32_t *c, char *why);

/* The reward of a head as it was trained, in double, for a state of floats: the outputs before any function.
 * out[rows of the last layer]; room: [rows of the first]. */
void head_exact(const struct head_source *source, uint32_t layers, const float *state, double *room, double *out);

#endif
