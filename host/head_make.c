/* SPDX-License-Identifier: Apache-2.0 */
/* Makes head files: floating point becomes integers, and a checksum covers the whole. */
#include "head_make.h"
#include "param.h"
#include "sha256.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TENSORS_MAX 12
#define TEXTS 11

const struct head_shape head_shapes[] = {
	{"qwen-prm", "Qwen2.5-Math-PRM: D to D, ReLU, to 2", "softmax:1", "product", "final_norm",
		{{"score.0.weight", "score.0.bias", false, 0, 1}, {"score.2.weight", "score.2.bias", false, 2, 0}}, 2},
	{"qwen-rm", "Qwen2.5-Math-RM: D to D, ReLU, to 1", "raw", "last", "final_norm",
		{{"score.0.weight", "score.0.bias", false, 0, 1}, {"score.2.weight", "score.2.bias", false, 1, 0}}, 2},
	{"skywork-prm", "Skywork-o1-Open-PRM: D to 1", "sigmoid", "mean", "final_norm",
		{{"v_head.summary.weight", "v_head.summary.bias", true, 1, 0}}, 1},
	{"reasoneval", "ReasonEval: D to 3, validity", "softmax:1+2", "min", "final_norm",
		{{"score_head.weight", "score_head.bias", true, 3, 0}}, 1},
	{"token-prm", "token classification: D to 2", "softmax:1", "min", "final_norm",
		{{"score.weight", "score.bias", true, 2, 0}}, 1},
	{"sprm", "MetaStone-S1's SPRM: D to 2 D, ReLU, to 1", "sigmoid", "geometric-mean", "layer:-2",
		{{"0.weight", "0.bias", false, 0, 2}, {"3.weight", "3.bias", false, 1, 0}}, 2},
	{"probe", "a correctness probe: D to 16 or 32, ReLU, to 1", "sigmoid", "last", "final_norm",
		{{"0.weight", "0.bias", false, 0, 0}, {"2.weight", "2.bias", false, 1, 0}}, 2},
	{"probe", "a linear correctness probe: D to 1", "sigmoid", "last", "final_norm",
		{{"weight", "bias", true, 1, 0}}, 1},
	{"coderl", "CodeRL's critic: D to 128, ReLU, to 4", "softmax:3", "max-pool", "final_norm",
		{{"error_head.0.weight", "error_head.0.bias", false, 128, 0},
			{"error_head.2.weight", "error_head.2.bias", false, 4, 0}},
		2},
	{"subspace", "SAFREE: orthonormal rows, at most 32", "distance", "min", "final_norm",
		{{NULL, NULL, true, 0, 0}}, 1},
	{0},
};

static int check_weight(const struct head_shape *shape, uint32_t i, const struct tensor *t, uint64_t cols, char *why)
{
	const uint64_t rows = shape->layer[i].rows ? shape->layer[i].rows : shape->layer[i].rows_per_col * t->shape[1];

	if (t->dims != 2 || (cols > 0 && t->shape[1] != cols) || (rows > 0 && t->shape[0] != rows))
		return param_fail(-EINVAL, why, "\"%s\" is %llu x %llu; %s has %llu%s x %llu there", t->name,
			(unsigned long long)t->shape[0], (unsigned long long)t->shape[1], shape->name,
			(unsigned long long)rows, rows ? "" : " (any)",
			(unsigned long long)(cols ? cols : t->shape[1]));
	return 0;
}

static int check_type(const struct tensor *t, char *why)
{
	static const char *const types[] = {"F32", "F16", "BF16", "F64"};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strcmp(t->type, types[i]) == 0)
			return 0;
	return param_fail(-EINVAL, why, "\"%s\" is of type %s; F32, F16, BF16 and F64 are read", t->name, t->type);
}

static int find_layer(const struct head_shape *shape, uint32_t i, const struct safetensors *st, uint64_t cols,
	struct head_source *out, char *why)
{
	const char *weight = shape->layer[i].weight, *bias = shape->layer[i].bias;

