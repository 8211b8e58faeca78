/* SPDX-License-Identifier: Apache-2.0 */
/* The table of a model's tokens: its output embedding, dequantised by ggml, centred, in integers. */
#include "backbone.h"
#include "cli.h"
#include "head_make.h"

#include <ggml.h>
#include <gguf.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The output embedding, in the model's file. */
struct embedding {
	struct map map;
	struct gguf_context *gguf;
	struct ggml_context *tensors;
	const struct ggml_tensor *weight, *bias; /* NULL: none */
	uint32_t vocab, cols;
	double scale; /* of the logits */
	float *row; /* [cols], dequantised */
};

static void close_embedding(struct embedding *e)
{
	free(e->row);
	if (e->gguf)
		gguf_free(e->gguf);
	if (e->tensors)
		ggml_free(e->tensors);
	if (e->map.data)
		map_close(&e->map);
}

static const char *data_of(const struct embedding *e, const struct ggml_tensor *t)
{
	return (const char *)e->map.data + gguf_get_data_offset(e->gguf) +
	       gguf_get_tensor_offset(e->gguf, gguf_find_tensor(e->gguf, ggml_get_name(t)));
}

/* What the engine does with the product of state and output embedding. */
enum product { AS_IT_IS, DIVIDED, MULTIPLIED }; /* by the logit scale */

/* Architectures whose graphs in llama.cpp (src/models) were read. */
static const struct {
	const char *name;
	enum product product;
} architectures[] = {{"llama", AS_IT_IS}, {"llama4", AS_IT_IS}, {"mistral3", AS_IT_IS}, {"qwen2", AS_IT_IS},
	{"qwen2moe", AS_IT_IS}, {"qwen3", AS_IT_IS}, {"qwen3moe", AS_IT_IS}, {"qwen3next", AS_IT_IS},
	{"smollm3", AS_IT_IS}, {"phi2", AS_IT_IS}, {"phi3", AS_IT_IS}, {"gemma", AS_IT_IS}, {"gemma3", AS_IT_IS},
	{"olmo", AS_IT_IS}, {"olmo2", AS_IT_IS}, {"olmoe", AS_IT_IS}, {"deepseek2", AS_IT_IS}, {"glm4", AS_IT_IS},
	{"glm4moe", AS_IT_IS}, {"starcoder2", AS_IT_IS}, {"stablelm", AS_IT_IS}, {"internlm2", AS_IT_IS},
	{"exaone", AS_IT_IS}, {"exaone4", AS_IT_IS}, {"ernie4_5", AS_IT_IS}, {"gpt-oss", AS_IT_IS},
	{"falcon", AS_IT_IS}, {"gptneox", AS_IT_IS}, {"nemotron", AS_IT_IS}, {"seed_oss", AS_IT_IS},
	{"arcee", AS_IT_IS}, {"granite", DIVIDED}, {"granitemoe", DIVIDED}, {"granitehybrid", DIVIDED},
	{"command-r", MULTIPLIED}, {"cohere2", MULTIPLIED}};

#define ARCHITECTURES (sizeof(architectures) / sizeof(*architectures))

/* A number of the model's, or the fallback; NaN: it is no F32. */
static double number(const struct embedding *e, const char *architecture, const char *key, double fallback)
{
	char name[128];
	int64_t id;

	snprintf(name, sizeof(name), "%s.%s", architecture, key);
	id = gguf_find_key(e->gguf, name);
	if (id < 0)
		return fallback;
	return gguf_get_kv_type(e->gguf, id) == GGUF_TYPE_FLOAT32 ? (double)gguf_get_val_f32(e->gguf, id) : NAN;
}

static int find_scale(struct embedding *e, const char *model, const char *architecture)
{
	const double cap = number(e, architecture, "final_logit_softcapping", 0);
	const double scale = number(e, architecture, "logit_scale", 1);
	size_t i = 0;

	while (i < ARCHITECTURES && strcmp(architectures[i].name, architecture) != 0)
		i++;
	if (i == ARCHITECTURES)
		return misused("head", "%s: how a model of '%s' makes its logits of the state is not known here", model,
			architecture);
	if (!isfinite(cap) || !isnormal(scale) || ggml_get_tensor(e->tensors, "output.scale"))
		return misused("head",
			"%s: its final_logit_softcapping or logit_scale is no F32 that can be used, or it has an output.scale",
			model);
	if (cap != 0)
		return misused("head", "%s: its logits are soft-capped at %g, so that they are no product of the state",
			model, cap);
	if (architectures[i].product == AS_IT_IS && scale != 1)
		return misused("head",
			"%s: a model of '%s' has a logit scale of %g, and how it is used is not known here", model,
			architecture, scale);
	e->scale = architectures[i].product == DIVIDED ? 1 / scale : scale;
	return EXIT_DONE;
}

