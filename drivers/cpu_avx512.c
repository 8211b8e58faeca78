/* SPDX-License-Identifier: Apache-2.0 */
/* FX1 rows with AVX-512; compile with -O3 -mavx512f -mavx512bw -mavx512dq -mavx512vl -ffp-contract=off. */
#include "cpu.h"

#include <immintrin.h>

#define VECTOR 16
#define FLOATS __m512
#define STEP (2 * VECTOR)

/* Halves of A and of B. */
struct tables {
	__m512i a[2], b[2];
};

/* The best entries so far, best first, VETO_TOP_MAX of them whatever k is.  A better one has bits - low < range, as
 * unsigned. */
struct list {
	_Alignas(64) uint32_t key[VETO_TOP_MAX], id[VETO_TOP_MAX];
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
	for (int i = 0; i < 2; i++) {
		t->a[i] = _mm512_loadu_si512(table_a + 32 * i);
		t->b[i] = _mm512_loadu_si512(table_b + 32 * i);
	}
}

static inline __m512i to_y(__m512 x) { return _mm512_cvtps_epi32(_mm512_mul_ps(x, _mm512_set1_ps(VETO_LOG2E_Q16))); }

static inline __m512 load(const char *at, enum veto_format format)
{
	if (format == VETO_FP32)
		return _mm512_loadu_ps(at);
	if (format == VETO_FP16)
		return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)at));
	return _mm512_castsi512_ps(
		_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)at)), 16));
}

/* Two vectors, bf16 with even and odd entries apart: sums don't see the order. */
static inline void load_two(const char *at, enum veto_format format, __m512 x[2])
{
	if (format != VETO_BF16) {
		x[0] = load(at, format);
		x[1] = load(at + (format == VETO_FP32 ? 64 : 32), format);
	} else {
		__m512i v = _mm512_loadu_si512(at);

		x[0] = _mm512_castsi512_ps(_mm512_slli_epi32(v, 16));
		x[1] = _mm512_castsi512_ps(_mm512_and_si512(v, _mm512_set1_epi32((int)0xffff0000)));
	}
}

/* The odd lanes, each twice: processors have more ports for this than for shifts. */
static inline __m512i odd_lanes(__m512i v) { return _mm512_castps_si512(_mm512_movehdup_ps(_mm512_castsi512_ps(v))); }

static inline __m512i widen_sum(__m512i v)
{
	return _mm512_add_epi64(_mm512_cvtepi32_epi64(_mm512_castsi512_si256(v)),
		_mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(v, 1)));
}

/* Of two vectors of y: 2^f less 1, Q16, in the even and the odd words of one. */
static inline __m512i find_mantissas(const struct tables *t, __m512i even, __m512i odd)
{
	__m512i f = _mm512_mask_blend_epi16(0xaaaaaaaa, even, _mm512_slli_epi32(odd, 16));
	__m512i g = _mm512_srli_epi16(f, 10);
	__m512i r2 = _mm512_and_si512(_mm512_add_epi16(f, f), _mm512_set1_epi16(0x7fe));
	__m512i a = _mm512_permutex2var_epi16(t->a[0], g, t->a[1]);
	__m512i b = _mm512_permutex2var_epi16(t->b[0], g, t->b[1]);

	return _mm512_add_epi16(a, _mm512_mulhrs_epi16(b, r2));
}

static inline bool measure_plain(const struct tables *t, const char *at, enum veto_format format, struct values *values,
	struct veto_chunk *c, FLOATS high[2])
{
	const size_t bytes = format == VETO_FP32 ? 4 : 2;
	const char *ahead = at + AHEAD_BYTES;
	const __m512i zero = _mm512_setzero_si512();
	__m512i sum[2] = {zero, zero}, low = zero;
	__m512 top[2] = {_mm512_set1_ps(-INFINITY), _mm512_set1_ps(-INFINITY)};

