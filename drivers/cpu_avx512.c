/* SPDX-License-Identifier: Apache-2.0 */
/* FX1 rows with AVX-512; compile with -O3 -mavx512f -mavx512bw -mavx512dq -mavx512vl -ffp-contract=off. */
#include "cpu.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define VECTOR 16
#define CHUNK ((int)VETO_CHUNK_LOGITS)
#define STEP (2 * VECTOR)
#define STEPS (CHUNK / STEP)
#define BLOCKS 4
#define BLOCK (CHUNK / BLOCKS)
#define BLOCK_STEPS (STEPS / BLOCKS)
#define AHEAD_BYTES 3072 /* less than a page: the processor runs ahead by itself inside one */
#define BIAS (1 << 26)
#define NOTHING (-(1 << 30)) /* stands for the y of an entry left out: step 4 makes it 0 under every n */

static const uint16_t table_a[64] = VETO_FX1_A;
static const uint16_t table_b[64] = VETO_FX1_B;

/* The best entries so far, best first, VETO_TOP_MAX of them whatever k is.  A better one has bits - low < range, as
 * unsigned, and is at least `above`. */
struct list {
	_Alignas(64) uint32_t key[VETO_TOP_MAX], id[VETO_TOP_MAX];
	uint32_t k;
	uint32_t low, range;
	float above;
};

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

/* Steps 1 to 3 for any chunk. */
static inline void measure(const char *at, enum veto_format format, int logits, int32_t *y, struct veto_chunk *c)
{
	const int bytes = format == VETO_FP32 ? 4 : 2;
	const __m512 limit = _mm512_set1_ps(VETO_LOGIT_LIMIT);
	__m512i high = _mm512_set1_epi32(INT32_MIN), sum = _mm512_setzero_si512();

	*c = (struct veto_chunk){.n = VETO_N_EMPTY};
	for (int i = 0; i < logits; i += VECTOR) {
		__m512 x = load(at + i * bytes, format);
		__mmask16 left = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-VETO_LOGIT_LIMIT), _CMP_GE_OQ);
		__m512i v = _mm512_maskz_mov_epi32(left, to_y(_mm512_min_ps(x, limit)));

		c->cnt += (uint32_t)__builtin_popcount(left);
		c->n_nan += (uint32_t)__builtin_popcount(_mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q));
		c->n_sat += (uint32_t)__builtin_popcount(_mm512_cmp_ps_mask(x, limit, _CMP_GT_OQ));
		sum = _mm512_add_epi64(sum, _mm512_cvtepi32_epi64(_mm512_castsi512_si256(v)));
		sum = _mm512_add_epi64(sum, _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(v, 1)));
		high = _mm512_mask_max_epi32(high, left, high, v);
		_mm512_store_si512(&y[i], _mm512_mask_mov_epi32(_mm512_set1_epi32(NOTHING), left, v));
	}
	c->sumy = _mm512_reduce_add_epi64(sum);
	c->ymax = _mm512_reduce_max_epi32(high);
	if (c->cnt > 0)
		c->n = c->ymax >> 16;
}

/* The sums of a chunk on their way; a lane of sum[] adds 32 values below 2^27. */
struct gauge {
	__m512i sum[2], bits;
	__m512 high;
	uint32_t hits; /* bit i: the block i has an entry above what the list holds */
};