/* Whether a tensor lies inside the file. */
static bool is_inside(const struct embedding *e, const struct ggml_tensor *t)
{
	const size_t at = gguf_get_data_offset(e->gguf) +
			  gguf_get_tensor_offset(e->gguf, gguf_find_tensor(e->gguf, ggml_get_name(t)));

	return at <= e->map.bytes && ggml_nbytes(t) <= e->map.bytes - at;
}

static int check_sizes(const struct embedding *e, const char *model, const struct backbone *backbone)
{
	const struct ggml_tensor *w = e->weight;
	const struct ggml_type_traits *traits = w ? ggml_get_type_traits(w->type) : NULL;

	if (!w)
		return misused("head", "%s: it has neither output.weight nor token_embd.weight", model);
	if (w->ne[0] != (int64_t)backbone->embedding_length || w->ne[1] < (int64_t)backbone->tokens)
		return misused("head", "%s: %s is %lld x %lld, and there are %u tokens of %u values", model,
			ggml_get_name(w), (long long)w->ne[1], (long long)w->ne[0], backbone->tokens,
			backbone->embedding_length);
	if (backbone->tokens > VETO_VOCAB_MAX || backbone->embedding_length > VETO_STATE_MAX)
		return misused("head", "%s: %u tokens of %u values; at most %u of %u", model, backbone->tokens,
			backbone->embedding_length, VETO_VOCAB_MAX, VETO_STATE_MAX);
	if (w->type != GGML_TYPE_F32 && !traits->to_float)
		return misused("head", "%s: %s is of type %s, which ggml can't turn into floats", model,
			ggml_get_name(w), ggml_type_name(w->type));
	if (!is_inside(e, w) || (e->bias && !is_inside(e, e->bias)))
		return misused("head", "%s: %s, or its bias, lies outside the file", model, ggml_get_name(w));
	if (e->bias && (e->bias->type != GGML_TYPE_F32 || e->bias->ne[0] < (int64_t)backbone->tokens))
		return misused("head", "%s: output.bias is not %u values of F32", model, backbone->tokens);
	return EXIT_DONE;
}

static int open_embedding(const char *model, const struct backbone *backbone, struct embedding *e)
{
	char why[VETO_WHY_MAX];
	int status;

	if (map_open(model, &e->map, why))
		return misused("head", "%s", why);
	e->gguf = gguf_init_from_file(model, (struct gguf_init_params){.no_alloc = true, .ctx = &e->tensors});
	if (!e->gguf)
		return misused("head", "%s: ggml can't read it", model);
	e->weight = ggml_get_tensor(e->tensors, "output.weight");
	if (!e->weight)
		e->weight = ggml_get_tensor(e->tensors, "token_embd.weight"); /* tied */
	e->bias = ggml_get_tensor(e->tensors, "output.bias");
	status = check_sizes(e, model, backbone);
	if (!status)
		status = find_scale(e, model, backbone->architecture);
	if (status)
		return status;
	e->vocab = backbone->tokens;
	e->cols = backbone->embedding_length;
	e->row = malloc(e->cols * sizeof(*e->row));
	return e->row ? EXIT_DONE : failed("head", "out of memory");
}

static const float *row_of(const struct embedding *e, uint32_t token)
{
	const char *from = data_of(e, e->weight) + token * e->weight->nb[1];

	if (e->weight->type == GGML_TYPE_F32)
		memcpy(e->row, from, e->cols * sizeof(*e->row));
	else
		ggml_get_type_traits(e->weight->type)->to_float(from, e->row, e->cols);
	return e->row;
}

static double bias_of(const struct embedding *e, uint32_t token)
{
	float bias = 0;

	if (e->bias)
		memcpy(&bias, data_of(e, e->bias) + token * sizeof(bias), sizeof(bias));
	return (double)bias;
}

