/* SPDX-License-Identifier: Apache-2.0 */
/* FX1, the reference: one entry after the other, as hls/arithmetic.md says it. */
#include "fx1.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rows and records are little-endian");
static_assert(sizeof(struct veto_record) == 64 && sizeof(struct veto_chunk) == 64, "records are one beat");

static const uint16_t table_a[64] = VETO_FX1_A;
static const uint16_t table_b[64] = VETO_FX1_B;

static uint32_t bits_of(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

static float float_of(uint32_t bits)
{
	float x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

static float widen_fp16(uint16_t half)
{
	uint32_t sign = (uint32_t)(half & 0x8000) << 16;
	uint32_t exponent = half >> 10 & 31;
	uint32_t fraction = half & 1023;

	if (exponent == 31)
		return float_of(sign | 0x7f800000 | fraction << 13);
	if (exponent == 0)
		return float_of(bits_of((float)fraction * 0x1p-24f) | sign);
	return float_of(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t fx1_narrow_fp16(float x)
{
	uint32_t bits, magnitude, rounded;
	int drop = 13; /* bits of the significand that fp16 lacks */

	memcpy(&bits, &x, sizeof(bits));
	magnitude = bits & 0x7fffffff;
	bits = bits >> 16 & 0x8000;
	if (magnitude >= 0x477ff000) /* 65520 and more */
		return (uint16_t)(bits | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00));
	if (magnitude < 0x38800000) { /* below 2^-14: a subnormal fp16 */
		drop = 126 - (int)(magnitude >> 23);
		if (drop > 24)
			return (uint16_t)bits;
		magnitude = (magnitude & 0x7fffff) | 0x800000;
	} else {
		magnitude -= 112u << 23;
	}
	rounded = magnitude + ((1u << (drop - 1)) - 1) + (magnitude >> drop & 1);
	return (uint16_t)(bits | rounded >> drop);
}

float fx1_widen(const void *row, enum veto_format format, size_t index)
{
	const char *at = (const char *)row + index * veto_format_bytes(format);
	uint32_t bits = 0;

	memcpy(&bits, at, veto_format_bytes(format));
	if (format == VETO_FP16)
		return widen_fp16((uint16_t)bits);
	return float_of(format == VETO_BF16 ? bits << 16 : bits);
}

enum fx1_kind fx1_classify(float x)
{
	if (isnan(x))
		return FX1_NAN;
	if (x < -VETO_LOGIT_LIMIT)
		return FX1_MASKED;
	return x > VETO_LOGIT_LIMIT ? FX1_SATURATED : FX1_PLAIN;
}

/* v times 2^-s, to nearest, ties to even; v < 2^56. */
static uint64_t shift_round(uint64_t v, int s)
{
	uint64_t half, rest;

	if (s <= 0)
		return v << -s;
	if (s > 60)
		return 0;
	half = 1ULL << (s - 1);
	rest = v & ((1ULL << s) - 1);
	v >>= s;
	return v + (rest > half || (rest == half && (v & 1)));
}

/* Products that would be subnormal in fp32 need no care: they are below 2^-126, and y is 0. */
int32_t fx1_y(float x)
{
	uint32_t bits = bits_of(x);
	int field = (int)(bits >> 23 & 255);
	int exponent = (field ? field : 1) - 150; /* of the significand's last bit */
	uint64_t significand = (bits & 0x7fffff) | (field ? 0x800000u : 0);
	uint64_t product = significand * VETO_LOG2E_SIGNIFICAND;
	int extra = product ? 64 - __builtin_clzll(product) - 24 : 0;
	uint64_t y;

	if (extra > 0)
		product = shift_round(product, extra) << extra;
	y = shift_round(product, -(exponent - 7));
	return bits >> 31 ? -(int32_t)y : (int32_t)y;
}

bool fx1_entry_y(const void *row, enum veto_format format, size_t index, int32_t *y)
{
	float x = fx1_widen(row, format, index);
	enum fx1_kind kind = fx1_classify(x);

	if (kind == FX1_MASKED || kind == FX1_NAN)
		return false;
	*y = fx1_y(kind == FX1_SATURATED ? VETO_LOGIT_LIMIT : x);
	return true;
}

uint32_t fx1_mantissa(uint32_t f)
{
	uint32_t g = f >> 10;
	uint32_t r = f & 1023;

	return 65536 + table_a[g] + ((table_b[g] * (2 * r) + 0x4000) >> 15);
}

uint64_t fx1_element(int32_t y, int32_t n)
{
	int32_t d = n - (y >> 16);

	if (d > VETO_SHIFT_MAX)
		return 0;
	return ((uint64_t)fx1_mantissa((uint32_t)y & 0xffff) << 15) >> d;
}

void fx1_chunk(const void *row, enum veto_format format, uint32_t first, uint32_t logits, struct veto_chunk *out)
{
	struct veto_chunk c = {.n = VETO_N_EMPTY, .ymax = INT32_MIN, .index = first / VETO_CHUNK_LOGITS};
	int32_t y;

	for (uint32_t i = first; i < first + logits; i++) {
		enum fx1_kind kind = fx1_classify(fx1_widen(row, format, i));

		c.n_nan += kind == FX1_NAN;
		c.n_sat += kind == FX1_SATURATED;
		if (!fx1_entry_y(row, format, i, &y))
			continue;
		c.cnt++;
		c.sumy += y;
		if (y > c.ymax)
			c.ymax = y;
	}
	if (c.cnt > 0)
		c.n = c.ymax >> 16;
	for (uint32_t i = first; c.cnt > 0 && i < first + logits; i++) {
		uint64_t e;

		if (!fx1_entry_y(row, format, i, &y))
			continue;
		e = fx1_element(y, c.n);
		c.s += e;
		c.t += e * (uint64_t)(((int64_t)c.n + 1) * 65536 - y);
	}
	*out = c;
}

void fx1_merge(const struct veto_chunk *chunk, uint32_t chunks, struct veto_record *out)
{
	struct veto_record r = {.n = VETO_N_EMPTY, .ymax = INT32_MIN};

	for (uint32_t i = 0; i < chunks; i++) {
		r.cnt += chunk[i].cnt;
		r.n_nan += chunk[i].n_nan;
		r.n_sat += chunk[i].n_sat;
		r.sumy += chunk[i].sumy;
		if (chunk[i].cnt > 0 && chunk[i].ymax > r.ymax) {
			r.ymax = chunk[i].ymax;
			r.n = chunk[i].n;
		}
	}
	for (uint32_t i = 0; i < chunks; i++) {
		int32_t d = r.n - chunk[i].n;

		if (chunk[i].cnt == 0 || d > VETO_ROW_SHIFT_MAX)
			continue;
		r.s += (chunk[i].s << 13) >> d;
		r.t += (chunk[i].t + ((uint64_t)d << 16) * chunk[i].s) >> (d + 3);
	}
	*out = r;
}

void fx1_row(const void *row, enum veto_format format, uint32_t cols, uint32_t k, struct veto_record *out,
	struct fx1_top *top)
{
	static_assert(VETO_VOCAB_MAX % VETO_CHUNK_LOGITS == 0, "a row is so many chunks at most");
	struct veto_chunk chunk[VETO_VOCAB_MAX / VETO_CHUNK_LOGITS];
	uint32_t chunks = 0;

	for (uint32_t i = 0; i < cols; i += VETO_CHUNK_LOGITS)
		fx1_chunk(
			row, format, i, cols - i < VETO_CHUNK_LOGITS ? cols - i : VETO_CHUNK_LOGITS, &chunk[chunks++]);
	fx1_merge(chunk, chunks, out);

	for (uint32_t i = 0; i < k; i++)
		top[i] = (struct fx1_top){.key = 0, .id = VETO_NO_TOKEN};
	for (uint32_t i = 0; k > 0 && i < cols; i++) {
		float x = fx1_widen(row, format, i);
		enum fx1_kind kind = fx1_classify(x);

		if (kind == FX1_PLAIN || kind == FX1_SATURATED)
			fx1_top_insert(top, k, fx1_key(x), i);
	}
}

uint32_t fx1_key(float x)
{
	uint32_t bits = bits_of(x);

	return bits ^ (bits >> 31 ? 0xffffffffu : 0x80000000u);
}

float fx1_key_value(uint32_t key) { return float_of(key ^ (key >> 31 ? 0x80000000u : 0xffffffffu)); }

void fx1_top_insert(struct fx1_top *top, uint32_t k, uint32_t key, uint32_t id)
{
	uint32_t at = k;

	while (at > 0 && (key > top[at - 1].key || (key == top[at - 1].key && id < top[at - 1].id)))
		at--;
	if (at == k)
		return;
	memmove(&top[at + 1], &top[at], (k - at - 1) * sizeof(*top));
	top[at] = (struct fx1_top){.key = key, .id = id};
}

int64_t fx1_log2(uint64_t v)
{
	int leading = __builtin_clzll(v);
	uint64_t x = (v << leading) >> 32;
	int64_t r = 63 - leading;

	for (int i = 0; i < 26; i++) {
		x = (x * x) >> 31;
		r *= 2;
		if (x >> 32) {
			r |= 1;
			x >>= 1;
		}
	}
	return r;
}

int64_t fx1_nats(int64_t v) { return (v * VETO_LN2_Q25 + (1 << 30)) >> 31; }

int64_t fx1_lse(const struct veto_record *record)
{
	return fx1_log2(record->s) + ((int64_t)record->n - 44) * (1 << 26);
}

static void set(struct veto_score *score, enum veto_field field, int64_t value)
{
	score->has |= 1u << field;
	score->field[field] = (struct veto_interval){value, value};
}

/* T / S in Q26. */
static int64_t mean_distance(const struct veto_record *r)
{
	int sh = __builtin_clzll(r->t | 1);
	uint64_t den;

	if (sh > 26)
		sh = 26;
	den = r->s >> (26 - sh);
	return den ? (int64_t)((r->t << sh) / den) : 0;
}

/* Whatever key a device sends. */
static int32_t top_y(struct fx1_top entry)
{
	float x = fx1_key_value(entry.key);

	return fx1_y(fminf(fmaxf(x, -VETO_LOGIT_LIMIT), VETO_LOGIT_LIMIT));
}

static void finish_top(const struct fx1_top *top, uint32_t k, int64_t lse, struct veto_score *score)
{
	int64_t sum = 0;
	uint32_t left = 0;

	set(score, VETO_MARGIN,
		top[1].id == VETO_NO_TOKEN ? 0 : fx1_nats((int64_t)(top_y(top[0]) - top_y(top[1])) * 1024));
	for (; left < k && top[left].id != VETO_NO_TOKEN; left++)
		sum += (int64_t)top_y(top[left]) * 1024;
	if (left > 0)
		set(score, VETO_TOPK_CONFIDENCE, fx1_nats(lse - sum / left));
}

static void finish_subset(const struct veto_rows *rows, const void *row, const struct veto_record *record,
	struct veto_score *score, uint32_t *q31)
{
	int32_t y[VETO_SUBSET_MAX];
	bool is_left[VETO_SUBSET_MAX];
	uint64_t e[VETO_SUBSET_MAX];
	int32_t ymax = INT32_MIN;
	uint64_t sum = 0;
	int32_t n;

	for (uint32_t j = 0; j < rows->subset_tokens; j++) {
		is_left[j] = fx1_entry_y(row, rows->format, rows->subset[j], &y[j]);
		if (is_left[j] && y[j] > ymax)
			ymax = y[j];
	}
	if (ymax == INT32_MIN)
		return;
	n = ymax >> 16;
	for (uint32_t j = 0; j < rows->subset_tokens; j++) {
		e[j] = is_left[j] ? fx1_element(y[j], n) : 0;
		sum += e[j];
	}
	for (uint32_t j = 0; q31 && j < rows->subset_tokens; j++)
		q31[j] = (uint32_t)((e[j] << 31) / sum);
	set(score, VETO_SUBSET_FIRST, (int64_t)((e[0] << 31) / sum));

	sum = record->n - n > VETO_ROW_SHIFT_MAX ? 0 : (sum << 13) >> (record->n - n);
	sum = (uint64_t)(((unsigned __int128)sum << 31) / record->s);
	set(score, VETO_SUBSET_MASS, sum > 1ULL << 31 ? 1LL << 31 : (int64_t)sum);
}

void fx1_finish(const struct veto_rows *rows, uint32_t i, const struct veto_record *record, const struct fx1_top *top,
	struct veto_score *score, uint32_t *subset_q31)
{
	const char *row;
	int64_t lse, mean;
	int32_t y;

	memset(score, 0, sizeof(*score));
	if (subset_q31)
		memset(subset_q31, 0, rows->subset_tokens * sizeof(*subset_q31));
	score->flags = (record->n_nan ? VETO_NAN : 0) | (record->n_sat ? VETO_SATURATED : 0);
	if (record->cnt == 0) {
		score->flags |= VETO_EMPTY;
		return;
	}
	mean = record->sumy * 1024 / (int64_t)record->cnt;
	lse = fx1_lse(record);
	set(score, VETO_LSE, fx1_nats(lse));
	set(score, VETO_MEAN, fx1_nats(mean));
	set(score, VETO_SELF_CERTAINTY, fx1_nats(lse - mean - fx1_log2(record->cnt)));
	set(score, VETO_ENTROPY, fx1_nats(lse - ((int64_t)record->n + 1) * (1 << 26) + mean_distance(record)));
	set(score, VETO_TOP1_LOGP, fx1_nats((int64_t)record->ymax * 1024 - lse));
	finish_top(top, rows->top_k, lse, score);
	if (!rows->data)
		return; /* in the device's memory, and so without token and subset */
	row = (const char *)rows->data + i * rows->stride_bytes;
	if (rows->token && rows->token[i] != VETO_NO_TOKEN && fx1_entry_y(row, rows->format, rows->token[i], &y))
		set(score, VETO_TOKEN_LOGP, fx1_nats((int64_t)y * 1024 - lse));
	if (rows->subset_tokens > 0)
		finish_subset(rows, row, record, score, subset_q31);
}
