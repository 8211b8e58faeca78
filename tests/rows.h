/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of logits of every kind that the arithmetic tells apart. */
#ifndef VETO_TESTS_ROWS_H
#define VETO_TESTS_ROWS_H

#include "veto.h"

enum row_kind {
	ROW_MODEL, /* as of a language model: normal, with one likely token; all of it plain */
	ROW_WIDE, /* uniform within +-512 */
	ROW_WIDER, /* uniform within +-1024 */
	ROW_NEEDLE, /* as of a model, but one entry is NaN, infinite or beyond a limit */
	ROW_BITS, /* any bits */
	ROW_MASKED_HALF, /* half of it minus infinity or -1e4 */
	ROW_NAN_HALF,
	ROW_SATURATED, /* much of it above 1024, and infinite */
	ROW_LIMITS, /* next to +-1024, and to where sums of 32 bits would overflow */
	ROW_ZEROS, /* of both signs */
	ROW_SUBNORMAL,
	ROW_EQUAL,
	ROW_TIES, /* four values only */
	ROW_RISING,
	ROW_FALLING,
	ROW_TERRACES, /* chunks that lie further and further apart */
	ROW_ONE_LEFT, /* all but one masked */
	ROW_EMPTY, /* all masked */
	ROW_KINDS
};

extern const char *const row_kinds[ROW_KINDS];

/* Random numbers that are the same everywhere. */
struct dice {
	uint64_t state;
};
uint64_t dice_next(struct dice *dice);
uint32_t dice_below(struct dice *dice, uint32_t n);
float dice_unit(struct dice *dice); /* 0 to 1 */
float dice_normal(struct dice *dice); /* standard normal, nearly: the sum of four uniform numbers */

/* Fill a row of cols entries; the same seed gives the same row. */
void row_make(enum row_kind kind, enum veto_format format, uint32_t cols, uint64_t seed, void *row);

enum state_kind {
	STATE_NORMAL,
	STATE_WITH_OUTLIERS,
	STATE_SUBNORMAL,
	STATE_LARGEST, /* next to infinity */
	STATE_ZEROS, /* of both signs */
	STATE_BITS, /* any */
	STATE_BAD, /* one value is NaN or infinite */
	STATE_KINDS
};

/* A state in memory that ends with it, to be freed; other kinds than the last two have no NaN and no infinity. */
void *state_new(enum state_kind kind, enum veto_format format, uint32_t cols, struct dice *dice);

#endif