/* A chunk whose y all lie within +-BIAS, as no masked entry's, no limited entry's and no NaN's (INT32_MIN) does. */
static inline bool read_gauge(const struct gauge *g, struct veto_chunk *c)
{
	const __m512i lower = _mm512_set1_epi64(0xffffffff);
	__m512i even = _mm512_add_epi64(_mm512_and_si512(g->sum[0], lower), _mm512_and_si512(g->sum[1], lower));
	__m512i odd = _mm512_add_epi64(_mm512_srli_epi64(g->sum[0], 32), _mm512_srli_epi64(g->sum[1], 32));

	if (_mm512_cmpge_epu32_mask(g->bits, _mm512_set1_epi32(2 * BIAS)))
		return false;
	c->cnt = VETO_CHUNK_LOGITS;
	c->n_nan = c->n_sat = 0;
	c->sumy = _mm512_reduce_add_epi64(_mm512_add_epi64(even, odd)) - (int64_t)VETO_CHUNK_LOGITS * BIAS;
	c->ymax = _mm512_cvtsi512_si32(to_y(_mm512_set1_ps(_mm512_reduce_max_ps(g->high))));
	c->n = c->ymax >> 16;
	return true;
}

/* Step 4 for the chunk c of `steps` times two vectors in y, and, for a gauge, the first part of steps 1 to 3 for the
 * whole chunk at `at`, whose y go to y_next.
 *
 * Long, because both in one loop keep memory and the ports busy: of 512-bit vectors only one port does shifts,
 * comparisons and integer maxima.  2^f of two vectors is found as the even and odd words of one.  z is D - 1, so its
 * upper half is d.  `both` adds pairs of 32-bit lanes as if they were 64-bit ones, and `odd` the upper ones. */
static inline __attribute__((always_inline)) void pass(const int32_t *y, int steps, struct veto_chunk *c,
	const char *at, enum veto_format format, float above, int32_t *y_next, struct gauge *next)
{
	const __m512i a0 = _mm512_loadu_si512(table_a), a1 = _mm512_loadu_si512(table_a + 32);
	const __m512i b0 = _mm512_loadu_si512(table_b), b1 = _mm512_loadu_si512(table_b + 32);
	const __m512i one = _mm512_set1_epi32(INT32_MIN);
	const __m512i n1 = _mm512_set1_epi32((c->n + 1) * 65536 - 1);
	const int step_bytes = STEP * (format == VETO_FP32 ? 4 : 2);
	const __m512i zero = _mm512_setzero_si512();
	__m512i both = zero, odd = zero, t[2] = {zero, zero};
	struct gauge q = {{zero, zero}, zero, _mm512_set1_ps(-INFINITY), 0};
	__m512 high[2] = {q.high, q.high};

	for (int i = 0; i < steps; i++) {
		__m512i v[2] = {_mm512_load_si512(y), _mm512_load_si512(y + VECTOR)};
		__m512i f = _mm512_mask_blend_epi16(0xaaaaaaaa, v[0], _mm512_slli_epi32(v[1], 16));
		__m512i g = _mm512_srli_epi16(f, 10);
		__m512i r2 = _mm512_and_si512(_mm512_add_epi16(f, f), _mm512_set1_epi16(0x7fe));
		__m512i m = _mm512_add_epi16(_mm512_permutex2var_epi16(a0, g, a1),
			_mm512_mulhrs_epi16(_mm512_permutex2var_epi16(b0, g, b1), r2));
		__m512i e[2] = {_mm512_or_si512(_mm512_slli_epi32(m, 15), one),
			_mm512_ternarylogic_epi32(/* (m >> 1 & 0x7fff8000) | one */
				_mm512_srli_epi32(m, 1), _mm512_set1_epi32(0x7fff8000), one, 0xea)};

		for (int j = 0; j < 2; j++) {
			__m512i z = _mm512_sub_epi32(n1, v[j]);
			__m512i e_odd;

			e[j] = _mm512_srlv_epi32(e[j], _mm512_srli_epi32(z, 16));
			e_odd = _mm512_srli_epi64(e[j], 32);
			both = _mm512_add_epi64(both, e[j]);
			odd = _mm512_add_epi64(odd, e_odd);
			t[0] = _mm512_add_epi64(t[0], _mm512_mul_epu32(e[j], z));
			t[1] = _mm512_add_epi64(t[1], _mm512_mul_epu32(e_odd, _mm512_srli_epi64(z, 32)));
		}
		y += STEP;
		if (!next)
			continue;
		__m512 x[2];

		load_two(at, format, x);
		for (int j = 0; j < 2; j++) {
			v[j] = to_y(x[j]);
			_mm512_store_si512(y_next + j * VECTOR, v[j]);
			v[j] = _mm512_add_epi32(v[j], _mm512_set1_epi32(BIAS));
			q.sum[j] = _mm512_add_epi32(q.sum[j], v[j]);
			high[j] = _mm512_max_ps(high[j], x[j]);
		}
		q.bits = _mm512_ternarylogic_epi32(q.bits, v[0], v[1], 0xfe);
		_mm_prefetch(at + AHEAD_BYTES, _MM_HINT_T0);
		if (format == VETO_FP32)
			_mm_prefetch(at + AHEAD_BYTES + 64, _MM_HINT_T0);
		at += step_bytes;
		y_next += STEP;
		if (i % BLOCK_STEPS == BLOCK_STEPS - 1) {
			high[0] = _mm512_max_ps(high[0], high[1]);
			q.hits = q.hits >> 1 |
				 (uint32_t)(_mm512_cmp_ps_mask(high[0], _mm512_set1_ps(above), _CMP_GE_OQ) != 0)
					 << (BLOCKS - 1);
			q.high = _mm512_max_ps(q.high, high[0]);
			high[0] = high[1] = _mm512_set1_ps(-INFINITY);
		}
	}
	/* s = even + odd, even = both - (odd << 32) */
	both = _mm512_add_epi64(_mm512_sub_epi64(both, _mm512_slli_epi64(odd, 32)), odd);
	c->s = (uint64_t)_mm512_reduce_add_epi64(both);
	c->t = (uint64_t)_mm512_reduce_add_epi64(_mm512_add_epi64(_mm512_add_epi64(t[0], t[1]), both));
	if (next)
		*next = q;
}

