/* SPDX-License-Identifier: Apache-2.0 */
/* FX1 rows with AVX2, tables by byte shuffles; compile with -O3 -mavx2 -mf16c -ffp-contract=off. */
#include "cpu.h"

#include <cpuid.h>
#include <immintrin.h>

#define VECTOR 8
#define FLOATS __m256
#define STEP (4 * VECTOR)

/* B follows A, as the slope of 2^f follows 2^f: B[g] = (A[g] * SLOPE >> 16) + 256 * SLOPE_BASE + a byte. */
#define SLOPE 11413
#define SLOPE_BASE 44

/* Lower and upper bytes of A, and the bytes of B, 16 of each to a vector, twice.  The second to fourth hold the
 * difference to the one before: a shuffle gives 0 where the index is negative, so the sum of all four is the entry. */
struct tables {
	__m256i byte[3][4];
};

/* The best entries so far, best first.  A better one has bits - low < range, as unsigned. */
struct list {
	struct fx1_top *top;
	uint32_t k;
	uint32_t least; /* keys up to this one are not wanted */
	uint32_t low, range;
	float above; /* such an entry is at least this */
};

#include "cpu_row.h"

static const uint16_t table_a[64] = VETO_FX1_A;
static const uint16_t table_b[64] = VETO_FX1_B;

static void start_tables(struct tables *t)
{
	uint8_t byte[3][64];

	for (int i = 0; i < 64; i++) {
		uint32_t rest = table_b[i] - (table_a[i] * (uint32_t)SLOPE >> 16) - 256 * SLOPE_BASE;

		assert(rest < 256);
		byte[0][i] = (uint8_t)table_a[i];
		byte[1][i] = (uint8_t)(table_a[i] >> 8);
		byte[2][i] = (uint8_t)rest;
	}
	for (int i = 0; i < 3; i++)
		for (int j = 3; j >= 0; j--) {
			__m128i v = _mm_loadu_si128((const __m128i *)&byte[i][16 * j]);

			t->byte[i][j] = _mm256_broadcastsi128_si256(v);
			if (j < 3)
				t->byte[i][j + 1] = _mm256_xor_si256(t->byte[i][j + 1], t->byte[i][j]);
		}
}

static inline __m256i look_up(const __m256i t[4], const __m256i g[4])
{
	__m256i v = _mm256_shuffle_epi8(t[0], g[0]);

	for (int i = 1; i < 4; i++)
		v = _mm256_xor_si256(v, _mm256_shuffle_epi8(t[i], g[i]));
	return v;
}

static inline __m256i to_y(__m256 x) { return _mm256_cvtps_epi32(_mm256_mul_ps(x, _mm256_set1_ps(VETO_LOG2E_Q16))); }

static inline __m256 load(const char *at, enum veto_format format)
{
	if (format == VETO_FP32)
		return _mm256_loadu_ps((const float *)at);
	if (format == VETO_FP16)
		return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)at));
	return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)at)), 16));
}

static inline __m256i load_y(const int32_t *y) { return _mm256_load_si256((const __m256i *)y); }

/* The odd lanes, each twice: processors have more ports for this than for shifts. */
static inline __m256i odd_lanes(__m256i v) { return _mm256_castps_si256(_mm256_movehdup_ps(_mm256_castsi256_ps(v))); }

static inline int64_t sum_epi64(__m256i v)
{
	__m128i half = _mm_add_epi64(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

	return _mm_cvtsi128_si64(half) + _mm_extract_epi64(half, 1);
}

static inline __m256i widen_sum(__m256i v)
{
	return _mm256_add_epi64(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(v)),
		_mm256_cvtepi32_epi64(_mm256_extracti128_si256(v, 1)));
}

static inline int32_t max_epi32(__m256i v)
{
	__m128i half = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

	half = _mm_max_epi32(half, _mm_shuffle_epi32(half, 0x4e));
	half = _mm_max_epi32(half, _mm_shuffle_epi32(half, 0xb1));
	return _mm_cvtsi128_si32(half);
}

