/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of random weights, of every shape that is known. */
#include "heads.h"
#include "check.h"
#include "rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUBSPACE_ROWS 8

const struct head_shape *shape_named(const char *name)
{
	const struct head_shape *s = head_shapes;

	while (s->name && strcmp(s->name, name) != 0)
		s++;
	assert_non_null(s->name);
	return s;
}

static void orthonormalise(float *w, uint32_t rows, uint32_t cols)
{
	for (uint32_t k = 0; k < rows; k++) {
		double norm = 0;

		for (uint32_t j = 0; j < k; j++) {
			double dot = 0;

			for (uint32_t i = 0; i < cols; i++)
				dot += (double)w[j * cols + i] * w[k * cols + i];
			for (uint32_t i = 0; i < cols; i++)
				w[k * cols + i] -= (float)(dot * w[j * cols + i]);
		}
		for (uint32_t i = 0; i < cols; i++)
			norm += (double)w[k * cols + i] * w[k * cols + i];
		for (uint32_t i = 0; i < cols; i++)
			w[k * cols + i] = (float)(w[k * cols + i] / sqrt(norm));
	}
}

/* Random values times `scale`, in that type. */
static struct tensor make(const char *name, const char *type, uint32_t rows, uint32_t cols, float scale,
	bool is_subspace, struct dice *dice)
{
	const size_t count = (size_t)rows * (cols ? cols : 1);
	struct tensor t = {.name = name, .dims = cols ? 2 : 1, .shape = {rows, cols}};
	float *value = malloc((count + 1) * sizeof(*value));
	uint16_t *brain = malloc((count + 1) * sizeof(*brain));

	assert_non_null(value);
	assert_non_null(brain);
	for (size_t i = 0; i < count; i++)
		value[i] = scale * dice_normal(dice);
	if (is_subspace)
		orthonormalise(value, rows, cols);
	snprintf(t.type, sizeof(t.type), "%s", type);
	t.bytes = count * tensor_item_bytes(type);
	t.data = value;
	if (strcmp(type, "BF16") == 0) {
		for (size_t i = 0; i < count; i++)
			memcpy(&brain[i], (char *)&value[i] + 2, 2);
		t.data = brain;
		free(value);
	} else {
		free(brain);
	}
	return t;
}

void published_new(struct published *p, const struct head_shape *shape, const char *type, uint32_t cols, uint64_t seed)
{
	struct dice dice = {seed};

	memset(p, 0, sizeof(*p));
	p->shape = shape;
	for (uint32_t l = 0; l < shape->layers && l < VETO_HEAD_LAYERS_MAX; l++) {
		const bool is_subspace = !shape->layer[l].weight;
		const uint32_t rows = is_subspace		     ? SUBSPACE_ROWS
				      : shape->layer[l].rows	     ? shape->layer[l].rows
				      : shape->layer[l].rows_per_col ? shape->layer[l].rows_per_col * cols
								     : 16;

		p->tensor[p->tensors++] = make(is_subspace ? "u" : shape->layer[l].weight, type, rows, cols,
			0.4f / sqrtf((float)cols), is_subspace, &dice);
		if (!is_subspace)
			p->tensor[p->tensors++] = make(shape->layer[l].bias, type, rows, 0, 0.2f, false, &dice);
		cols = rows;
	}
}

void published_free(struct published *p)
{
	for (uint32_t i = 0; i < p->tensors; i++)
		free((void *)p->tensor[i].data);
}

void published_write(const struct published *p, const char *path)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(safetensors_write(file, p->tensor, p->tensors, NULL, 0), 0);
	fclose(file);
}

static struct veto_head *open_and_remove(const char *path)
{
	struct veto_head *head;
	char why[VETO_WHY_MAX];

	if (veto_head_open(path, &head, why))
		fail_msg("%s", why);
	unlink(path);
	return head;
}

struct veto_head *published_head(const struct published *p, enum veto_weight_format format)
{
	const struct head_shape *shape = p->shape;
	const struct head_texts texts = {shape->name, shape->output, shape->aggregation, shape->tap, "any", "", NULL};
	const bool has_bias = p->tensors > shape->layers;
	struct head_source source[VETO_HEAD_LAYERS_MAX];
	char path[] = "/tmp/veto_head.XXXXXX", why[VETO_WHY_MAX];

	for (uint32_t l = 0; l < shape->layers; l++)
		source[l] =
			(struct head_source){&p->tensor[has_bias ? 2 * l : l], has_bias ? &p->tensor[2 * l + 1] : NULL};
	close(mkstemp(path));
	if (head_make_dense(path, &texts, source, shape->layers, format, why))
		fail_msg("%s", why);
	return open_and_remove(path);
}

struct veto_head *head_new(const struct head_shape *shape, enum veto_weight_format format, uint32_t cols, uint64_t seed)
{
	struct published p;
	struct veto_head *head;

	published_new(&p, shape, "F32", cols, seed);
	head = published_head(&p, format);
	published_free(&p);
	return head;
}

struct veto_head *table_new(uint32_t vocab, uint32_t cols, bool has_lo, uint64_t seed)
{
	static const struct head_texts texts = {"sch", "self-certainty", "mean", "final_norm", "any", "", NULL};
	const size_t count = (size_t)vocab * cols;
	int16_t *hi = malloc(count * sizeof(*hi)), *f = malloc(vocab * sizeof(*f));
	uint8_t *lo = malloc(count);
	int32_t *c = malloc(vocab * sizeof(*c));
	char path[] = "/tmp/veto_table.XXXXXX", why[VETO_WHY_MAX];
	struct dice dice = {seed};

	for (size_t i = 0; i < count; i++) {
		hi[i] = (int16_t)((int32_t)dice_below(&dice, 65535) - 32767);
		lo[i] = (uint8_t)dice_next(&dice);
	}
	for (uint32_t i = 0; i < vocab; i++) {
		f[i] = (int16_t)((int32_t)dice_below(&dice, 12) - 10);
		c[i] = (int32_t)dice_next(&dice) >> 10;
	}
	close(mkstemp(path));
	if (head_make_table(path, &texts, vocab, cols, hi, has_lo ? lo : NULL, f, c, why))
		fail_msg("%s", why);
	free(c);
	free(lo);
	free(f);
	free(hi);
	return open_and_remove(path);
}
