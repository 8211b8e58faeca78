/* SPDX-License-Identifier: Apache-2.0 */
/* FX1 rows in plain C, in loops that compilers turn into vectors; compile with -O3 -ffp-contract=off. */
#include "cpu.h"

#include <assert.h>
#include <float.h>
#include <string.h>

static_assert(FLT_EVAL_METHOD == 0, "step 2 needs a product rounded to fp32");

#define INFINITE 0x7f800000
#define LIMIT 0x44800000 /* the bits of VETO_LOGIT_LIMIT */
#define NOTHING 0xc0000000 /* stands for the y of an entry left out: step 4 makes it 0 under every n */

static const uint16_t table_a[64] = VETO_FX1_A;
static const uint16_t table_b[64] = VETO_FX1_B;

/* All bits if the condition holds: compilers vectorise masks where they leave conditions alone. */
static inline uint32_t mask(bool condition) { return -(uint32_t)condition; }

/* A subnormal is so many 2^-24, exactly. */
static inline uint32_t widen_fp16(uint32_t half)
{
	uint32_t rest = (half & 0x7fff) << 13;
	uint32_t normal = rest + (112u << 23) + (mask(rest >= 0x0f800000) & 112u << 23);
	float small = (float)(int32_t)(half & 1023) * 0x1p-24f;
	uint32_t small_bits;

	memcpy(&small_bits, &small, sizeof(small_bits));
	return (half & 0x8000) << 16 | ((mask(rest < 0x00800000) & (small_bits ^ normal)) ^ normal);
}

static void widen(const char *at, enum veto_format format, uint32_t logits, uint32_t *bits)
{
	uint16_t half[VETO_CHUNK_LOGITS];

	if (format == VETO_FP32) {
		memcpy(bits, at, logits * sizeof(*bits));
		return;
	}
	memcpy(half, at, logits * sizeof(*half));
	if (format == VETO_BF16)
		for (uint32_t i = 0; i < logits; i++)
			bits[i] = (uint32_t)half[i] << 16;
	else
		for (uint32_t i = 0; i < logits; i++)
			bits[i] = widen_fp16(half[i]);
}

/* Step 2: a double of 2^52 and more has no room for a fraction, so that the sum is rounded to an integer, to nearest and
 * even, in its lower bits; no call, and exact for any product below 2^31. */
static inline int32_t to_y(uint32_t bits)
{
	float x, product;
	double sum;
	uint64_t integer;

	memcpy(&x, &bits, sizeof(x));
	product = x * VETO_LOG2E_Q16;
	sum = (double)product + 0x1.8p52;
	memcpy(&integer, &sum, sizeof(integer));
	return (int32_t)(uint32_t)integer;
}

/* Steps 1 to 3. */
static void measure(const uint32_t *bits, uint32_t logits, int32_t *y, struct veto_chunk *c)
{
	uint32_t cnt = 0, n_nan = 0, n_sat = 0;
	int32_t high = INT32_MIN;
	int64_t sum = 0;

	for (uint32_t i = 0; i < logits; i++) {
		uint32_t size = bits[i] & 0x7fffffff, sign = mask((int32_t)bits[i] < 0);
		uint32_t is_nan = mask((int32_t)size > INFINITE), is_big = mask((int32_t)size > LIMIT);
		uint32_t is_left = ~(is_nan | (is_big & sign));
		int32_t v = to_y((((size ^ LIMIT) & ~is_big) ^ LIMIT) | (bits[i] & 0x80000000));

		cnt -= is_left;
		n_nan -= is_nan;
		n_sat -= is_big & ~is_nan & ~sign;
		sum += (int32_t)((uint32_t)v & is_left);
		y[i] = (int32_t)((((uint32_t)v ^ NOTHING) & is_left) ^ NOTHING);
		high = y[i] > high ? y[i] : high;
	}
	*c = (struct veto_chunk){
		.n = VETO_N_EMPTY, .ymax = INT32_MIN, .cnt = cnt, .n_nan = n_nan, .n_sat = n_sat, .sumy = sum};
	if (cnt > 0) {
		c->ymax = high;
		c->n = high >> 16;
	}
}