/* 2^f less 1, Q16, for every y of a chunk. */
static inline void find_mantissas(const struct tables *table, int logits, struct values *values)
{
	for (int i = 0; i < logits; i += STEP) {
		__m256i f[2], g[4], a[2], b;

		for (int j = 0; j < 2; j++)
			f[j] = _mm256_blend_epi16(load_y(&values->y[i + 2 * j * VECTOR]),
				_mm256_slli_epi32(load_y(&values->y[i + (2 * j + 1) * VECTOR]), 16), 0xaa);
		g[0] = _mm256_packus_epi16(_mm256_srli_epi16(f[0], 10), _mm256_srli_epi16(f[1], 10));
		for (int j = 1; j < 4; j++)
			g[j] = _mm256_sub_epi8(g[j - 1], _mm256_set1_epi8(16));
		a[0] = look_up(table->byte[0], g);
		a[1] = look_up(table->byte[1], g);
		b = look_up(table->byte[2], g);
		for (int j = 0; j < 2; j++) {
			const __m256i upper = _mm256_set1_epi8(SLOPE_BASE);
			__m256i r2 = _mm256_and_si256(_mm256_add_epi16(f[j], f[j]), _mm256_set1_epi16(0x7fe));
			__m256i base = j ? _mm256_unpackhi_epi8(a[0], a[1]) : _mm256_unpacklo_epi8(a[0], a[1]);
			__m256i slope = _mm256_add_epi16(_mm256_mulhi_epu16(base, _mm256_set1_epi16(SLOPE)),
				j ? _mm256_unpackhi_epi8(b, upper) : _mm256_unpacklo_epi8(b, upper));

			_mm256_store_si256(
				(__m256i *)&values->m[i] + j, _mm256_add_epi16(base, _mm256_mulhrs_epi16(slope, r2)));
		}
	}
}

static inline bool measure_plain(const struct tables *t, const char *at, enum veto_format format, struct values *values,
	struct veto_chunk *c, FLOATS high[2])
{
	const int bytes = format == VETO_FP32 ? 4 : 2;
	const __m256i zero = _mm256_setzero_si256();
	__m256i sum[2] = {zero, zero}, low = zero;
	__m256 top[2] = {_mm256_set1_ps(-INFINITY), _mm256_set1_ps(-INFINITY)};

	/* A lane of sum[] adds 32 values, then is emptied. */
	c->sumy = 0;
	for (int i = 0; i < CHUNK; i += STEP) {
		for (int j = 0; j < 4; j++) {
			__m256 x = load(at + (i + j * VECTOR) * bytes, format);
			__m256i v = to_y(x);

			_mm256_store_si256((__m256i *)&values->y[i + j * VECTOR], v);
			sum[j % 2] = _mm256_add_epi32(sum[j % 2], v);
			low = _mm256_min_epi32(low, v);
			top[j % 2] = _mm256_max_ps(x, top[j % 2]);
		}
		_mm_prefetch(at + AHEAD_BYTES + i * bytes / 2, _MM_HINT_T0);
		if (i % (CHUNK / 2) == CHUNK / 2 - STEP) {
			c->sumy += sum_epi64(_mm256_add_epi64(widen_sum(sum[0]), widen_sum(sum[1])));
			sum[0] = sum[1] = zero;
		}
	}
	high[0] = top[0];
	high[1] = top[1];
	*c = (struct veto_chunk){.cnt = VETO_CHUNK_LOGITS, .sumy = c->sumy};
	c->ymax = max_epi32(to_y(_mm256_max_ps(top[0], top[1])));
	c->n = c->ymax >> 16;
	if (c->ymax >= PLAIN_LIMIT ||
		_mm256_movemask_epi8(_mm256_cmpgt_epi32(_mm256_set1_epi32(-PLAIN_LIMIT), low)) != 0)
		return false;
	find_mantissas(t, CHUNK, values);
	return true;
}

/* The maximum of NaN and another operand is the second one. */
static inline void measure(const struct tables *t, const char *at, enum veto_format format, int logits,
	struct values *values, struct veto_chunk *c, FLOATS high[2])
{
	const int bytes = format == VETO_FP32 ? 4 : 2;
	const __m256 limit = _mm256_set1_ps(VETO_LOGIT_LIMIT);
	__m256i ymax = _mm256_set1_epi32(INT32_MIN), sum = _mm256_setzero_si256();