	*out = (struct head_source){.weight = weight ? safetensors_find(st, weight) : st->tensor,
		.bias = bias ? safetensors_find(st, bias) : NULL};
	if (!weight && st->tensors != 1)
		return param_fail(-EINVAL, why, "there are %u tensors, and %s is one", st->tensors, shape->name);
	if (!out->weight)
		return param_fail(-EINVAL, why, "%s needs a tensor \"%s\", and there is none", shape->name, weight);
	if (!out->bias && !shape->layer[i].may_lack_bias)
		return param_fail(-EINVAL, why, "%s needs a tensor \"%s\", and there is none", shape->name, bias);
	if (check_weight(shape, i, out->weight, cols, why) || check_type(out->weight, why))
		return -EINVAL;
	if (!out->bias)
		return 0;
	if (out->bias->dims != 1 || out->bias->shape[0] != out->weight->shape[0])
		return param_fail(-EINVAL, why, "\"%s\" has %llu values, and \"%s\" has %llu rows", out->bias->name,
			(unsigned long long)(out->bias->dims == 1 ? out->bias->shape[0] : 0), out->weight->name,
			(unsigned long long)out->weight->shape[0]);
	return check_type(out->bias, why);
}

int head_shape_find(const char *name, const struct safetensors *st, const struct head_shape **shape,
	struct head_source source[VETO_HEAD_LAYERS_MAX], char *why)
{
	char known[VETO_WHY_MAX / 2] = "";
	size_t used = 0;
	bool is_known = false;

	for (const struct head_shape *s = head_shapes; s->name; s++) {
		uint32_t i = 0;

		if (!strstr(known, s->name) || used == 0)
			used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "", s->name);
		if (strcmp(s->name, name) != 0 || (is_known && !safetensors_find(st, s->layer[0].weight)))
			continue;
		is_known = true;
		while (i < s->layers && !find_layer(s, i, st, i ? source[0].weight->shape[0] : 0, &source[i], why))
			i++;
		if (i == s->layers) {
			*shape = s;
			return 0;
		}
	}
	return is_known ? -EINVAL : param_fail(-EINVAL, why, "unknown shape '%s'; known: %s", name, known);
}

/* The offset of the checksum's digits, which are zeros yet. */
static int set_checksum(const char *path, char *why)
{
	static const char key[] = "\"sha256\":\"";
	char hex[SHA256_HEX];
	struct map map;
	const char *at;
	FILE *file;
	int err = map_open(path, &map, why);

	if (err)
		return err;
	at = memmem(map.data, map.bytes, key, sizeof(key) - 1);
	err = head_checksum(map.data, map.bytes, (size_t)(at - (const char *)map.data) + sizeof(key) - 1, hex);
	file = err ? NULL : fopen(path, "r+e");
	if (!err && (!file || fseek(file, at - (const char *)map.data + (long)sizeof(key) - 1, SEEK_SET) != 0 ||
			    fwrite(hex, SHA256_HEX - 1, 1, file) != 1))
		err = -EIO;
	map_close(&map);
	if (file && fclose(file))
		err = -EIO;
	return err ? param_fail(err, why, "can't write '%s': %s", path, strerror(-err)) : 0;
}

/* Under another name first, and under its own once it is whole and can be read. */
static int write_head(const char *path, const struct head_texts *texts, const char *statistics,
	const struct tensor *tensor, uint32_t tensors, char *why)
{
	struct safetensors_text text[TEXTS] = {{"veto_head", HEAD_FILE_VERSION},
		{"arithmetic", statistics ? HEAD_ARITHMETIC_STATISTICS : HEAD_ARITHMETIC}, {"shape", texts->shape},
		{"output", texts->output}, {"aggregation", texts->aggregation}, {"tap", texts->tap},
		{"backbone", texts->backbone}, {"quantisation", texts->quantisation},
		{"sha256", "0000000000000000000000000000000000000000000000000000000000000000"}};
	uint32_t used = 9;
	struct veto_head head;
	char *partial = NULL;
	struct map map;
	FILE *file;
	int err;

	if (statistics)
		text[used++] = (struct safetensors_text){"statistics", statistics};
	if (texts->trained_on)
		text[used++] = (struct safetensors_text){"trained_on", texts->trained_on};
	if (asprintf(&partial, "%s.partial", path) < 0)
		return param_fail(-ENOMEM, why, "out of memory");
	file = fopen(partial, "we");
	err = file ? safetensors_write(file, tensor, tensors, text, used) : -errno;
	if (file && fclose(file))
		err = -EIO;
	if (err)
		param_say(why, "can't write '%s': %s", partial, strerror(-err));
	else
		err = set_checksum(partial, why);
	if (!err)
		err = map_open(partial, &map, why);
	if (!err) {
		err = head_parse(map.data, map.bytes, path, &head, why);
		if (!err)
			head_clear(&head);
		map_close(&map);
	}
	if (!err && rename(partial, path))
		err = param_fail(-errno, why, "can't write '%s': %s", path, strerror(errno));
	if (err)
		unlink(partial);
	free(partial);
	return err;
}