	for (int i = 0; i < CHUNK; i += STEP) {
		__m512 x[2];
		__m512i v[2];

		load_two(at + (size_t)i * bytes, format, x);
		for (int j = 0; j < 2; j++) {
			v[j] = to_y(x[j]);
			_mm512_store_si512(&values->y[i + j * VECTOR], v[j]);
			sum[j] = _mm512_add_epi32(sum[j], v[j]);
			low = _mm512_min_epi32(low, v[j]);
			top[j] = _mm512_max_ps(x[j], top[j]);
		}
		_mm512_store_si512(&values->m[i], find_mantissas(t, v[0], v[1]));
		_mm_prefetch(ahead + (size_t)i * bytes / 2, _MM_HINT_T0);
	}
	high[0] = top[0];
	high[1] = top[1];
	*c = (struct veto_chunk){.cnt = VETO_CHUNK_LOGITS};
	c->ymax = _mm512_cvtsi512_si32(to_y(_mm512_set1_ps(_mm512_reduce_max_ps(_mm512_max_ps(top[0], top[1])))));
	c->n = c->ymax >> 16;
	c->sumy = _mm512_reduce_add_epi64(_mm512_add_epi64(widen_sum(sum[0]), widen_sum(sum[1])));
	return c->ymax < PLAIN_LIMIT && _mm512_cmplt_epi32_mask(low, _mm512_set1_epi32(-PLAIN_LIMIT)) == 0;
}

/* The maximum of NaN and another operand is the second one. */
static inline void measure(const struct tables *t, const char *at, enum veto_format format, int logits,
	struct values *values, struct veto_chunk *c, FLOATS high[2])
{
	const int bytes = format == VETO_FP32 ? 4 : 2;
	const __m512 limit = _mm512_set1_ps(VETO_LOGIT_LIMIT);
	__m512i ymax = _mm512_set1_epi32(INT32_MIN), sum = _mm512_setzero_si512();

	*c = (struct veto_chunk){.n = VETO_N_EMPTY};
	high[0] = high[1] = _mm512_set1_ps(-INFINITY);
	for (int i = 0; i < logits; i += VECTOR) {
		__m512 x = load(at + i * bytes, format);
		__mmask16 left = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-VETO_LOGIT_LIMIT), _CMP_GE_OQ);
		__m512i v = _mm512_maskz_mov_epi32(left, to_y(_mm512_min_ps(x, limit)));

		c->cnt += (uint32_t)__builtin_popcount(left);
		c->n_nan += (uint32_t)__builtin_popcount(_mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q));
		c->n_sat += (uint32_t)__builtin_popcount(_mm512_cmp_ps_mask(x, limit, _CMP_GT_OQ));
		sum = _mm512_add_epi64(sum, widen_sum(v));
		ymax = _mm512_mask_max_epi32(ymax, left, ymax, v);
		high[i / VECTOR % 2] = _mm512_max_ps(x, high[i / VECTOR % 2]);
		_mm512_store_si512(&values->y[i], _mm512_mask_mov_epi32(_mm512_set1_epi32(NOTHING), left, v));
	}
	for (int i = 0; i < logits; i += STEP)
		_mm512_store_si512(&values->m[i],
			find_mantissas(t, _mm512_load_si512(&values->y[i]), _mm512_load_si512(&values->y[i + VECTOR])));
	c->sumy = _mm512_reduce_add_epi64(sum);
	c->ymax = _mm512_reduce_max_epi32(ymax);
	if (c->cnt > 0)
		c->n = c->ymax >> 16;
}

/* z is D - 1, so its upper half is d.  `both` adds pairs of 32-bit lanes as if they were 64-bit ones, `odd` the
 * upper ones, each 2^32 + 1 times. */