/* Step 4.  z is D - 1, so its upper half is d; e has 32 bits, so that shifts from 32 to 63 give 0. */
static void accumulate(const int32_t *y, uint32_t logits, struct veto_chunk *c)
{
	const uint32_t top = (uint32_t)(c->n + 1) * 65536 - 1;
	uint64_t s = 0, t = 0;

	for (uint32_t i = 0; i < logits; i++) {
		uint32_t f = (uint32_t)y[i] & 0xffff, g = f >> 10;
		uint32_t m = 65536 + table_a[g] + ((table_b[g] * (2 * (f & 1023)) + 0x4000) >> 15);
		uint32_t z = top - (uint32_t)y[i], d = z >> 16;
		uint64_t e = ((uint64_t)m << 15) >> (d < 63 ? d : 63);

		s += e;
		t += e * z;
	}
	c->s = s;
	c->t = t + s;
}

/* The best entries so far, best first. */
struct list {
	struct fx1_top *top;
	uint32_t k;
	int32_t y; /* of the last: a chunk whose ymax is lower has nothing for the list */
};

/* Entries come by rising ids, so one that equals a key goes behind it. */
static void take(struct list *l, uint32_t key, uint32_t id)
{
	uint32_t at = l->k - 1;

	if (key <= l->top[at].key)
		return;
	for (; at > 0 && key > l->top[at - 1].key; at--)
		l->top[at] = l->top[at - 1];
	l->top[at] = (struct fx1_top){.key = key, .id = id};
	if (l->top[l->k - 1].id != VETO_NO_TOKEN) {
		uint32_t worst = l->top[l->k - 1].key ^ (l->top[l->k - 1].key >> 31 ? 0x80000000 : 0xffffffff);

		l->y = to_y((int32_t)worst > LIMIT ? LIMIT : worst);
	}
}

static void search(struct list *l, const uint32_t *bits, const int32_t *y, uint32_t logits, uint32_t first)
{
	for (uint32_t i = 0; i < logits; i++)
		if (y[i] >= l->y && y[i] != (int32_t)NOTHING)
			take(l, bits[i] ^ (bits[i] >> 31 ? 0xffffffff : 0x80000000), first + i);
}

static void score_row(const void *row, enum veto_format format, uint32_t cols, uint32_t k, struct veto_record *out,
	struct fx1_top *top)
{
	const size_t bytes = format == VETO_FP32 ? 4 : 2;
	struct veto_chunk chunk[VETO_VOCAB_MAX / VETO_CHUNK_LOGITS];
	uint32_t bits[VETO_CHUNK_LOGITS];
	int32_t y[VETO_CHUNK_LOGITS];
	struct list list = {.top = top, .k = k, .y = INT32_MIN};
	uint32_t chunks = 0;

	for (uint32_t i = 0; i < k; i++)
		top[i] = (struct fx1_top){.key = 0, .id = VETO_NO_TOKEN};
	for (uint32_t first = 0; first < cols; first += VETO_CHUNK_LOGITS) {
		uint32_t logits = cols - first < VETO_CHUNK_LOGITS ? cols - first : VETO_CHUNK_LOGITS;
		struct veto_chunk *c = &chunk[chunks++];

		widen((const char *)row + first * bytes, format, logits, bits);
		measure(bits, logits, y, c);
		if (c->cnt == 0)
			continue;
		accumulate(y, logits, c);
		if (c->ymax >= list.y)
			search(&list, bits, y, logits, first);
	}
	fx1_merge(chunk, chunks, out);
}

static bool is_supported(void) { return true; }

const struct cpu_isa cpu_portable = {"portable", is_supported, score_row};