/* A layer in integers, and its tensors. */
struct layer {
	char name[4][24];
	void *weight;
	uint16_t *mant;
	int16_t *sh;
	int32_t *bias;
	double *row;
};

static void free_layer(struct layer *l)
{
	free(l->weight);
	free(l->mant);
	free(l->sh);
	free(l->bias);
	free(l->row);
}

static int make_row(const struct head_source *source, uint32_t o, uint32_t cols, enum veto_weight_format format,
	struct layer *l, char *why)
{
	const size_t bytes = format == VETO_INT8 ? 1 : 2;
	const char *bias_name = source->bias ? source->bias->name : "no bias";
	const double bias = source->bias ? tensor_value(source->bias, o) : 0;
	struct veto_weight_scale scale;
	uint32_t bad;

	for (uint32_t i = 0; i < cols; i++)
		l->row[i] = tensor_value(source->weight, (uint64_t)o * cols + i);
	if (hx1_make_row(l->row, cols, bias, format, (char *)l->weight + o * cols * bytes, &scale, &bad) == 0) {
		l->mant[o] = scale.mant;
		l->sh[o] = scale.sh;
		l->bias[o] = scale.bias;
		return 0;
	}
	if (bad < cols)
		return param_fail(-EINVAL, why, "\"%s\" [%u, %u] is %g", source->weight->name, o, bad, l->row[bad]);
	if (bad == cols)
		return param_fail(-EINVAL, why, "\"%s\" [%u] is %g, out of range", bias_name, o, bias);
	return param_fail(-EINVAL, why, "\"%s\" row %u: its weights are out of range", source->weight->name, o);
}

static int make_layer(
	const struct head_source *source, uint32_t index, enum veto_weight_format format, struct layer *l, char *why)
{
	static const char *const parts[] = {"weight", "mant", "sh", "bias"};
	const uint64_t rows = source->weight->shape[0], cols = source->weight->shape[1];

	if (rows < 1 || cols < 1 || rows > VETO_STATE_MAX || cols > VETO_STATE_MAX)
		return param_fail(-EINVAL, why, "\"%s\" is %llu x %llu; both are 1 to %u", source->weight->name,
			(unsigned long long)rows, (unsigned long long)cols, VETO_STATE_MAX);
	for (int i = 0; i < 4; i++)
		snprintf(l->name[i], sizeof(l->name[i]), "layer.%u.%s", index, parts[i]);
	l->weight = malloc(rows * cols * sizeof(int16_t));
	l->mant = malloc(rows * sizeof(*l->mant));
	l->sh = malloc(rows * sizeof(*l->sh));
	l->bias = malloc(rows * sizeof(*l->bias));
	l->row = malloc(cols * sizeof(*l->row));
	if (!l->weight || !l->mant || !l->sh || !l->bias || !l->row)
		return param_fail(-ENOMEM, why, "out of memory");
	for (uint32_t o = 0; o < rows; o++)
		if (make_row(source, o, (uint32_t)cols, format, l, why))
			return -EINVAL;
	return 0;
}

static struct tensor make_tensor(const char *name, const char *type, uint64_t rows, uint64_t cols, const void *data)
{
	struct tensor t = {.name = name, .dims = cols ? 2 : 1, .shape = {rows, cols}, .data = data};

	snprintf(t.type, sizeof(t.type), "%s", type);
	t.bytes = tensor_item_bytes(type) * rows * (cols ? cols : 1);
	return t;
}

/* The weights of statistics in integers. */
struct weighing {
	char names[STATISTICS_MAX * STATISTIC_NAME_MAX];
	int16_t weight[STATISTICS_MAX];
	struct veto_weight_scale scale;
};

