/* SPDX-License-Identifier: Apache-2.0 */
/* FX1 rows with AVX2, tables by byte shuffles; compile with -O3 -mavx2 -mf16c -ffp-contract=off. */
#include "cpu.h"

#include <cpuid.h>
#include <immintrin.h>
#include <math.h>
#include <string.h>

#define VECTOR 8
#define CHUNK ((int)VETO_CHUNK_LOGITS)
#define STEP (4 * VECTOR)
#define BLOCKS 4
#define BLOCK (CHUNK / BLOCKS)
#define FAST_LIMIT (1 << 26) /* 32 values of y below it can be summed in 32 bits */
#define NOTHING (-(1 << 30)) /* stands for the y of an entry left out: step 4 makes it 0 under every n */

static const uint16_t table_a[64] = VETO_FX1_A;
static const uint16_t table_b[64] = VETO_FX1_B;

/* Lower and upper bytes of A and of B, 16 of each to a vector, twice.  The second to fourth hold the difference to the
 * one before: a shuffle gives 0 where the index is negative, so the sum of all four is the entry. */
struct tables {
	__m256i byte[4][4];
};

/* The best entries so far, best first.  A better one has bits - low < range, as unsigned, and is at least `above`. */
struct list {
	struct fx1_top *top;
	uint32_t k;
	uint32_t low, range;
	float above;
};