static inline void accumulate(
	const struct values *values, int logits, const char *ahead, size_t bytes, struct veto_chunk *c)
{
	const __m512i one = _mm512_set1_epi32(INT32_MIN);
	const __m512i n1 = _mm512_set1_epi32((c->n + 1) * 65536 - 1);
	const __m512i zero = _mm512_setzero_si512();
	__m512i both = zero, odd = zero, t[2] = {zero, zero};

	for (int i = 0; i < logits; i += STEP, ahead += STEP * bytes / 2) {
		__m512i m = _mm512_load_si512(&values->m[i]);
		__m512i e[2] = {_mm512_or_si512(_mm512_slli_epi32(m, 15), one),
			_mm512_ternarylogic_epi32(/* (m >> 1 & 0x7fff8000) | one */
				_mm512_srli_epi32(m, 1), _mm512_set1_epi32(0x7fff8000), one, 0xea)};

		_mm_prefetch(ahead, _MM_HINT_T0);
		for (int j = 0; j < 2; j++) {
			__m512i z = _mm512_sub_epi32(n1, _mm512_load_si512(&values->y[i + j * VECTOR]));
			__m512i e_odd;

			e[j] = _mm512_srlv_epi32(e[j], _mm512_srli_epi32(z, 16));
			e_odd = odd_lanes(e[j]);
			both = _mm512_add_epi64(both, e[j]);
			odd = _mm512_add_epi64(odd, e_odd);
			t[0] = _mm512_add_epi64(t[0], _mm512_mul_epu32(e[j], z));
			t[1] = _mm512_add_epi64(t[1], _mm512_mul_epu32(e_odd, odd_lanes(z)));
		}
	}
	/* (2^32 + 1) (1 - 2^32) is 1 in 64 bits; s = even + odd, even = both - (odd << 32) */
	odd = _mm512_sub_epi64(odd, _mm512_slli_epi64(odd, 32));
	both = _mm512_add_epi64(_mm512_sub_epi64(both, _mm512_slli_epi64(odd, 32)), odd);
	c->s = (uint64_t)_mm512_reduce_add_epi64(both);
	c->t = (uint64_t)_mm512_reduce_add_epi64(_mm512_add_epi64(_mm512_add_epi64(t[0], t[1]), both));
}

/* --- The likeliest --- */

static inline __m512i to_keys(__m512 x)
{
	__m512i bits = _mm512_castps_si512(x);

	return _mm512_ternarylogic_epi32(/* bits ^ (sign | 0x80000000) */
		bits, _mm512_srai_epi32(bits, 31), _mm512_set1_epi32(INT32_MIN), 0x1e);
}

/* Its upper bits are enough. */
static uint32_t find_bound(const FLOATS (*high)[2], uint32_t chunks, uint32_t k)
{
	const __m512 none = _mm512_set1_ps(-INFINITY);
	__m512 part[4] = {none, none, none, none};
	__m512i key[4];
	uint32_t bound = 0;

	for (uint32_t i = 0; i < chunks; i++)
		for (uint32_t j = 0; j < 2; j++)
			part[i % 2 * 2 + j] = _mm512_max_ps(part[i % 2 * 2 + j], high[i][j]);
	for (int j = 0; j < 4; j++)
		key[j] = to_keys(part[j]);
	for (uint32_t bit = 1u << 31; bit > 1u << 11; bit >>= 1) {
		uint32_t reach = 0;

		for (int j = 0; j < 4; j++)
			reach += (uint32_t)__builtin_popcount(
				_mm512_cmpge_epu32_mask(key[j], _mm512_set1_epi32((int)(bound | bit))));
		if (reach >= k)
			bound |= bit;
	}
	return bound;
}

static void limit(struct list *l)
{
	const uint32_t key = l->key[l->k - 1] > l->least ? l->key[l->k - 1] : l->least;

	find_keys_above(key, &l->low, &l->range);
	l->above = fx1_key_value(key + 1);
}

static void start_list(struct list *l, struct fx1_top *top, uint32_t k, uint32_t least)
{
	(void)top;
	memset(l->key, 0, sizeof(l->key));
	memset(l->id, 0xff, sizeof(l->id));
	l->k = k;
	l->least = least;
	limit(l);
}

