/* SPDX-License-Identifier: Apache-2.0 */
/* Dense heads of integers that no training gives. */
#include "made_heads.h"
#include "check.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* At the ends of their ranges too. */
static int any_weight(int most, bool is_tied, struct dice *dice)
{
	const int wild = (int)dice_below(dice, 2 * (uint32_t)most + 1) - most;

	if (is_tied)
		return (int)dice_below(dice, 7) - 3;
	return dice_below(dice, 100) ? wild : wild > 0 ? most : -most;
}

/* One that leaves most outputs between 1 and the limit, or any. */
static struct veto_weight_scale any_scale(bool is_tied, struct dice *dice)
{
	const uint32_t sh = is_tied		  ? 26 + dice_below(dice, 16)
			    : dice_below(dice, 2) ? 20 + dice_below(dice, 40)
						  : dice_below(dice, 192) - 64;

	return (struct veto_weight_scale){(uint16_t)(is_tied ? 0x8000 : 0x8000 + dice_below(dice, 0x8000)), (int16_t)sh,
		(int32_t)dice_next(dice) >> dice_below(dice, 32)};
}

void made_add(struct made *m, uint32_t rows, enum veto_weight_format format, struct dice *dice)
{
	struct hx1_layer *layer = &m->head.layer[m->head.info.layers];
	const uint32_t cols = m->head.info.layers ? layer[-1].rows : m->head.info.cols;
	const size_t weights = (size_t)rows * cols;
	int16_t *weight = malloc(weights * sizeof(*weight));
	struct veto_weight_scale *scale = malloc(rows * sizeof(*scale));

	assert_true(weight && scale);
	for (size_t i = 0; i < weights; i++) {
		const int w = any_weight(format == VETO_INT8 ? 127 : 32767, m->is_tied, dice);

		if (format == VETO_INT8)
			((int8_t *)weight)[i] = (int8_t)w;
		else
			weight[i] = (int16_t)w;
	}
	for (uint32_t o = 0; o < rows; o++)
		scale[o] = any_scale(m->is_tied, dice);
	*layer = (struct hx1_layer){.rows = rows, .cols = cols, .format = format, .weight = weight, .scale = scale};
	m->head.info.layers++;
	m->head.info.outputs = rows;
}

struct made *made_new(uint32_t rows, uint32_t cols, enum veto_weight_format format, bool is_tied, struct dice *dice)
{
	struct made *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->is_tied = is_tied;
	m->head.info = (struct veto_head_info){.kind = VETO_HEAD_DENSE, .cols = cols};
	made_add(m, rows, format, dice);
	return m;
}

void made_free(struct made *m)
{
	for (uint32_t i = 0; i < m->head.info.layers; i++) {
		free((void *)m->head.layer[i].weight);
		free((void *)m->head.layer[i].scale);
	}
	free(m);
}

static void *filled(size_t count, size_t bytes, int32_t value)
{
	char *out = malloc(count * bytes);

	assert_non_null(out);
	for (size_t i = 0; i < count; i++)
		memcpy(out + i * bytes, &value, bytes);
	return out;
}

struct veto_head *made_largest(enum veto_weight_format format, int sign, bool is_distance)
{
	static const struct veto_weight_scale scale[] = {{0xffff, 44, INT_MAX}, {0xffff, 26, INT_MIN}};
	const size_t bytes = format == VETO_INT8 ? 1 : 2;
	struct veto_head *head = calloc(1, sizeof(*head));
	struct veto_weight_scale *scales = malloc(sizeof(scale));

	assert_true(head && scales);
	memcpy(scales, scale, sizeof(scale));
	head->info =
		(struct veto_head_info){.kind = VETO_HEAD_DENSE, .cols = VETO_STATE_MAX, .layers = 1, .outputs = 2};
	head->output = is_distance ? HEAD_DISTANCE : HEAD_RAW;
	head->layer[0] = (struct hx1_layer){.rows = 2,
		.cols = VETO_STATE_MAX,
		.format = format,
		.weight = filled(2 * VETO_STATE_MAX, bytes, sign * (format == VETO_INT8 ? 127 : 32767)),
		.scale = scales};
	return head;
}

struct veto_head *made_largest_table(int sign)
{
	struct veto_head *head = calloc(1, sizeof(*head));

	assert_non_null(head);
	head->info = (struct veto_head_info){.kind = VETO_HEAD_SCH, .cols = VETO_STATE_MAX, .vocab = 1};
	head->hi = filled(VETO_STATE_MAX, sizeof(*head->hi), sign > 0 ? 32767 : -32768);
	head->lo = filled(VETO_STATE_MAX, sizeof(*head->lo), sign > 0 ? 255 : 1);
	head->f = filled(1, sizeof(*head->f), -11);
	head->c = filled(1, sizeof(*head->c), sign * (1 << 20));
	return head;
}

void made_head_free(struct veto_head *head)
{
	free((void *)head->layer[0].weight);
	free((void *)head->layer[0].scale);
	free((void *)head->hi);
	free((void *)head->lo);
	free((void *)head->f);
	free((void *)head->c);
	free(head);
}