static void start_tables(struct tables *t)
{
	const __m128i lower = _mm_set1_epi16(255);

	for (int i = 0; i < 4; i++) {
		for (int j = 3; j >= 0; j--) {
			const uint16_t *at = (i < 2 ? table_a : table_b) + 16 * j;
			__m128i v[2];

			for (int h = 0; h < 2; h++) {
				v[h] = _mm_loadu_si128((const __m128i *)(at + 8 * h));
				v[h] = i % 2 ? _mm_srli_epi16(v[h], 8) : _mm_and_si128(v[h], lower);
			}
			t->byte[i][j] = _mm256_broadcastsi128_si256(_mm_packus_epi16(v[0], v[1]));
			if (j < 3)
				t->byte[i][j + 1] = _mm256_xor_si256(t->byte[i][j + 1], t->byte[i][j]);
		}
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

/* Steps 1 to 3 for a whole chunk whose y all lie within +-FAST_LIMIT, as no masked entry's, no limited entry's and no
 * NaN's (INT32_MIN) does; false, and nothing of use in c, if one does not.  *blocks: bit i tells of an entry in block i
 * that is at least `above`. */
static inline bool measure_plain(
	const char *at, enum veto_format format, float above, int32_t *y, struct veto_chunk *c, uint32_t *blocks)
{
	const int bytes = format == VETO_FP32 ? 4 : 2;
	const __m256i zero = _mm256_setzero_si256();
	__m256i sum[4] = {zero, zero, zero, zero}, low = zero, high = _mm256_set1_epi32(INT32_MIN);

	*blocks = 0;
	for (int b = 0; b < BLOCKS; b++) {
		__m256 best = _mm256_set1_ps(-INFINITY);

		for (int i = 0; i < BLOCK; i += STEP) {
			for (int j = 0; j < 4; j++) {
				__m256 x = load(at + (i + j * VECTOR) * bytes, format);
				__m256i v = to_y(x);

				_mm256_store_si256((__m256i *)&y[i + j * VECTOR], v);
				sum[j] = _mm256_add_epi32(sum[j], v);
				low = _mm256_min_epi32(low, v);
				best = _mm256_max_ps(best, x);
			}
		}
		at += BLOCK * bytes;
		y += BLOCK;
		if (_mm256_movemask_ps(_mm256_cmp_ps(best, _mm256_set1_ps(above), _CMP_GE_OQ)))
			*blocks |= 1u << b;
		high = _mm256_max_epi32(high, to_y(best));
	}
	*c = (struct veto_chunk){.cnt = VETO_CHUNK_LOGITS, .ymax = max_epi32(high)};
	c->n = c->ymax >> 16;
	if (c->ymax >= FAST_LIMIT || ~max_epi32(_mm256_xor_si256(low, _mm256_set1_epi32(-1))) < -FAST_LIMIT)
		return false;
	for (int j = 1; j < 4; j++)
		sum[j] = _mm256_add_epi64(widen_sum(sum[j]), j == 1 ? widen_sum(sum[0]) : sum[j - 1]);
	c->sumy = sum_epi64(sum[3]);
	return true;
}

/* Steps 1 to 3 for any chunk. */
static inline void measure(const char *at, enum veto_format format, int logits, int32_t *y, struct veto_chunk *c)
{
	const int bytes = format == VETO_FP32 ? 4 : 2;
	const __m256 limit = _mm256_set1_ps(VETO_LOGIT_LIMIT);
	__m256i high = _mm256_set1_epi32(INT32_MIN), sum = _mm256_setzero_si256();

	*c = (struct veto_chunk){.n = VETO_N_EMPTY};
	for (int i = 0; i < logits; i += VECTOR) {
		__m256 x = load(at + i * bytes, format);
		__m256 left = _mm256_cmp_ps(x, _mm256_set1_ps(-VETO_LOGIT_LIMIT), _CMP_GE_OQ);
		__m256 nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q), sat = _mm256_cmp_ps(x, limit, _CMP_GT_OQ);
		__m256i v = to_y(_mm256_min_ps(x, limit)), is_left = _mm256_castps_si256(left);

		c->cnt += (uint32_t)__builtin_popcount((unsigned)_mm256_movemask_ps(left));
		c->n_nan += (uint32_t)__builtin_popcount((unsigned)_mm256_movemask_ps(nan));
		c->n_sat += (uint32_t)__builtin_popcount((unsigned)_mm256_movemask_ps(sat));
		sum = _mm256_add_epi64(sum, widen_sum(_mm256_and_si256(v, is_left)));
		high = _mm256_max_epi32(high, _mm256_blendv_epi8(high, v, is_left));
		_mm256_store_si256((__m256i *)&y[i], _mm256_blendv_epi8(_mm256_set1_epi32(NOTHING), v, is_left));
	}
	c->sumy = sum_epi64(sum);
	c->ymax = max_epi32(high);
	if (c->cnt > 0)
		c->n = c->ymax >> 16;
}

/* Step 4 for the chunk's y, four vectors at a time.  2^f of two vectors is found as the even and odd words of one, the
 * tables' indices are the bytes of one for all four.  z is D - 1, so its upper half is d.  `both` adds pairs of 32-bit
 * lanes as if they were 64-bit ones, and `odd` the upper ones.  `ahead` is what the row reads next. */
static inline void accumulate(const struct tables *table, const int32_t *y, int logits, const char *ahead,
	int step_bytes, struct veto_chunk *c)
{
	const __m256i one = _mm256_set1_epi32(INT32_MIN), n1 = _mm256_set1_epi32((c->n + 1) * 65536 - 1);
	const __m256i zero = _mm256_setzero_si256();
	__m256i both = zero, odd = zero, t[2] = {zero, zero};

	for (int i = 0; i < logits; i += STEP) {
		__m256i v[4], f[2], g[4], a[2], b[2];

		for (int j = 0; j < step_bytes; j += 64)
			_mm_prefetch(ahead + j, _MM_HINT_T0);
		ahead += step_bytes;
		for (int j = 0; j < 4; j++)
			v[j] = _mm256_load_si256((const __m256i *)&y[i + j * VECTOR]);
		for (int j = 0; j < 2; j++)
			f[j] = _mm256_blend_epi16(v[2 * j], _mm256_slli_epi32(v[2 * j + 1], 16), 0xaa);
		g[0] = _mm256_packus_epi16(_mm256_srli_epi16(f[0], 10), _mm256_srli_epi16(f[1], 10));
		for (int j = 1; j < 4; j++)
			g[j] = _mm256_sub_epi8(g[j - 1], _mm256_set1_epi8(16));
		for (int j = 0; j < 2; j++) {
			a[j] = look_up(table->byte[j], g);
			b[j] = look_up(table->byte[2 + j], g);
		}
		for (int j = 0; j < 2; j++) {
			__m256i r2 = _mm256_and_si256(_mm256_add_epi16(f[j], f[j]), _mm256_set1_epi16(0x7fe));
			__m256i base = j ? _mm256_unpackhi_epi8(a[0], a[1]) : _mm256_unpacklo_epi8(a[0], a[1]);
			__m256i slope = j ? _mm256_unpackhi_epi8(b[0], b[1]) : _mm256_unpacklo_epi8(b[0], b[1]);
			__m256i m = _mm256_add_epi16(base, _mm256_mulhrs_epi16(slope, r2));
			__m256i e[2] = {_mm256_slli_epi32(m, 15),
				_mm256_and_si256(_mm256_srli_epi32(m, 1), _mm256_set1_epi32(0x7fff8000))};

			for (int h = 0; h < 2; h++) {
				__m256i z = _mm256_sub_epi32(n1, v[2 * j + h]);
				__m256i e_odd;

				e[h] = _mm256_srlv_epi32(_mm256_or_si256(e[h], one), _mm256_srli_epi32(z, 16));
				e_odd = _mm256_srli_epi64(e[h], 32);
				both = _mm256_add_epi64(both, e[h]);
				odd = _mm256_add_epi64(odd, e_odd);
				t[0] = _mm256_add_epi64(t[0], _mm256_mul_epu32(e[h], z));
				t[1] = _mm256_add_epi64(t[1], _mm256_mul_epu32(e_odd, _mm256_srli_epi64(z, 32)));
			}
		}
	}
	/* s = even + odd, even = both - (odd << 32) */
	both = _mm256_add_epi64(_mm256_sub_epi64(both, _mm256_slli_epi64(odd, 32)), odd);
	c->s = (uint64_t)sum_epi64(both);
	c->t = (uint64_t)sum_epi64(_mm256_add_epi64(_mm256_add_epi64(t[0], t[1]), both));
}

/* Keys above a positive float's are its bits plus 1 up to infinity; above a negative float's they are the bits from 0 to
 * its own less 1, with positive NaNs among them.  No masked entry's key is above. */
static void limit(struct list *l)
{
	const uint32_t masked = fx1_key(-VETO_LOGIT_LIMIT) - 1, infinity = 0x7f800000;
	const uint32_t key = l->top[l->k - 1].key > masked ? l->top[l->k - 1].key : masked;

	l->low = key >> 31 ? (key & 0x7fffffff) + 1 : 0;
	l->range = key >> 31 ? infinity + 1 - l->low : ~key;
	l->above = fx1_key_value(key + 1);
}

static void start_list(struct list *l, struct fx1_top *top, uint32_t k)
{
	for (uint32_t i = 0; i < k; i++)
		top[i] = (struct fx1_top){.key = 0, .id = VETO_NO_TOKEN};
	l->top = top;
	l->k = k;
	limit(l);
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

/* There are signed comparisons only: both sides are off by 2^31. */
static inline void search(struct list *l, const char *at, enum veto_format format, int logits, uint32_t first)
{
	const int bytes = format == VETO_FP32 ? 4 : 2;

	for (int i = 0; i < logits; i += VECTOR) {
		__m256 x = load(at + i * bytes, format);
		__m256i above = _mm256_sub_epi32(_mm256_castps_si256(x), _mm256_set1_epi32((int)(l->low ^ 0x80000000)));
		__m256i found = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(l->range ^ 0x80000000)), above);

		if (!_mm256_testz_si256(found, found))
			take(l, x, (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(found)), first + (uint32_t)i);
	}
}