static void end_list(const struct list *l, struct fx1_top *top)
{
	for (uint32_t i = 0; i < l->k; i++)
		top[i] = (struct fx1_top){.key = l->key[i], .id = l->id[i]};
}

static inline bool is_wanted(const struct list *l, const FLOATS high[2])
{
	return _mm512_cmp_ps_mask(_mm512_max_ps(high[0], high[1]), _mm512_set1_ps(l->above), _CMP_GE_OQ) != 0;
}

/* Put x behind the lanes that stay of two vectors in a row; the last lane falls off. */
static inline void insert(__m512i v[2], __mmask32 stay, __m512i x)
{
	const __mmask32 at = stay + 1;
	__m512i a = _mm512_mask_mov_epi32(_mm512_alignr_epi32(v[0], x, VECTOR - 1), (__mmask16)stay, v[0]);
	__m512i b = _mm512_mask_mov_epi32(_mm512_alignr_epi32(v[1], v[0], VECTOR - 1), (__mmask16)(stay >> 16), v[1]);

	v[0] = _mm512_mask_mov_epi32(a, (__mmask16)at, x);
	v[1] = _mm512_mask_mov_epi32(b, (__mmask16)(at >> 16), x);
}

/* Entries come by rising ids, so one that equals a key goes behind it. */
static void take(struct list *l, __m512 x, __mmask16 found, uint32_t first)
{
	const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	__m512i key[2] = {_mm512_load_si512(l->key), _mm512_load_si512(l->key + VECTOR)};
	__m512i id[2] = {_mm512_load_si512(l->id), _mm512_load_si512(l->id + VECTOR)};
	_Alignas(64) uint32_t k[VECTOR], i[VECTOR];

	_mm512_store_si512(k, _mm512_maskz_compress_epi32(found, to_keys(x)));
	_mm512_store_si512(i, _mm512_maskz_compress_epi32(found, lane));
	for (int j = 0; j < __builtin_popcount(found); j++) {
		__m512i one = _mm512_set1_epi32((int)k[j]);
		__mmask32 stay =
			(uint32_t)_mm512_cmpge_epu32_mask(key[1], one) << 16 | _mm512_cmpge_epu32_mask(key[0], one);

		insert(key, stay, one);
		insert(id, stay, _mm512_set1_epi32((int)(first + i[j])));
	}
	_mm512_store_si512(l->key, key[0]);
	_mm512_store_si512(l->key + VECTOR, key[1]);
	_mm512_store_si512(l->id, id[0]);
	_mm512_store_si512(l->id + VECTOR, id[1]);
	limit(l);
}

/* Most entries are too low: four vectors are looked at together first.  The maximum of NaN and another operand is the
 * second one. */
static inline void search(struct list *l, const char *at, enum veto_format format, int logits, uint32_t first)
{
	const int bytes = format == VETO_FP32 ? 4 : 2;

	for (int i = 0; i < logits; i += SEARCH_STEP) {
		__m512 best = _mm512_set1_ps(-INFINITY);

		for (int j = i; j < i + SEARCH_STEP; j += VECTOR)
			best = _mm512_max_ps(load(at + j * bytes, format), best);
		if (!_mm512_cmp_ps_mask(best, _mm512_set1_ps(l->above), _CMP_GE_OQ))
			continue;
		for (int j = i; j < i + SEARCH_STEP; j += VECTOR) {
			__m512 x = load(at + j * bytes, format);
			__m512i above = _mm512_sub_epi32(_mm512_castps_si512(x), _mm512_set1_epi32((int)l->low));
			__mmask16 found = _mm512_cmplt_epu32_mask(above, _mm512_set1_epi32((int)l->range));

			found = _mm512_mask_cmp_ps_mask(found, x, x, _CMP_ORD_Q);
			if (found)
				take(l, x, found, first + (uint32_t)j);
		}
	}
}

static bool is_supported(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

const struct cpu_isa cpu_avx512 = {"avx512", is_supported, score_row};
