/* SPDX-License-Identifier: Apache-2.0 */
/* Reads head files, and trusts nothing in them. */
#include "head.h"
#include "param.h"
#include "sha256.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ORTHONORMAL_WITHIN 1e-3

const char *const head_outputs[HEAD_OUTPUTS] = {"raw", "softmax", "sigmoid", "distance"};
const char *const head_aggregations[HEAD_AGGREGATIONS] = {
	"last", "mean", "product", "min", "geometric-mean", "max-pool"};

static int find_name(const char *const *names, int count, const char *name, size_t length)
{
	for (int i = 0; i < count; i++)
		if (strlen(names[i]) == length && strncmp(names[i], name, length) == 0)
			return i;
	return -1;
}

/* The text of a key. */
static int read_text(const struct veto_head *head, const char *key, const char **out, char *why)
{
	*out = safetensors_text(&head->file, key);
	return *out ? 0 : param_fail(-EINVAL, why, "no head file: its metadata has no \"%s\"", key);
}

/* That it is what this library reads. */
static int read_version(const struct veto_head *head, const char *key, const char *expected, char *why)
{
	const char *found;

	if (read_text(head, key, &found, why))
		return -EINVAL;
	if (strcmp(found, expected) != 0)
		return param_fail(
			-EINVAL, why, "\"%s\" is \"%s\", and this library reads \"%s\"", key, found, expected);
	return 0;
}

/* A tensor of that type and shape, or of what the file has where a number is 0. */
static int find_tensor(const struct veto_head *head, const char *name, const char *type, uint32_t dims,
	const uint64_t *shape, const struct tensor **out, char *why)
{
	const struct tensor *t = safetensors_find(&head->file, name);

	if (!t)
		return param_fail(-EINVAL, why, "there is no tensor \"%s\"", name);
	if (strcmp(t->type, type) != 0 || t->dims != dims)
		return param_fail(-EINVAL, why, "\"%s\" is %s of %u dimensions, expected %s of %u", name, t->type,
			t->dims, type, dims);
	for (uint32_t i = 0; i < dims; i++)
		if (shape[i] > 0 && t->shape[i] != shape[i])
			return param_fail(-EINVAL, why, "\"%s\" has %llu in dimension %u, expected %llu", name,
				(unsigned long long)t->shape[i], i, (unsigned long long)shape[i]);
	if ((uintptr_t)t->data % tensor_item_bytes(type) != 0)
		return param_fail(-EINVAL, why, "\"%s\" is not aligned to its values", name);
	*out = t;
	return 0;
}

/* The most negative integer has no counterpart, and is never made. */
static int check_weights(const struct tensor *t, char *why)
{
	const bool is_int8 = strcmp(t->type, "I8") == 0;
	const size_t count = t->bytes / tensor_item_bytes(t->type);
	unsigned bad = 0;

	if (is_int8)
		for (size_t i = 0; i < count; i++)
			bad |= ((const int8_t *)t->data)[i] == INT8_MIN;
	else
		for (size_t i = 0; i < count; i++)
			bad |= ((const int16_t *)t->data)[i] == INT16_MIN;
	return bad ? param_fail(-EINVAL, why, "\"%s\" has a weight of %d", t->name, is_int8 ? INT8_MIN : INT16_MIN) : 0;
}

/* The same of 24 bits. */
static int check_planes(const struct tensor *hi, const uint8_t *lo, char *why)
{
	unsigned bad = 0;

	for (size_t i = 0; i < hi->bytes / 2; i++)
		bad |= ((const int16_t *)hi->data)[i] == INT16_MIN && lo[i] == 0;
	return bad ? param_fail(-EINVAL, why, "\"%s\" and \"table.lo\" have a weight of -2^23", hi->name) : 0;
}