/* The mean row, its last entry that of the biases. */
static int find_mean(const struct embedding *e, const char *model, double *mean)
{
	for (uint32_t j = 0; j < e->vocab; j++) {
		const float *row = row_of(e, j);

		for (uint32_t i = 0; i < e->cols; i++) {
			if (!isfinite(row[i]))
				return misused("head", "%s: %s [%u, %u] is NaN or infinite", model,
					ggml_get_name(e->weight), j, i);
			mean[i] += (double)row[i];
		}
		if (!isfinite(bias_of(e, j)))
			return misused("head", "%s: output.bias [%u] is NaN or infinite", model, j);
		mean[e->cols] += bias_of(e, j);
	}
	for (uint32_t i = 0; i <= e->cols; i++)
		mean[i] /= e->vocab;
	return EXIT_DONE;
}

/* A table in memory. */
struct table {
	double *mean, *u;
	int16_t *hi, *f;
	uint8_t *lo;
	int32_t *c;
};

static int fill_table(const struct embedding *e, const char *model, struct table *t)
{
	const int status = find_mean(e, model, t->mean);

	if (status)
		return status;
	for (uint32_t j = 0; j < e->vocab; j++) {
		const float *row = row_of(e, j);
		const double c = rint(e->scale * (bias_of(e, j) - t->mean[e->cols]) * 0x1p20);
		const size_t at = (size_t)j * e->cols;
		uint32_t bad;

		for (uint32_t i = 0; i < e->cols; i++)
			t->u[i] = e->scale * ((double)row[i] - t->mean[i]);
		if (hx1_make_table_row(t->u, e->cols, t->hi + at, t->lo ? t->lo + at : NULL, &t->f[j], &bad))
			return misused("head", "%s: %s [%u, %u] less the mean is beyond a table's range", model,
				ggml_get_name(e->weight), j, bad);
		if (!(fabs(c) <= INT32_MAX))
			return misused("head", "%s: output.bias [%u] is out of range", model, j);
		t->c[j] = (int32_t)c;
	}
	return EXIT_DONE;
}

static int make_table(
	const struct embedding *e, const char *model, const struct backbone *backbone, bool is_i16, const char *output)
{
	const struct head_texts texts = {.shape = "sch",
		.output = "self-certainty",
		.aggregation = "mean",
		.tap = "final_norm",
		.backbone = backbone->fingerprint,
		.quantisation = backbone->quantisation};
	const size_t count = (size_t)e->vocab * e->cols;
	struct table t = {.mean = calloc(e->cols + 1, sizeof(double)),
		.u = malloc(e->cols * sizeof(double)),
		.hi = malloc(count * sizeof(int16_t)),
		.f = malloc(e->vocab * sizeof(int16_t)),
		.lo = is_i16 ? NULL : malloc(count),
		.c = malloc(e->vocab * sizeof(int32_t))};
	char why[VETO_WHY_MAX];
	int status;

	if (!t.mean || !t.u || !t.hi || !t.f || !t.c || (!is_i16 && !t.lo))
		status = failed("head", "no memory for a table of %u x %u", e->vocab, e->cols);
	else
		status = fill_table(e, model, &t);
	if (!status && head_make_table(output, &texts, e->vocab, e->cols, t.hi, t.lo, t.f, t.c, why))
		status = failed("head", "%s", why);
	if (!status)
		printf("%s: %u tokens of %u values, %s, of %s (%s)\n", output, e->vocab, e->cols,
			is_i16 ? "i16" : "i24", ggml_get_name(e->weight), ggml_type_name(e->weight->type));
	free(t.c);
	free(t.lo);
	free(t.f);
	free(t.hi);
	free(t.u);
	free(t.mean);
	return status;
}

int head_sch(const char *model, bool is_i16, const char *output)
{
	struct embedding e = {.vocab = 0};
	struct backbone backbone;
	char why[VETO_WHY_MAX];
	int status;

	if (backbone_read(model, &backbone, why))
		return misused("head", "%s", why);
	status = open_embedding(model, &backbone, &e);
	if (!status)
		status = make_table(&e, model, &backbone, is_i16, output);
	close_embedding(&e);
	return status;
}
