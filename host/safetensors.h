/* SPDX-License-Identifier: Apache-2.0 */
/* The safetensors format (github.com/huggingface/safetensors): named arrays behind a header of JSON. */
#ifndef VETO_SAFETENSORS_H
#define VETO_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TENSOR_DIMS_MAX 8

struct tensor {
	const char *name;
	char type[8]; /* as the format spells it: "F32", "BF16", "I8" */
	uint32_t dims;
	uint64_t shape[TENSOR_DIMS_MAX];
	uint64_t bytes; /* the product of the shape, times the size of a value */
	const void *data; /* at any alignment */
};

/* A text of the header's metadata. */
struct safetensors_text {
	const char *key, *value;
};

struct safetensors {
	struct tensor *tensor;
	uint32_t tensors, texts;
	struct safetensors_text *text;
	struct cJSON *root; /* the names and texts are its */
};

/* Read a whole file that lies in memory, and stays there while `out` is used.
 *   -EINVAL  not safetensors: cut short, no JSON, a key missing, offsets that lie outside the file, overlap, leave a gap
 *            or don't fit type and shape; `why` says which, with both values
 *   -ENOMEM */
int safetensors_parse(const void *file, size_t bytes, const char *name, struct safetensors *out, char *why);
void safetensors_free(struct safetensors *st);

/* NULL: there is none. */
const struct tensor *safetensors_find(const struct safetensors *st, const char *name);
const char *safetensors_text(const struct safetensors *st, const char *key);

/* Bytes of a value of that type, or 0. */
uint32_t tensor_item_bytes(const char *type);
/* Value i of a tensor of F64, F32, F16 or BF16; the others are not numbers here, and NaN. */
double tensor_value(const struct tensor *t, uint64_t i);

/* Write a file: the data starts at a multiple of 64, and tensors follow one another in their order, so that every one is
 * aligned to its values if those with larger values come first.
 *   -EIO, -ENOMEM */
int safetensors_write(
	FILE *file, const struct tensor *tensor, uint32_t tensors, const struct safetensors_text *text, uint32_t texts);

#endif
