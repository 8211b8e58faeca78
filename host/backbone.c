/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what a GGUF file says of its model; every length is looked at before it is followed. */
#include "backbone.h"
#include "fx1.h"
#include "map.h"
#include "param.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIMS_MAX 4
#define TENSORS_MAX (1u << 20)

enum gguf_type {
	GGUF_U8,
	GGUF_I8,
	GGUF_U16,
	GGUF_I16,
	GGUF_U32,
	GGUF_I32,
	GGUF_F32,
	GGUF_BOOL,
	GGUF_STRING,
	GGUF_ARRAY,
	GGUF_U64,
	GGUF_I64,
	GGUF_F64,
	GGUF_TYPES
};

static const uint8_t type_bytes[GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

/* Tensor types that norms come in. */
enum { GGML_F32 = 0, GGML_F16 = 1, GGML_BF16 = 30 };

struct text {
	const char *at;
	uint64_t bytes;
};

/* What is read, and how far. */
struct reader {
	const char *file;
	uint64_t bytes, at;
	const char *name;
	char *why;
};

struct norm {
	struct text name;
	uint64_t values, offset;
	enum veto_format format;
};

struct model {
	struct text architecture, tokens; /* tokens: as they stand in the file */
	uint64_t token_count;
	uint64_t embedding_length, blocks, alignment, file_type;
	bool has_file_type;
	uint16_t files; /* that the model is split into, if it is */
	uint64_t tensors, keys;
	struct norm *norm;
	uint64_t norms;
};

static int fail(const struct reader *r, const char *what)
{
	return param_fail(-EINVAL, r->why, "%s: no sound GGUF: %s at byte %llu of %llu", r->name, what,
		(unsigned long long)r->at, (unsigned long long)r->bytes);
}

static int skip(struct reader *r, uint64_t bytes)
{
	if (bytes > r->bytes - r->at)
		return fail(r, "it ends too soon");
	r->at += bytes;
	return 0;
}

static int take(struct reader *r, void *out, uint64_t bytes)
{
	const char *from = r->file + r->at;
	const int err = skip(r, bytes);

	if (!err)
		memcpy(out, from, bytes);
	return err;
}

static int take_text(struct reader *r, struct text *out)
{
	int err = take(r, &out->bytes, sizeof(out->bytes));

	out->at = r->file + r->at;
	return err ? err : skip(r, out->bytes);
}

static bool is_text(const struct text *t, const char *text)
{
	return t->bytes == strlen(text) && memcmp(t->at, text, t->bytes) == 0;
}

static bool ends_with(const struct text *t, const char *end)
{
	const size_t length = strlen(end);

	return t->bytes >= length && memcmp(t->at + t->bytes - length, end, length) == 0;
}

/* Whether a key is the architecture's of that name. */
static bool is_of(const struct text *architecture, const struct text *key, const char *name)
{
	return architecture->at && key->bytes == architecture->bytes + strlen(name) && ends_with(key, name) &&
	       memcmp(key->at, architecture->at, architecture->bytes) == 0;
}

/* A whole number of 4 or 8 bytes. */
static int take_number(struct reader *r, uint32_t type, uint64_t *out)
{
	*out = 0;
	if (type != GGUF_U32 && type != GGUF_I32 && type != GGUF_U64 && type != GGUF_I64)
		return fail(r, "something else than a whole number");
	return take(r, out, type_bytes[type]);
}

static int skip_texts(struct reader *r, uint64_t count)
{
	struct text text;
	int err = 0;

	for (uint64_t i = 0; i < count && !err; i++)
		err = take_text(r, &text);
	return err;
}

/* *elements: of an array, and *type: theirs. */
static int skip_value(struct reader *r, uint32_t *type, uint64_t *elements, struct text *raw)
{
	uint64_t bytes;
	int err = 0;

	*elements = 1;
	if (*type == GGUF_ARRAY) {
		err = take(r, type, sizeof(*type));
		if (!err)
			err = take(r, elements, sizeof(*elements));
	}
	if (err)
		return err;
	raw->at = r->file + r->at;
	if (*type == GGUF_STRING)
		err = skip_texts(r, *elements);
	else if (*type >= GGUF_TYPES || *type == GGUF_ARRAY)
		err = fail(r, "a value of unknown type");
	else if (__builtin_mul_overflow(type_bytes[*type], *elements, &bytes))
		err = fail(r, "an array beyond measure");
	else
		err = skip(r, bytes);
	raw->bytes = (uint64_t)(r->file + r->at - raw->at);
	return err;
}

static int read_pair(struct reader *r, struct model *m)
{
	struct text key, raw;
	uint64_t elements;
	uint32_t type;
	int err = take_text(r, &key);

	if (!err)
		err = take(r, &type, sizeof(type));
	if (err)
		return err;
	if (is_text(&key, "general.architecture") && type == GGUF_STRING)
		return take_text(r, &m->architecture);
	if (is_text(&key, "general.alignment"))
		return take_number(r, type, &m->alignment);
	if (is_text(&key, "general.file_type")) {
		m->has_file_type = true;
		return take_number(r, type, &m->file_type);
	}
	if (is_text(&key, "split.count") && type == GGUF_U16)
		return take(r, &m->files, sizeof(m->files));
	if (is_of(&m->architecture, &key, ".embedding_length"))
		return take_number(r, type, &m->embedding_length);
	if (is_of(&m->architecture, &key, ".block_count"))
		return take_number(r, type, &m->blocks);
	err = skip_value(r, &type, &elements, &raw);
	if (!err && is_text(&key, "tokenizer.ggml.tokens") && type == GGUF_STRING) {
		m->tokens = raw;
		m->token_count = elements;
	}
	return err;
}

static int read_tensor(struct reader *r, struct model *m)
{
	struct norm n = {.values = 1};
	uint32_t dims = 0, type;
	uint64_t dim;
	int err = take_text(r, &n.name);

	if (!err)
		err = take(r, &dims, sizeof(dims));
	if (!err && dims > DIMS_MAX)
		err = fail(r, "a tensor of more than 4 dimensions");
	for (uint32_t i = 0; !err && i < dims; i++) {
		err = take(r, &dim, sizeof(dim));
		if (!err && __builtin_mul_overflow(n.values, dim, &n.values))
			err = fail(r, "a tensor beyond measure");
	}
	if (!err)
		err = take(r, &type, sizeof(type));
	if (!err)
		err = take(r, &n.offset, sizeof(n.offset));
	if (err || !ends_with(&n.name, "_norm.weight"))
		return err;
	if (type != GGML_F32 && type != GGML_F16 && type != GGML_BF16)
		return fail(r, "a norm that is quantised");
	n.format = type == GGML_F32 ? VETO_FP32 : type == GGML_F16 ? VETO_FP16 : VETO_BF16;
	m->norm[m->norms++] = n;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct text *x = &((const struct norm *)a)->name, *y = &((const struct norm *)b)->name;
	const int order = memcmp(x->at, y->at, x->bytes < y->bytes ? x->bytes : y->bytes);

	return order ? order : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static int read_header(struct reader *r, struct model *m)
{
	uint32_t version;
	char magic[4];
	int err = take(r, magic, sizeof(magic));

	if (!err && memcmp(magic, "GGUF", sizeof(magic)) != 0)
		err = fail(r, "it does not start with 'GGUF'");
	if (!err)
		err = take(r, &version, sizeof(version));
	if (!err && version != 2 && version != 3)
		err = fail(r, "a version that is neither 2 nor 3");
	if (!err)
		err = take(r, &m->tensors, sizeof(m->tensors));
	if (!err)
		err = take(r, &m->keys, sizeof(m->keys));
	if (!err && (m->tensors > TENSORS_MAX || m->tensors > r->bytes))
		err = fail(r, "more tensors than a file has");
	return err;
}

static int check_model(struct reader *r, const struct model *m)
{
	if (m->files > 1)
		return param_fail(-EINVAL, r->why,
			"%s: it is one of the %u files of a split model: merge them first (llama-gguf-split --merge)",
			r->name, m->files);
	const uint64_t data = m->alignment ? (r->at + m->alignment - 1) / m->alignment * m->alignment : 0;

	if (!m->architecture.at || !m->tokens.at || !m->embedding_length || !m->blocks || !m->norms)
		return fail(r, "architecture, embedding length, blocks, vocabulary or norms are missing");
	if (m->alignment < 1 || m->alignment > 1 << 20 || data > r->bytes)
		return fail(r, "an alignment that leads outside");
	for (uint64_t i = 0; i < m->norms; i++) {
		const struct norm *n = &m->norm[i];

		if (n->offset > r->bytes - data ||
			n->values > (r->bytes - data - n->offset) / veto_format_bytes(n->format))
			return fail(r, "a norm that lies outside");
	}
	r->at = data;
	return 0;
}

static int read_model(struct reader *r, struct model *m)
{
	int err = read_header(r, m);
	const uint64_t start = r->at;

	m->alignment = 32;
	/* Twice: the architecture, which others begin with, may stand behind them. */
	for (int pass = 0; pass < 2 && !err; pass++) {
		r->at = start;
		for (uint64_t i = 0; i < m->keys && !err; i++)
			err = read_pair(r, m);
	}
	if (err)
		return err;
	m->norm = calloc(m->tensors + 1, sizeof(*m->norm));
	if (!m->norm)
		return param_fail(-ENOMEM, r->why, "%s: out of memory", r->name);
	for (uint64_t i = 0; i < m->tensors && !err; i++)
		err = read_tensor(r, m);
	return err ? err : check_model(r, m);
}

static void add_text(struct sha256 *s, const struct text *t)
{
	sha256_add(s, &t->bytes, sizeof(t->bytes));
	sha256_add(s, t->at, t->bytes);
}

static int take_fingerprint(const struct reader *r, const struct model *m, char hex[SHA256_HEX])
{
	struct sha256 *s = sha256_new();

	if (!s)
		return param_fail(-ENOMEM, r->why, "%s: out of memory", r->name);
	add_text(s, &m->architecture);
	sha256_add(s, &m->embedding_length, sizeof(m->embedding_length));
	sha256_add(s, &m->blocks, sizeof(m->blocks));
	sha256_add(s, &m->token_count, sizeof(m->token_count));
	add_text(s, &m->tokens);
	for (uint64_t i = 0; i < m->norms; i++) {
		add_text(s, &m->norm[i].name);
		for (uint64_t j = 0; j < m->norm[i].values; j++) {
			const float value = fx1_widen(r->file + r->at + m->norm[i].offset, m->norm[i].format, j);

			sha256_add(s, &value, sizeof(value));
		}
	}
	sha256_end(s, hex);
	return 0;
}

/* Of llama.cpp's file types, those that models are offered in. */
static void name_quantisation(const struct model *m, char *out, size_t bytes)
{
	static const char *const names[] = {[0] = "F32",
		[1] = "F16",
		[2] = "Q4_0",
		[3] = "Q4_1",
		[7] = "Q8_0",
		[8] = "Q5_0",
		[9] = "Q5_1",
		[10] = "Q2_K",
		[11] = "Q3_K_S",
		[12] = "Q3_K_M",
		[13] = "Q3_K_L",
		[14] = "Q4_K_S",
		[15] = "Q4_K_M",
		[16] = "Q5_K_S",
		[17] = "Q5_K_M",
		[18] = "Q6_K",
		[32] = "BF16"};

	if (m->has_file_type && m->file_type < sizeof(names) / sizeof(*names) && names[m->file_type])
		snprintf(out, bytes, "%s", names[m->file_type]);
	else if (m->has_file_type)
		snprintf(out, bytes, "type %u", (unsigned)m->file_type);
	else
		snprintf(out, bytes, "not stated");
}

int backbone_parse(const void *file, uint64_t bytes, const char *name, struct backbone *out, char *why)
{
	struct reader r = {file, bytes, 0, name, why};
	struct backbone found = {.embedding_length = 0};
	struct model m = {0};
	int err = read_model(&r, &m);

	if (!err) {
		qsort(m.norm, m.norms, sizeof(*m.norm), by_name);
		err = take_fingerprint(&r, &m, found.fingerprint);
	}
	if (!err) {
		snprintf(found.architecture, sizeof(found.architecture), "%.*s",
			(int)(m.architecture.bytes < 63 ? m.architecture.bytes : 63), m.architecture.at);
		name_quantisation(&m, found.quantisation, sizeof(found.quantisation));
		found.embedding_length = (uint32_t)m.embedding_length;
		found.blocks = (uint32_t)m.blocks;
		found.tokens = (uint32_t)m.token_count;
		*out = found;
	}
	free(m.norm);
	return err;
}

void backbone_name(const struct backbone *b, char name[BACKBONE_NAME])
{
	snprintf(name, BACKBONE_NAME, "%s %s", b->fingerprint, b->quantisation);
}

int backbone_read(const char *path, struct backbone *out, char *why)
{
	struct map map;
	int err = map_open(path, &map, why);

	if (err)
		return err;
	err = backbone_parse(map.data, map.bytes, path, out, why);
	map_close(&map);
	return err;
}