static int read_scales(
	const struct veto_head *head, const char *prefix, uint32_t rows, struct veto_weight_scale *out, char *why)
{
	const uint64_t shape[] = {rows};
	const struct tensor *mant, *sh, *bias;
	char name[40];

	snprintf(name, sizeof(name), "%s.mant", prefix);
	if (find_tensor(head, name, "U16", 1, shape, &mant, why))
		return -EINVAL;
	snprintf(name, sizeof(name), "%s.sh", prefix);
	if (find_tensor(head, name, "I16", 1, shape, &sh, why))
		return -EINVAL;
	snprintf(name, sizeof(name), "%s.bias", prefix);
	if (find_tensor(head, name, "I32", 1, shape, &bias, why))
		return -EINVAL;
	for (uint32_t i = 0; i < rows; i++) {
		out[i].mant = ((const uint16_t *)mant->data)[i];
		out[i].sh = ((const int16_t *)sh->data)[i];
		out[i].bias = ((const int32_t *)bias->data)[i];
		if (out[i].mant < 1u << 15 || out[i].sh < VETO_WEIGHT_SH_MIN || out[i].sh > VETO_WEIGHT_SH_MAX)
			return param_fail(-EINVAL, why, "\"%s\" row %u has mant %u and sh %d, which no weights have",
				prefix, i, out[i].mant, out[i].sh);
	}
	return 0;
}

static int read_layer(struct veto_head *head, uint32_t index, struct veto_weight_scale *scale, char *why)
{
	struct hx1_layer *layer = &head->layer[index];
	const uint64_t shape[] = {0, index > 0 ? head->layer[0].rows : 0};
	const struct tensor *weight;
	char prefix[20], name[40];

	snprintf(prefix, sizeof(prefix), "layer.%u", index);
	snprintf(name, sizeof(name), "%s.weight", prefix);
	weight = safetensors_find(&head->file, name);
	layer->format = weight && strcmp(weight->type, "I8") == 0 ? VETO_INT8 : VETO_INT16;
	if (find_tensor(head, name, layer->format == VETO_INT8 ? "I8" : "I16", 2, shape, &weight, why))
		return -EINVAL;
	for (int i = 0; i < 2; i++)
		if (weight->shape[i] < 1 || weight->shape[i] > VETO_STATE_MAX)
			return param_fail(-EINVAL, why, "\"%s\" is %llu x %llu; both are 1 to %u", name,
				(unsigned long long)weight->shape[0], (unsigned long long)weight->shape[1],
				VETO_STATE_MAX);
	layer->rows = (uint32_t)weight->shape[0];
	layer->cols = (uint32_t)weight->shape[1];
	layer->weight = weight->data;
	layer->scale = scale;
	return check_weights(weight, why) ? -EINVAL : read_scales(head, prefix, layer->rows, scale, why);
}

/* "softmax:1", "softmax:1+2", or a name alone. */
static int read_output(struct veto_head *head, const char *text, char *why)
{
	const size_t length = strcspn(text, ":");
	const int output = find_name(head_outputs, HEAD_OUTPUTS, text, length);
	const char *at = text + length;
	char *end;

	while (output == HEAD_SOFTMAX && *at && head->classes < 2) {
		const unsigned long class = strtoul(at + 1, &end, 10);

		if (at[1] < '0' || at[1] > '9' || class >= head->info.outputs || (*end && *end != '+'))
			break;
		head->class[head->classes++] = (uint32_t) class;
		at = end;
	}
	if (output < 0 || *at || (output == HEAD_SOFTMAX) != (head->classes > 0) ||
		(head->classes == 2 && head->class[0] == head->class[1]))
		return param_fail(
			-EINVAL, why, "unknown output \"%s\" of a head with %u outputs", text, head->info.outputs);
	head->output = (enum head_output)output;
	return 0;
}

static double weight_value(const struct hx1_layer *layer, uint32_t row, uint32_t col)
{
	const struct veto_weight_scale *s = &layer->scale[row];

	return ldexp(s->mant, -s->sh) * ((const int16_t *)layer->weight)[(size_t)row * layer->cols + col];
}