/* Keys above a positive float's are its bits plus 1 up to infinity; above a negative float's they are the bits from 0 to
 * its own less 1, with positive NaNs among them.  No masked entry's key is above. */
static void limit(struct list *l)
{
	const uint32_t masked = fx1_key(-VETO_LOGIT_LIMIT) - 1;
	const uint32_t key = l->key[l->k - 1] > masked ? l->key[l->k - 1] : masked;
	const uint32_t infinity = 0x7f800000;

	l->low = key >> 31 ? (key & 0x7fffffff) + 1 : 0;
	l->range = key >> 31 ? infinity + 1 - l->low : ~key;
	l->above = fx1_key_value(key + 1);
}

/* Put v[0] and v[1] behind the lanes that stay of two vectors in a row; the last lane falls off. */
static inline void insert(__m512i v[2], __mmask32 stay, __m512i x)
{
	const __mmask32 at = stay + 1;
	__m512i a = _mm512_mask_mov_epi32(_mm512_alignr_epi32(v[0], x, VECTOR - 1), (__mmask16)stay, v[0]);
	__m512i b = _mm512_mask_mov_epi32(_mm512_alignr_epi32(v[1], v[0], VECTOR - 1), (__mmask16)(stay >> 16), v[1]);

	v[0] = _mm512_mask_mov_epi32(a, (__mmask16)at, x);
	v[1] = _mm512_mask_mov_epi32(b, (__mmask16)(at >> 16), x);
}

