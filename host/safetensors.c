/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and writes safetensors; sees that no offset leads astray. */
#include "safetensors.h"
#include "fx1.h"
#include "param.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_MAX (64u << 20)
#define LENGTH_BYTES 8
#define ALIGN 64

static const struct {
	const char *type;
	uint32_t bytes;
} types[] = {{"F64", 8}, {"I64", 8}, {"U64", 8}, {"F32", 4}, {"I32", 4}, {"U32", 4}, {"F16", 2}, {"BF16", 2},
	{"I16", 2}, {"U16", 2}, {"I8", 1}, {"U8", 1}, {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};

uint32_t tensor_item_bytes(const char *type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strcmp(types[i].type, type) == 0)
			return types[i].bytes;
	return 0;
}

double tensor_value(const struct tensor *t, uint64_t i)
{
	double value;

	if (strcmp(t->type, "F32") == 0)
		return fx1_widen(t->data, VETO_FP32, i);
	if (strcmp(t->type, "F16") == 0)
		return fx1_widen(t->data, VETO_FP16, i);
	if (strcmp(t->type, "BF16") == 0)
		return fx1_widen(t->data, VETO_BF16, i);
	if (strcmp(t->type, "F64") != 0)
		return NAN;
	memcpy(&value, (const char *)t->data + i * sizeof(value), sizeof(value));
	return value;
}

/* A whole number up to 2^53, which doubles hold exactly. */
static int read_count(const cJSON *item, uint64_t *out)
{
	if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= 0x1p53))
		return -EINVAL;
	*out = (uint64_t)item->valuedouble;
	return (double)*out == item->valuedouble ? 0 : -EINVAL;
}

static int read_shape(const cJSON *shape, struct tensor *t)
{
	const cJSON *item;

	if (!cJSON_IsArray(shape))
		return -EINVAL;
	cJSON_ArrayForEach(item, shape)
	{
		if (t->dims == TENSOR_DIMS_MAX || read_count(item, &t->shape[t->dims]))
			return -EINVAL;
		t->dims++;
	}
	return 0;
}

/* Type, shape and size; *begin: where it starts in the data. */
static int read_tensor(const cJSON *item, struct tensor *t, uint64_t *begin, char *why)
{
	const cJSON *type = cJSON_GetObjectItemCaseSensitive(item, "dtype");
	const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
	uint64_t end, bytes;

	t->name = item->string;
	if (!cJSON_IsString(type))
		return param_fail(-EINVAL, why, "\"%s\" has no dtype", t->name);
	snprintf(t->type, sizeof(t->type), "%s", type->valuestring);
	if (read_shape(cJSON_GetObjectItemCaseSensitive(item, "shape"), t))
		return param_fail(
			-EINVAL, why, "\"%s\" has no shape of at most %d whole numbers", t->name, TENSOR_DIMS_MAX);
	if (cJSON_GetArraySize(offsets) != 2 || read_count(cJSON_GetArrayItem(offsets, 0), begin) ||
		read_count(cJSON_GetArrayItem(offsets, 1), &end) || end < *begin)
		return param_fail(-EINVAL, why, "\"%s\" has no data_offsets of two whole numbers that rise", t->name);
	t->bytes = end - *begin;
	bytes = tensor_item_bytes(t->type);
	if (bytes == 0) /* of a type that nothing here reads */
		return 0;
	for (uint32_t i = 0; i < t->dims; i++)
		if (__builtin_mul_overflow(bytes, t->shape[i], &bytes))
			return param_fail(-EINVAL, why, "\"%s\" has a shape of more than 2^64 bytes", t->name);
	if (bytes != end - *begin)
		return param_fail(-EINVAL, why, "\"%s\" takes %llu bytes, and its offsets span %llu", t->name,
			(unsigned long long)bytes, (unsigned long long)(end - *begin));
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct tensor *)a)->name, ((const struct tensor *)b)->name);
}

static int by_data(const void *a, const void *b)
{
	const struct tensor *x = a, *y = b;
	const uintptr_t at = (uintptr_t)x->data, to = (uintptr_t)y->data;

	if (at != to)
		return at < to ? -1 : 1;
	return x->bytes < y->bytes ? -1 : x->bytes > y->bytes; /* empty ones first */
}

/* In the order of their data they must fill it. */
static int check_layout(const struct safetensors *st, const char *data, size_t bytes, char *why)
{
	const char *at = data;

	for (uint32_t i = 0; i < st->tensors; i++) {
		const struct tensor *t = &st->tensor[i];

		if (t->data != at)
			return param_fail(-EINVAL, why,
				"\"%s\" starts at byte %td of the data, and what is before it ends at %td", t->name,
				(const char *)t->data - data, at - data);
		at += t->bytes;
	}
	if (at != data + bytes)
		return param_fail(
			-EINVAL, why, "there are %zu bytes of data, and the tensors take %td", bytes, at - data);
	return 0;
}

static int read_texts(const cJSON *object, struct safetensors *st, char *why)
{
	const cJSON *item;

	if (!cJSON_IsObject(object) || st->text)
		return param_fail(
			-EINVAL, why, "\"__metadata__\" %s", st->text ? "stands there twice" : "is no object");
	st->text = calloc((size_t)cJSON_GetArraySize(object) + 1, sizeof(*st->text));
	if (!st->text)
		return param_fail(-ENOMEM, why, "out of memory");
	cJSON_ArrayForEach(item, object)
	{
		if (!cJSON_IsString(item))
			return param_fail(-EINVAL, why, "\"%s\" of the \"__metadata__\" is no text", item->string);
		st->text[st->texts++] = (struct safetensors_text){item->string, item->valuestring};
	}
	return 0;
}