static int check_orthonormal(const struct hx1_layer *layer, char *why)
{
	if (layer->format != VETO_INT16 || layer->rows > VETO_DISTANCE_ROWS_MAX)
		return param_fail(-EINVAL, why, "a distance is to at most %u rows of int16", VETO_DISTANCE_ROWS_MAX);
	for (uint32_t i = 0; i < layer->rows; i++)
		for (uint32_t j = 0; j <= i; j++) {
			double product = 0;

			for (uint32_t k = 0; k < layer->cols; k++)
				product += weight_value(layer, i, k) * weight_value(layer, j, k);
			if (!(fabs(product - (i == j)) <= ORTHONORMAL_WITHIN))
				return param_fail(-EINVAL, why,
					"rows %u and %u are not orthonormal: their product is %g", j, i, product);
		}
	return 0;
}

/* What the numbers mean. */
static int read_meaning(struct veto_head *head, char *why)
{
	struct veto_head_info *info = &head->info;
	int aggregation;

	if (read_text(head, "output", &info->output, why) || read_text(head, "aggregation", &info->aggregation, why) ||
		read_output(head, info->output, why))
		return -EINVAL;
	aggregation = find_name(head_aggregations, HEAD_AGGREGATIONS, info->aggregation, strlen(info->aggregation));
	if (aggregation < 0)
		return param_fail(-EINVAL, why, "unknown aggregation \"%s\"", info->aggregation);
	head->aggregation = (enum head_aggregation)aggregation;
	info->is_probability = head->output == HEAD_SOFTMAX || head->output == HEAD_SIGMOID;
	if (head->output != HEAD_SOFTMAX && head->output != HEAD_DISTANCE && info->outputs != 1)
		return param_fail(
			-EINVAL, why, "\"%s\" is of one output, and there are %u", info->output, info->outputs);
	if ((aggregation == HEAD_GEOMETRIC_MEAN && (!info->is_probability || head->classes > 1)) ||
		(aggregation == HEAD_PRODUCT && !info->is_probability) ||
		(aggregation == HEAD_MAX_POOL && head->output == HEAD_DISTANCE))
		return param_fail(-EINVAL, why, "there is no %s of \"%s\"", info->aggregation, info->output);
	if (head->output != HEAD_DISTANCE)
		return 0;
	info->outputs = 1;
	return info->layers == 1 ? check_orthonormal(&head->layer[0], why)
				 : param_fail(-EINVAL, why, "a distance has one layer");
}

/* Names joined by '+', none twice. */
static int read_names(struct veto_head *head, const char *text, char *why)
{
	uint32_t *count = &head->info.statistics;

	for (const char *at = text;; at++) {
		const size_t letters = strcspn(at, "+");
		struct statistic *s = &head->statistic[*count];

		if (*count == STATISTICS_MAX)
			return param_fail(-EINVAL, why, "more than %d statistics", STATISTICS_MAX);
		if (statistic_find(at, letters, s))
			return param_fail(
				-EINVAL, why, "unknown statistic \"%.*s\"", (int)(letters < 40 ? letters : 40), at);
		for (uint32_t i = 0; i < *count; i++)
			if (head->statistic[i].kind == s->kind && head->statistic[i].field == s->field)
				return param_fail(
					-EINVAL, why, "the statistic \"%.*s\" stands there twice", (int)letters, at);
		++*count;
		at += letters;
		if (!*at)
			return 0;
	}
}

/* The statistics of token scores, and their weights. */
static int read_statistics(struct veto_head *head, char *why)
{
	uint64_t shape[] = {1, 0};
	const struct tensor *weight;
	const char *text;

	if (read_text(head, "statistics", &text, why) || read_names(head, text, why))
		return -EINVAL;
	shape[1] = head->info.statistics;
	if (find_tensor(head, "statistics.weight", "I16", 2, shape, &weight, why) || check_weights(weight, why))
		return -EINVAL;
	head->weighing = weight->data;
	return read_scales(head, "statistics", 1, &head->weighing_scale, why);
}