/* Entries come by rising ids, so one that equals a key goes behind it. */
static void take(struct list *l, __m512i bits, __mmask16 found, uint32_t first)
{
	const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	__m512i all = _mm512_ternarylogic_epi32(/* bits ^ (sign | 0x80000000) */
		bits, _mm512_srai_epi32(bits, 31), _mm512_set1_epi32(INT32_MIN), 0x1e);
	__m512i key[2] = {_mm512_load_si512(l->key), _mm512_load_si512(l->key + VECTOR)};
	__m512i id[2] = {_mm512_load_si512(l->id), _mm512_load_si512(l->id + VECTOR)};
	_Alignas(64) uint32_t k[VECTOR], i[VECTOR];

	_mm512_store_si512(k, _mm512_maskz_compress_epi32(found, all));
	_mm512_store_si512(i, _mm512_maskz_compress_epi32(found, lane));
	for (int j = 0; j < __builtin_popcount(found); j++) {
		__m512i x = _mm512_set1_epi32((int)k[j]);
		__mmask32 stay =
			(uint32_t)_mm512_cmpge_epu32_mask(key[1], x) << 16 | _mm512_cmpge_epu32_mask(key[0], x);

		insert(key, stay, x);
		insert(id, stay, _mm512_set1_epi32((int)(first + i[j])));
	}
	_mm512_store_si512(l->key, key[0]);
	_mm512_store_si512(l->key + VECTOR, key[1]);
	_mm512_store_si512(l->id, id[0]);
	_mm512_store_si512(l->id + VECTOR, id[1]);
	limit(l);
}

static inline __attribute__((always_inline)) void search(
	struct list *l, const char *at, enum veto_format format, int logits, uint32_t first)
{
	const int bytes = format == VETO_FP32 ? 4 : 2;

	for (int i = 0; i < logits; i += VECTOR) {
		__m512 x = load(at + i * bytes, format);
		__m512i above = _mm512_sub_epi32(_mm512_castps_si512(x), _mm512_set1_epi32((int)l->low));
		__mmask16 found = _mm512_cmplt_epu32_mask(above, _mm512_set1_epi32((int)l->range));

		if (found && (found = _mm512_mask_cmp_ps_mask(found, x, x, _CMP_ORD_Q)) != 0)
			take(l, _mm512_castps_si512(x), found, first + (uint32_t)i);
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
	const size_t chunk_bytes = VETO_CHUNK_LOGITS * (format == VETO_FP32 ? 4 : 2);
	struct veto_chunk chunk[VETO_VOCAB_MAX / VETO_CHUNK_LOGITS];
	_Alignas(64) int32_t y[2][CHUNK];
	_Alignas(64) char tail[4 * CHUNK];
	struct list list = {.k = k};
	struct gauge gauge = {.hits = 0};
	bool has_gauge = false;

	memset(list.id, 0xff, sizeof(list.id));
	limit(&list);
	for (uint32_t i = 0; i < chunks; i++) {
		const char *at = row + i * chunk_bytes;
		uint32_t left = cols - i * VETO_CHUNK_LOGITS;
		int logits = CHUNK;
		struct veto_chunk *c = &chunk[i];

		if (left < VETO_CHUNK_LOGITS) {
			logits = copy_tail(tail, at, format, left);
			at = tail;
		}
		if (has_gauge && read_gauge(&gauge, c)) {
			search_blocks(&list, at, format, gauge.hits, i * VETO_CHUNK_LOGITS);
		} else {
			measure(at, format, logits, y[i % 2], c);
			search(&list, at, format, logits, i * VETO_CHUNK_LOGITS);
			has_gauge = c->cnt == VETO_CHUNK_LOGITS && c->n_sat == 0;
		}
		has_gauge = has_gauge && left >= 2 * VETO_CHUNK_LOGITS;
		if (has_gauge)
			pass(y[i % 2], STEPS, c, at + chunk_bytes, format, list.above, y[(i + 1) % 2], &gauge);
		else if (c->cnt > 0)
			pass(y[i % 2], logits / STEP, c, NULL, format, 0, NULL, NULL);
	}
	fx1_merge(chunk, chunks, out);
	for (uint32_t i = 0; i < k; i++)
		top[i] = (struct fx1_top){.key = list.key[i], .id = list.id[i]};
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
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

const struct cpu_isa cpu_avx512 = {"avx512", is_supported, score_row};
