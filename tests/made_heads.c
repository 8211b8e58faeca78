/* SPDX-License-Identifier: Apache-2.0 */
/* Dense heads of integers that no training gives. */
#include "made_heads.h"
#include "check.h"

#include <stdlib.h>

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