static int check_statistics(const struct veto_head *head, char *why)
{
	const struct veto_head_info *info = &head->info;

	if (head->output != HEAD_SIGMOID)
		return param_fail(-EINVAL, why, "there are statistics for no output \"%s\"", info->output);
	return 0;
}

static int read_dense(struct veto_head *head, bool has_statistics, char *why)
{
	struct veto_head_info *info = &head->info;
	const bool has_two = safetensors_find(&head->file, "layer.1.weight");

	info->kind = VETO_HEAD_DENSE;
	if (has_statistics && read_statistics(head, why))
		return -EINVAL;
	if (has_statistics && !safetensors_find(&head->file, "layer.0.weight")) {
		info->outputs = 1;
		return read_meaning(head, why) ? -EINVAL : check_statistics(head, why);
	}
	info->layers = has_two ? 2 : 1;
	head->scale = calloc((size_t)VETO_STATE_MAX * info->layers, sizeof(*head->scale));
	if (!head->scale)
		return param_fail(-ENOMEM, why, "out of memory");
	for (uint32_t i = 0; i < info->layers; i++)
		if (read_layer(head, i, head->scale + (size_t)i * VETO_STATE_MAX, why))
			return -EINVAL;
	info->cols = head->layer[0].cols;
	info->width = has_two ? head->layer[0].rows : 0;
	info->outputs = head->layer[info->layers - 1].rows;
	info->weights = head->layer[0].format;
	if (info->outputs > VETO_HEAD_OUTPUTS_MAX)
		return param_fail(-EINVAL, why, "%u outputs; at most %u", info->outputs, VETO_HEAD_OUTPUTS_MAX);
	if (read_meaning(head, why))
		return -EINVAL;
	return has_statistics ? check_statistics(head, why) : 0;
}

static int read_table(struct veto_head *head, char *why)
{
	const struct tensor *hi, *lo, *f, *c;
	struct veto_head_info *info = &head->info;

	if (find_tensor(head, "table.hi", "I16", 2, (const uint64_t[]){0, 0}, &hi, why))
		return -EINVAL;
	if (hi->shape[0] < 1 || hi->shape[0] > VETO_VOCAB_MAX || hi->shape[1] < 1 || hi->shape[1] > VETO_STATE_MAX)
		return param_fail(-EINVAL, why, "\"table.hi\" is %llu x %llu; at most %u tokens of %u values",
			(unsigned long long)hi->shape[0], (unsigned long long)hi->shape[1], VETO_VOCAB_MAX,
			VETO_STATE_MAX);
	if (find_tensor(head, "table.f", "I16", 1, hi->shape, &f, why) ||
		find_tensor(head, "table.c", "I32", 1, hi->shape, &c, why))
		return -EINVAL;
	if (safetensors_find(&head->file, "table.lo")) {
		if (find_tensor(head, "table.lo", "U8", 2, hi->shape, &lo, why))
			return -EINVAL;
		head->lo = lo->data;
	}
	if (head->lo ? check_planes(hi, head->lo, why) : check_weights(hi, why))
		return -EINVAL;
	head->hi = hi->data;
	head->f = f->data;
	head->c = c->data;
	info->kind = VETO_HEAD_SCH;
	info->output = "self-certainty";
	info->aggregation = "mean";
	info->vocab = (uint32_t)hi->shape[0];
	info->cols = (uint32_t)hi->shape[1];
	return 0;
}

bool head_knows_question(const struct veto_head *head, uint64_t text)
{
	const char *list = safetensors_text(&head->file, "trained_on");
	char digits[17];

	snprintf(digits, sizeof(digits), "%016llx", (unsigned long long)text);
	for (size_t at = 0; list && strlen(list + at) >= 16; at += 16)
		if (strncmp(list + at, digits, 16) == 0)
			return true;
	return false;
}