static int read_header(struct safetensors *st, const char *data, size_t bytes, char *why)
{
	const cJSON *item;
	int err = 0;

	st->tensor = calloc((size_t)cJSON_GetArraySize(st->root) + 1, sizeof(*st->tensor));
	if (!st->tensor)
		return param_fail(-ENOMEM, why, "out of memory");
	cJSON_ArrayForEach(item, st->root)
	{
		struct tensor *t = &st->tensor[st->tensors];
		uint64_t begin = 0;

		if (strcmp(item->string, "__metadata__") == 0) {
			err = read_texts(item, st, why);
		} else {
			err = read_tensor(item, t, &begin, why);
			if (!err && (begin > bytes || t->bytes > bytes - begin))
				err = param_fail(-EINVAL, why, "\"%s\" ends at byte %llu of the data, which has %zu",
					t->name, (unsigned long long)(begin + t->bytes), bytes);
			t->data = err ? NULL : data + begin;
			st->tensors++;
		}
		if (err)
			return err;
	}
	qsort(st->tensor, st->tensors, sizeof(*st->tensor), by_name);
	for (uint32_t i = 1; i < st->tensors; i++)
		if (by_name(&st->tensor[i - 1], &st->tensor[i]) == 0)
			return param_fail(-EINVAL, why, "\"%s\" stands there twice", st->tensor[i].name);
	qsort(st->tensor, st->tensors, sizeof(*st->tensor), by_data);
	return check_layout(st, data, bytes, why);
}

static bool is_blank(const char *text, const char *end)
{
	while (text < end && *text == ' ')
		text++;
	return text == end;
}

int safetensors_parse(const void *file, size_t bytes, const char *name, struct safetensors *out, char *why)
{
	struct safetensors st = {0};
	const char *text = (const char *)file + LENGTH_BYTES;
	char what[VETO_WHY_MAX] = "";
	uint64_t length = 0;
	const char *end;
	int err;

	if (bytes >= LENGTH_BYTES)
		memcpy(&length, file, LENGTH_BYTES);
	if (bytes < LENGTH_BYTES || length > bytes - LENGTH_BYTES)
		return param_fail(-EINVAL, why, "%s: not a safetensors file: %zu bytes, and a header of %llu", name,
			bytes, (unsigned long long)length);
	if (length > HEADER_MAX)
		return param_fail(-EINVAL, why, "%s: a safetensors header of %llu bytes; at most %u are read", name,
			(unsigned long long)length, HEADER_MAX);
	st.root = cJSON_ParseWithLengthOpts(text, length, &end, false);
	if (!cJSON_IsObject(st.root) || *text != '{' || !is_blank(end, text + length))
		err = param_fail(-EINVAL, what, "its safetensors header is no JSON object");
	else
		err = read_header(&st, text + length, bytes - LENGTH_BYTES - length, what);
	if (err) {
		param_say(why, "%s: %s", name, what);
		safetensors_free(&st);
		return err;
	}
	*out = st;
	return 0;
}

void safetensors_free(struct safetensors *st)
{
	cJSON_Delete(st->root);
	free(st->tensor);
	free(st->text);
}

const struct tensor *safetensors_find(const struct safetensors *st, const char *name)
{
	for (uint32_t i = 0; i < st->tensors; i++)
		if (strcmp(st->tensor[i].name, name) == 0)
			return &st->tensor[i];
	return NULL;
}

const char *safetensors_text(const struct safetensors *st, const char *key)
{
	for (uint32_t i = 0; i < st->texts; i++)
		if (strcmp(st->text[i].key, key) == 0)
			return st->text[i].value;
	return NULL;
}

static cJSON *describe(const struct tensor *t, uint64_t begin)
{
	cJSON *item = cJSON_CreateObject();
	cJSON *shape, *offsets;

	cJSON_AddStringToObject(item, "dtype", t->type);
	shape = cJSON_AddArrayToObject(item, "shape");
	for (uint32_t i = 0; i < t->dims; i++)
		cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)t->shape[i]));
	offsets = cJSON_AddArrayToObject(item, "data_offsets");
	cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)begin));
	cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)(begin + t->bytes)));
	return item;
}

/* The header's text, or NULL. */
static char *make_header(
	const struct tensor *tensor, uint32_t tensors, const struct safetensors_text *text, uint32_t texts)
{
	cJSON *root = cJSON_CreateObject();
	cJSON *metadata = cJSON_AddObjectToObject(root, "__metadata__");
	uint64_t begin = 0;
	char *header;

	for (uint32_t i = 0; i < texts; i++)
		cJSON_AddStringToObject(metadata, text[i].key, text[i].value);
	for (uint32_t i = 0; i < tensors; i++) {
		cJSON_AddItemToObject(root, tensor[i].name, describe(&tensor[i], begin));
		begin += tensor[i].bytes;
	}
	header = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	return header;
}

int safetensors_write(
	FILE *file, const struct tensor *tensor, uint32_t tensors, const struct safetensors_text *text, uint32_t texts)
{
	char *header = make_header(tensor, tensors, text, texts);
	uint64_t length, padded;

	if (!header)
		return -ENOMEM;
	length = strlen(header);
	padded = (LENGTH_BYTES + length + ALIGN - 1) / ALIGN * ALIGN - LENGTH_BYTES;
	fwrite(&padded, 1, LENGTH_BYTES, file);
	fwrite(header, 1, length, file);
	for (; length < padded; length++)
		fputc(' ', file);
	free(header);
	for (uint32_t i = 0; i < tensors; i++)
		fwrite(tensor[i].data, 1, tensor[i].bytes, file);
	return fflush(file) || ferror(file) ? -EIO : 0;
}
