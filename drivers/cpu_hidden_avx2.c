/* SPDX-License-Identifier: Apache-2.0 */
/* Products of hidden states with AVX2. */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu.h"

#define VECTOR 8
#define INTS __m256i
#define MANY_ROWS 1

#define zero() _mm256_setzero_si256()
#define splat(x) _mm256_set1_epi32(x)
#define add(a, b) _mm256_add_epi32(a, b)
#define subtract(a, b) _mm256_sub_epi32(a, b)
#define masked(a, b) _mm256_and_si256(a, b)
#define smaller(a, b) _mm256_min_epi32(a, b)
#define larger(a, b) _mm256_max_epi32(a, b)
#define shift_left(a, s) _mm256_sllv_epi32(a, s)
#define shift_right(a, s) _mm256_srlv_epi32(a, s)
#define magnitude(bits) _mm256_and_si256(bits, _mm256_set1_epi32(INT32_MAX))
#define with_sign(a, bits) _mm256_sign_epi32(a, _mm256_or_si256(bits, _mm256_set1_epi32(1)))
#define low_words(a) _mm256_and_si256(a, _mm256_set1_epi32(0xffff))
#define high_words(a) _mm256_srai_epi32(a, 16)

#define load_words(at) _mm256_loadu_si256((const __m256i *)(at))
#define load_bytes(at) _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(at)))
#define store_ints(at, a) _mm256_storeu_si256((__m256i *)(at), a)
#define multiply(w, x) _mm256_madd_epi16(w, x)
#define multiply_add(sum, w, x) _mm256_add_epi32(sum, _mm256_madd_epi16(w, x))

#define load_16(at) _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(at)))
#define load_8(at) _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(at)))
#define multiply_even(a, b) _mm256_mul_epi32(a, b)
#define odd_lanes(a) _mm256_srli_epi64(a, 32)
#define add_64(a, b) _mm256_add_epi64(a, b)

static inline void store_words(int16_t *at, INTS a)
{
	const __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, a), 8);

	_mm_storeu_si128((__m128i *)at, _mm256_castsi256_si128(packed));
}

static inline int32_t sum_lanes(INTS a)
{
	__m128i x = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));

	x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0x4e));
	return _mm_cvtsi128_si32(_mm_add_epi32(x, _mm_shuffle_epi32(x, 0xb1)));
}

static inline int32_t largest_lane(INTS a)
{
	__m128i x = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));

	x = _mm_max_epi32(x, _mm_shuffle_epi32(x, 0x4e));
	return _mm_cvtsi128_si32(_mm_max_epi32(x, _mm_shuffle_epi32(x, 0xb1)));
}

static inline int64_t sum_64(INTS a)
{
	const __m128i x = _mm_add_epi64(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));

	return _mm_cvtsi128_si64(x) + _mm_extract_epi64(x, 1);
}

static inline INTS widen(const char *at, enum veto_format format)
{
	if (format == VETO_FP32)
		return _mm256_loadu_si256((const __m256i *)at);
	if (format == VETO_FP16)
		return _mm256_castps_si256(_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)at)));
	return _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)at)), 16);
}

#include "cpu_products.h"

static bool is_supported(void) { return cpu_avx2.is_supported(); }

const struct cpu_products cpu_products_avx2 = {
	.name = "avx2",
	.is_supported = is_supported,
	.quantise16 = quantise16,
	.quantise24 = quantise24,
	.dense = dense,
	.table = table,
};