static int make_weighing(const struct head_statistics *s, struct weighing *out, char *why)
{
	char name[STATISTIC_NAME_MAX];
	size_t used = 0;
	uint32_t bad;

	assert(s->count <= STATISTICS_MAX);
	for (uint32_t i = 0; i < s->count; i++) {
		statistic_name(s->statistic[i], name);
		used += (size_t)snprintf(out->names + used, sizeof(out->names) - used, "%s%s", i ? "+" : "", name);
	}
	if (hx1_make_row(s->weight, s->count, s->bias, VETO_INT16, out->weight, &out->scale, &bad) == 0)
		return 0;
	if (bad >= s->count)
		return param_fail(
			-EINVAL, why, "the weights of the statistics, or %g beside them, are out of range", s->bias);
	statistic_name(s->statistic[bad], name);
	return param_fail(-EINVAL, why, "the weight of %s is %g", name, s->weight[bad]);
}

int head_make_dense(const char *path, const struct head_texts *texts, const struct head_source *source, uint32_t layers,
	enum veto_weight_format format, char *why)
{
	static const struct head_statistics none;

	return head_make_fused(path, texts, source, layers, format, &none, why);
}

int head_make_fused(const char *path, const struct head_texts *texts, const struct head_source *source, uint32_t layers,
	enum veto_weight_format format, const struct head_statistics *statistics, char *why)
{
	struct layer layer[VETO_HEAD_LAYERS_MAX] = {0};
	const bool has_statistics = statistics->count > 0;
	struct weighing weighing;
	struct tensor tensor[TENSORS_MAX];
	uint32_t tensors = 0;
	int err = has_statistics ? make_weighing(statistics, &weighing, why) : 0;

	for (uint32_t i = 0; i < layers && !err; i++)
		err = make_layer(&source[i], i, format, &layer[i], why);
	/* Larger values first, for their alignment. */
	for (uint32_t i = 0; i < layers && !err; i++)
		tensor[tensors++] = make_tensor(layer[i].name[3], "I32", source[i].weight->shape[0], 0, layer[i].bias);
	if (has_statistics && !err)
		tensor[tensors++] = make_tensor("statistics.bias", "I32", 1, 0, &weighing.scale.bias);
	for (uint32_t i = 0; i < layers && !err; i++) {
		tensor[tensors++] = make_tensor(layer[i].name[1], "U16", source[i].weight->shape[0], 0, layer[i].mant);
		tensor[tensors++] = make_tensor(layer[i].name[2], "I16", source[i].weight->shape[0], 0, layer[i].sh);
	}
	if (has_statistics && !err) {
		tensor[tensors++] = make_tensor("statistics.mant", "U16", 1, 0, &weighing.scale.mant);
		tensor[tensors++] = make_tensor("statistics.sh", "I16", 1, 0, &weighing.scale.sh);
		tensor[tensors++] = make_tensor("statistics.weight", "I16", 1, statistics->count, weighing.weight);
	}
	for (uint32_t i = 0; i < layers && !err; i++)
		tensor[tensors++] = make_tensor(layer[i].name[0], format == VETO_INT8 ? "I8" : "I16",
			source[i].weight->shape[0], source[i].weight->shape[1], layer[i].weight);
	if (!err)
		err = write_head(path, texts, has_statistics ? weighing.names : NULL, tensor, tensors, why);
	for (uint32_t i = 0; i < layers; i++)
		free_layer(&layer[i]);
	return err;
}

int head_make_table(const char *path, const struct head_texts *texts, uint32_t vocab, uint32_t cols, const int16_t *hi,
	const uint8_t *lo, const int16_t *f, const int32_t *c, char *why)
{
	const struct tensor tensor[] = {make_tensor("table.c", "I32", vocab, 0, c),
		make_tensor("table.f", "I16", vocab, 0, f), make_tensor("table.hi", "I16", vocab, cols, hi),
		make_tensor("table.lo", "U8", vocab, cols, lo)};

	return write_head(path, texts, NULL, tensor, lo ? 4 : 3, why);
}

void head_exact(const struct head_source *source, uint32_t layers, const float *state, double *room, double *out)
{
	for (uint32_t l = 0; l < layers; l++) {
		const struct tensor *w = source[l].weight;

		for (uint64_t o = 0; o < w->shape[0]; o++) {
			double sum = source[l].bias ? tensor_value(source[l].bias, o) : 0;

			for (uint64_t i = 0; i < w->shape[1]; i++)
				sum += tensor_value(w, o * w->shape[1] + i) *
				       (l ? (room[i] > 0 ? room[i] : 0) : state[i]);
			(l + 1 < layers ? room : out)[o] = sum;
		}
	}
}