	*c = (struct veto_chunk){.n = VETO_N_EMPTY};
	high[0] = high[1] = _mm256_set1_ps(-INFINITY);
	for (int i = 0; i < logits; i += VECTOR) {
		__m256 x = load(at + i * bytes, format);
		__m256 left = _mm256_cmp_ps(x, _mm256_set1_ps(-VETO_LOGIT_LIMIT), _CMP_GE_OQ);
		__m256 nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q), sat = _mm256_cmp_ps(x, limit, _CMP_GT_OQ);
		__m256i v = to_y(_mm256_min_ps(x, limit)), is_left = _mm256_castps_si256(left);

		c->cnt += (uint32_t)__builtin_popcount((unsigned)_mm256_movemask_ps(left));
		c->n_nan += (uint32_t)__builtin_popcount((unsigned)_mm256_movemask_ps(nan));
		c->n_sat += (uint32_t)__builtin_popcount((unsigned)_mm256_movemask_ps(sat));
		sum = _mm256_add_epi64(sum, widen_sum(_mm256_and_si256(v, is_left)));
		ymax = _mm256_max_epi32(ymax, _mm256_blendv_epi8(ymax, v, is_left));
		high[i / VECTOR % 2] = _mm256_max_ps(x, high[i / VECTOR % 2]);
		_mm256_store_si256(
			(__m256i *)&values->y[i], _mm256_blendv_epi8(_mm256_set1_epi32(NOTHING), v, is_left));
	}
	c->sumy = sum_epi64(sum);
	c->ymax = max_epi32(ymax);
	if (c->cnt > 0)
		c->n = c->ymax >> 16;
	find_mantissas(t, logits, values);
}

/* z is D - 1, so its upper half is d.  `both` adds pairs of 32-bit lanes as if they were 64-bit ones, `odd` the
 * upper ones, each 2^32 + 1 times. */
static inline void accumulate(
	const struct values *values, int logits, const char *ahead, size_t bytes, struct veto_chunk *c)
{
	const __m256i one = _mm256_set1_epi32(INT32_MIN), n1 = _mm256_set1_epi32((c->n + 1) * 65536 - 1);
	const __m256i zero = _mm256_setzero_si256();
	__m256i both = zero, odd = zero, t[2] = {zero, zero};

	for (int i = 0; i < logits; i += 2 * VECTOR, ahead += VECTOR * bytes) {
		__m256i m = _mm256_load_si256((const __m256i *)&values->m[i]);
		__m256i e[2] = {_mm256_slli_epi32(m, 15),
			_mm256_and_si256(_mm256_srli_epi32(m, 1), _mm256_set1_epi32(0x7fff8000))};

		_mm_prefetch(ahead, _MM_HINT_T0);
		for (int j = 0; j < 2; j++) {
			__m256i z = _mm256_sub_epi32(n1, load_y(&values->y[i + j * VECTOR]));
			__m256i e_odd;

			e[j] = _mm256_srlv_epi32(_mm256_or_si256(e[j], one), _mm256_srli_epi32(z, 16));
			e_odd = odd_lanes(e[j]);
			both = _mm256_add_epi64(both, e[j]);
			odd = _mm256_add_epi64(odd, e_odd);
			t[0] = _mm256_add_epi64(t[0], _mm256_mul_epu32(e[j], z));
			t[1] = _mm256_add_epi64(t[1], _mm256_mul_epu32(e_odd, odd_lanes(z)));
		}
	}
	/* (2^32 + 1) (1 - 2^32) is 1 in 64 bits; s = even + odd, even = both - (odd << 32) */
	odd = _mm256_sub_epi64(odd, _mm256_slli_epi64(odd, 32));
	both = _mm256_add_epi64(_mm256_sub_epi64(both, _mm256_slli_epi64(odd, 32)), odd);
	c->s = (uint64_t)sum_epi64(both);
	c->t = (uint64_t)sum_epi64(_mm256_add_epi64(_mm256_add_epi64(t[0], t[1]), both));
}

/* --- The likeliest --- */