int head_checksum(const void *file, size_t bytes, size_t at, char *hex)
{
	static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
	struct sha256 *s = sha256_new();

	if (!s)
		return -ENOMEM;
	sha256_add(s, file, at);
	sha256_add(s, zeros, SHA256_HEX - 1);
	sha256_add(s, (const char *)file + at + SHA256_HEX - 1, bytes - at - (SHA256_HEX - 1));
	sha256_end(s, hex);
	return 0;
}

static int check_checksum(struct veto_head *head, const void *file, size_t bytes, char *why)
{
	char expected[SHA256_HEX];
	const char *found, *at;

	if (read_text(head, "sha256", &found, why))
		return -EINVAL;
	at = strlen(found) == SHA256_HEX - 1 ? memmem(file, bytes, found, SHA256_HEX - 1) : NULL;
	if (!at)
		return param_fail(-EINVAL, why, "\"sha256\" is \"%s\", which is none", found);
	if (head_checksum(file, bytes, (size_t)(at - (const char *)file), expected))
		return param_fail(-ENOMEM, why, "out of memory");
	if (strcmp(found, expected) != 0)
		return param_fail(-EINVAL, why, "damaged: its checksum is %s, and it says %s", expected, found);
	head->info.checksum = found;
	return 0;
}

static int read_all(struct veto_head *head, const void *file, size_t bytes, char *why)
{
	struct veto_head_info *info = &head->info;
	const bool has_statistics = safetensors_text(&head->file, "statistics");
	int err;

	if (read_version(head, "veto_head", HEAD_FILE_VERSION, why) ||
		read_version(head, "arithmetic", has_statistics ? HEAD_ARITHMETIC_STATISTICS : HEAD_ARITHMETIC, why))
		return -EINVAL;
	err = check_checksum(head, file, bytes, why);
	if (err)
		return err;
	if (read_text(head, "shape", &info->shape, why) || read_text(head, "tap", &info->tap, why) ||
		read_text(head, "backbone", &info->backbone, why) ||
		read_text(head, "quantisation", &info->quantisation, why))
		return -EINVAL;
	if (safetensors_find(&head->file, "table.hi") && !has_statistics)
		return read_table(head, why);
	return read_dense(head, has_statistics, why);
}

int head_parse(const void *file, size_t bytes, const char *name, struct veto_head *out, char *why)
{
	struct veto_head head = {0};
	char what[VETO_WHY_MAX];
	int err = safetensors_parse(file, bytes, name, &head.file, why);

	if (err)
		return err;
	err = read_all(&head, file, bytes, what);
	if (err) {
		head_clear(&head);
		return param_fail(err, why, "%s: %s", name, what);
	}
	*out = head;
	return 0;
}

void head_clear(struct veto_head *head)
{
	safetensors_free(&head->file);
	free(head->scale);
}

int veto_head_open(const char *path, struct veto_head **out, char *why)
{
	struct veto_head *head;
	struct map map;
	int err;

	err = map_open(path, &map, why);
	if (err)
		return err;
	head = malloc(sizeof(*head));
	err = head ? head_parse(map.data, map.bytes, path, head, why)
		   : param_fail(-ENOMEM, why, "%s: out of memory", path);
	if (err) {
		map_close(&map);
		free(head);
		return err;
	}
	head->map = map;
	*out = head;
	return 0;
}

void veto_head_close(struct veto_head *head)
{
	if (!head)
		return;
	head_clear(head);
	map_close(&head->map);
	free(head);
}

const struct veto_head_info *veto_head_info(const struct veto_head *head) { return &head->info; }

enum veto_head_sort veto_head_sort(const struct veto_head *head)
{
	if (head->info.kind == VETO_HEAD_SCH)
		return VETO_TABLE;
	return head->info.layers == 1 ? VETO_ONE_LAYER : VETO_TWO_LAYERS;
}
