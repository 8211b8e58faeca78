/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of logits of every kind that the arithmetic tells apart. */
#include "rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const row_kinds[ROW_KINDS] = {
	[ROW_MODEL] = "model",
	[ROW_WIDE] = "wide",
	[ROW_WIDER] = "wider",
	[ROW_NEEDLE] = "needle",
	[ROW_BITS] = "bits",
	[ROW_MASKED_HALF] = "half masked",
	[ROW_NAN_HALF] = "half NaN",
	[ROW_SATURATED] = "saturated",
	[ROW_LIMITS] = "limits",
	[ROW_ZEROS] = "zeros",
	[ROW_SUBNORMAL] = "subnormal",
	[ROW_EQUAL] = "all equal",
	[ROW_TIES] = "ties",
	[ROW_RISING] = "rising",
	[ROW_FALLING] = "falling",
	[ROW_TERRACES] = "terraces",
	[ROW_ONE_LEFT] = "one left",
	[ROW_EMPTY] = "empty",
};

/* splitmix64 */
uint64_t dice_next(struct dice *dice)
{
	uint64_t z = dice->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint32_t dice_below(struct dice *dice, uint32_t n) { return (uint32_t)((dice_next(dice) >> 32) * n >> 32); }

float dice_unit(struct dice *dice) { return (float)(dice_next(dice) >> 40) * 0x1p-24f; }

float dice_normal(struct dice *dice)
{
	uint64_t r = dice_next(dice);
	float sum = (float)(r & 0xffff) + (float)(r >> 16 & 0xffff) + (float)(r >> 32 & 0xffff) + (float)(r >> 48);

	return (sum * 0x1p-16f - 2) * 1.7320508f;
}

/* What a row is made from. */
struct maker {
	struct dice dice;
	uint32_t cols, chosen; /* one entry among them */
	float value; /* one value */
};

static float model(struct maker *m, uint32_t i) { return 2.5f * dice_normal(&m->dice) + (i == m->chosen ? 12 : 0); }

static float wide(struct maker *m, uint32_t i)
{
	(void)i;
	return 1024 * dice_unit(&m->dice) - 512;
}

static float wider(struct maker *m, uint32_t i) { return 2 * wide(m, i); }

static float pick(struct maker *m, const float *list, size_t bytes)
{
	return list[dice_below(&m->dice, (uint32_t)(bytes / sizeof(*list)))];
}

static float needle(struct maker *m, uint32_t i)
{
	static const float strange[] = {
		NAN, -NAN, INFINITY, -INFINITY, 1024, -1024, 1025, -1032, 3e4f, -1e4f, 800, -800, -0.0f};

	return i == m->chosen ? pick(m, strange, sizeof(strange)) : 2.5f * dice_normal(&m->dice);
}

static float masked_half(struct maker *m, uint32_t i)
{
	static const float masks[] = {-INFINITY, -1e4f};

	return dice_below(&m->dice, 2) ? pick(m, masks, sizeof(masks)) : model(m, i);
}

static float nan_half(struct maker *m, uint32_t i)
{
	return dice_below(&m->dice, 2) ? model(m, i) : dice_below(&m->dice, 2) ? NAN : -NAN;
}

static float saturated(struct maker *m, uint32_t i)
{
	(void)i;
	return dice_below(&m->dice, 50) ? 900 + 400 * dice_unit(&m->dice) : INFINITY;
}

/* y is +-2^26 at +-709.78. */
static float limits(struct maker *m, uint32_t i)
{
	static const float edges[] = {1024, -1024, 709.7827f, -709.7827f};
	float x = pick(m, edges, sizeof(edges));
	uint32_t steps = dice_below(&m->dice, 5);

	(void)i;
	while (steps-- > 0)
		x = nextafterf(x, dice_below(&m->dice, 2) ? INFINITY : -INFINITY);
	return x;
}

static float zeros(struct maker *m, uint32_t i)
{
	(void)i;
	return dice_below(&m->dice, 2) ? 0.0f : -0.0f;
}

static float equal(struct maker *m, uint32_t i)
{
	(void)i;
	return m->value;
}

static float ties(struct maker *m, uint32_t i)
{
	(void)i;
	return m->value + 0.5f * (float)dice_below(&m->dice, 4);
}

static float rising(struct maker *m, uint32_t i) { return 20.0f * (float)i / (float)m->cols - 10; }

static float falling(struct maker *m, uint32_t i) { return -rising(m, i); }

/* Chunks from 0 to 48 powers of two below the highest, and entries as far below their chunk's. */
static float terraces(struct maker *m, uint32_t i)
{
	float chunk = (float)((i / VETO_CHUNK_LOGITS * 7 + m->chosen) % 49);

	return 0.6931472f * (100 - chunk - (float)dice_below(&m->dice, 40));
}

static float one_left(struct maker *m, uint32_t i) { return i == m->chosen ? m->value : -INFINITY; }

static float empty(struct maker *m, uint32_t i)
{
	static const float masks[] = {-INFINITY, -1e4f, NAN, -1025};

	(void)i;
	return pick(m, masks, sizeof(masks));
}

static float (*const makers[ROW_KINDS])(struct maker *m, uint32_t i) = {
	[ROW_MODEL] = model,
	[ROW_WIDE] = wide,
	[ROW_WIDER] = wider,
	[ROW_NEEDLE] = needle,
	[ROW_MASKED_HALF] = masked_half,
	[ROW_NAN_HALF] = nan_half,
	[ROW_SATURATED] = saturated,
	[ROW_LIMITS] = limits,
	[ROW_ZEROS] = zeros,
	[ROW_EQUAL] = equal,
	[ROW_TIES] = ties,
	[ROW_RISING] = rising,
	[ROW_FALLING] = falling,
	[ROW_TERRACES] = terraces,
	[ROW_ONE_LEFT] = one_left,
	[ROW_EMPTY] = empty,
};

/* Toward zero; large values become infinite. */
static uint16_t to_fp16(float x)
{
	float size = fabsf(x);
	uint16_t sign = signbit(x) ? 0x8000 : 0;
	uint32_t bits;

	memcpy(&bits, &size, sizeof(bits));
	if (isnan(x))
		return sign | 0x7e00;
	if (size >= 65536)
		return sign | 0x7c00;
	if (size < 0x1p-14f)
		return (uint16_t)(sign | (uint16_t)(size * 0x1p24f));
	return (uint16_t)(sign | ((bits >> 13) - (112u << 10)));
}

static uint16_t to_bf16(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return (uint16_t)(bits >> 16);
}

static void store(void *row, enum veto_format format, uint32_t i, float x)
{
	uint16_t half = format == VETO_FP16 ? to_fp16(x) : to_bf16(x);

	if (format == VETO_FP32)
		memcpy((char *)row + 4 * (size_t)i, &x, 4);
	else
		memcpy((char *)row + 2 * (size_t)i, &half, 2);
}

/* Random bits of which those in `mask` stay. */
static void store_bits(struct maker *m, void *row, enum veto_format format, uint32_t i, uint32_t mask)
{
	size_t bytes = veto_format_bytes(format);
	uint32_t bits = (uint32_t)dice_next(&m->dice) & mask;

	memcpy((char *)row + bytes * i, &bits, bytes);
}

void row_make(enum row_kind kind, enum veto_format format, uint32_t cols, uint64_t seed, void *row)
{
	static const uint32_t subnormal[VETO_FORMATS] = {0x807fffff, 0x83ff, 0x807f};
	struct maker m = {.dice = {seed}, .cols = cols};

	m.chosen = dice_below(&m.dice, cols);
	m.value = 2000 * dice_unit(&m.dice) - 1000;
	for (uint32_t i = 0; i < cols; i++) {
		if (kind == ROW_BITS)
			store_bits(&m, row, format, i, UINT32_MAX);
		else if (kind == ROW_SUBNORMAL)
			store_bits(&m, row, format, i, subnormal[format]);
		else
			store(row, format, i, makers[kind](&m, i));
	}
}

/* --- Hidden states --- */

static uint32_t state_value(enum state_kind kind, enum veto_format format, struct dice *dice)
{
	static const uint32_t exponent[VETO_FORMATS] = {0x7f800000, 0x7c00, 0x7f80};
	static const int shift[VETO_FORMATS] = {0, 16, 16};
	const uint32_t random = (uint32_t)(dice_next(dice) >> shift[format]) & (shift[format] ? 0xffff : UINT32_MAX);
	const uint32_t sign = exponent[format] + (exponent[format] & -exponent[format]); /* the bit above */
	const uint32_t lowest = exponent[format] & -exponent[format];
	float x = 2.5f * dice_normal(dice);
	uint32_t bits;

	switch (kind) {
	case STATE_SUBNORMAL:
		return random & ~exponent[format];
	case STATE_LARGEST:
		return (random | exponent[format]) ^ lowest;
	case STATE_ZEROS:
		return random & sign;
	case STATE_BITS:
		return random;
	default:
		x *= kind == STATE_WITH_OUTLIERS && dice_below(dice, 200) == 0 ? 40 : 1;
		memcpy(&bits, &x, sizeof(bits));
		return format == VETO_FP32 ? bits : format == VETO_FP16 ? to_fp16(x) : to_bf16(x);
	}
}

void *state_new(enum state_kind kind, enum veto_format format, uint32_t cols, struct dice *dice)
{
	static const uint32_t bad[VETO_FORMATS] = {0xff800000, 0x7c01, 0x7f80};
	const size_t bytes = veto_format_bytes(format);
	char *state = malloc(cols * bytes);

	if (!state)
		abort();
	for (uint32_t i = 0; i < cols; i++) {
		const uint32_t value = state_value(kind, format, dice);

		memcpy(state + i * bytes, &value, bytes);
	}
	if (kind == STATE_BAD)
		memcpy(state + dice_below(dice, cols) * bytes, &bad[format], bytes);
	return state;
}