static inline void search_blocks(
	struct list *l, const char *at, enum veto_format format, uint32_t blocks, uint32_t first)
{
	const int bytes = format == VETO_FP32 ? 4 : 2;

	for (; blocks; blocks &= blocks - 1) {
		int i = __builtin_ctz(blocks) * BLOCK;

		search(l, at + i * bytes, format, BLOCK, first + (uint32_t)i);
	}
}

/* Copy the row's end, less than a chunk, and fill up the last step with masked entries. */
static int copy_tail(char *tail, const char *at, enum veto_format format, uint32_t logits)
{
	static const uint32_t infinity[VETO_FORMATS] = {0xff800000, 0xfc00, 0xff80}; /* negative ones */
	const uint32_t bytes = format == VETO_FP32 ? 4 : 2;
	const uint32_t all = (logits + STEP - 1) / STEP * STEP;

	memcpy(tail, at, logits * bytes);
	for (uint32_t i = logits; i < all; i++)
		memcpy(tail + i * bytes, &infinity[format], bytes);
	return (int)all;
}

static inline __attribute__((always_inline)) void row_of(const char *row, enum veto_format format, uint32_t cols,
	uint32_t k, struct veto_record *out, struct fx1_top *top)
{
	const uint32_t chunks = (cols + VETO_CHUNK_LOGITS - 1) / VETO_CHUNK_LOGITS;
	const int bytes = format == VETO_FP32 ? 4 : 2;
	struct veto_chunk chunk[VETO_VOCAB_MAX / VETO_CHUNK_LOGITS];
	_Alignas(32) int32_t y[CHUNK];
	_Alignas(32) char tail[4 * CHUNK];
	struct tables tables;
	struct list list;
	bool is_plain = true;

	start_tables(&tables);
	start_list(&list, top, k);
	for (uint32_t i = 0; i < chunks; i++) {
		const uint32_t first = i * VETO_CHUNK_LOGITS;
		const char *at = row + (size_t)first * (size_t)bytes, *ahead = at + CHUNK * bytes + 1024;
		int logits = CHUNK;
		uint32_t blocks;

		if (cols - first < VETO_CHUNK_LOGITS) {
			logits = copy_tail(tail, at, format, cols - first);
			at = tail;
		}
		if (is_plain && logits == CHUNK && measure_plain(at, format, list.above, y, &chunk[i], &blocks)) {
			search_blocks(&list, at, format, blocks, first);
		} else {
			measure(at, format, logits, y, &chunk[i]);
			search(&list, at, format, logits, first);
			is_plain = chunk[i].cnt == VETO_CHUNK_LOGITS && chunk[i].n_sat == 0;
		}
		if (chunk[i].cnt > 0)
			accumulate(&tables, y, logits, ahead, STEP * bytes, &chunk[i]);
	}
	fx1_merge(chunk, chunks, out);
}

static void score_row(const void *row, enum veto_format format, uint32_t cols, uint32_t k, struct veto_record *out,
	struct fx1_top *top)
{
	if (format == VETO_FP32)
		row_of(row, VETO_FP32, cols, k, out, top);
	else if (format == VETO_FP16)
		row_of(row, VETO_FP16, cols, k, out, top);
	else
		row_of(row, VETO_BF16, cols, k, out, top);
}

static bool is_supported(void)
{
	unsigned a, b, c, d;

	return __builtin_cpu_supports("avx2") && __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

const struct cpu_isa cpu_avx2 = {"avx2", is_supported, score_row};