/* Its upper bits are enough.  There are signed comparisons only, so keys are off by 2^31. */
static uint32_t find_bound(const FLOATS (*high)[2], uint32_t chunks, uint32_t k)
{
	__m256 part[8];
	__m256i key[8];
	uint32_t bound = 0;

	for (int j = 0; j < 8; j++)
		part[j] = _mm256_set1_ps(-INFINITY);
	for (uint32_t i = 0; i < chunks; i++)
		for (uint32_t j = 0; j < 2; j++)
			part[i % 4 * 2 + j] = _mm256_max_ps(part[i % 4 * 2 + j], high[i][j]);
	for (int j = 0; j < 8; j++) {
		__m256i bits = _mm256_castps_si256(part[j]);

		key[j] = _mm256_xor_si256(bits, _mm256_srli_epi32(_mm256_srai_epi32(bits, 31), 1));
	}
	for (uint32_t bit = 1u << 31; bit > 1u << 11; bit >>= 1) {
		__m256i below = _mm256_set1_epi32((int)(((bound | bit) ^ 0x80000000) - 1));
		uint32_t reach = 0;

		for (int j = 0; j < 8; j++)
			reach += (uint32_t)__builtin_popcount(
				(unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(key[j], below))));
		if (reach >= k)
			bound |= bit;
	}
	return bound;
}

static void limit(struct list *l)
{
	const uint32_t last = l->top[l->k - 1].key, key = last > l->least ? last : l->least;

	find_keys_above(key, &l->low, &l->range);
	l->above = fx1_key_value(key + 1);
}

static void start_list(struct list *l, struct fx1_top *top, uint32_t k, uint32_t least)
{
	for (uint32_t i = 0; i < k; i++)
		top[i] = (struct fx1_top){.key = 0, .id = VETO_NO_TOKEN};
	l->top = top;
	l->k = k;
	l->least = least;
	limit(l);
}

/* The list is the result. */
static void end_list(const struct list *l, struct fx1_top *top)
{
	(void)l;
	(void)top;
}

static inline bool is_wanted(const struct list *l, const FLOATS high[2])
{
	return _mm256_movemask_ps(
		       _mm256_cmp_ps(_mm256_max_ps(high[0], high[1]), _mm256_set1_ps(l->above), _CMP_GE_OQ)) != 0;
}

/* Entries come by rising ids, so one that equals a key goes behind it. */
static void take(struct list *l, __m256 x, uint32_t found, uint32_t first)
{
	float value[VECTOR];

	_mm256_storeu_ps(value, x);
	for (; found; found &= found - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(found);
		uint32_t key = fx1_key(value[i]);
		uint32_t at = l->k - 1;

		if (key <= l->top[at].key || isnan(value[i]))
			continue;
		for (; at > 0 && key > l->top[at - 1].key; at--)
			l->top[at] = l->top[at - 1];
		l->top[at] = (struct fx1_top){.key = key, .id = first + i};
	}
	limit(l);
}

/* Most entries are too low: four vectors are looked at together first.  The maximum of NaN and another operand is the
 * second one.  There are signed comparisons only: both sides are off by 2^31. */
static inline void search(struct list *l, const char *at, enum veto_format format, int logits, uint32_t first)
{
	const int bytes = format == VETO_FP32 ? 4 : 2;

	for (int i = 0; i < logits; i += SEARCH_STEP) {
		__m256 best = _mm256_set1_ps(-INFINITY);

		for (int j = i; j < i + SEARCH_STEP; j += VECTOR)
			best = _mm256_max_ps(load(at + j * bytes, format), best);
		if (!_mm256_movemask_ps(_mm256_cmp_ps(best, _mm256_set1_ps(l->above), _CMP_GE_OQ)))
			continue;
		for (int j = i; j < i + SEARCH_STEP; j += VECTOR) {
			__m256 x = load(at + j * bytes, format);
			__m256i above =
				_mm256_sub_epi32(_mm256_castps_si256(x), _mm256_set1_epi32((int)(l->low ^ 0x80000000)));
			__m256i found = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(l->range ^ 0x80000000)), above);

			if (!_mm256_testz_si256(found, found))
				take(l, x, (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(found)),
					first + (uint32_t)j);
		}
	}
}

static bool is_supported(void)
{
	unsigned a, b, c, d;

	return __builtin_cpu_supports("avx2") && __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

const struct cpu_isa cpu_avx2 = {"avx2", is_supported, score_row};
