/* SPDX-License-Identifier: Apache-2.0 */
/* Products of hidden states with AVX-512, and with its VNNI where VETO_VNNI is defined. */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu.h"

#define VECTOR 16
#define INTS __m512i
#define MANY_ROWS 2

#define zero() _mm512_setzero_si512()
#define splat(x) _mm512_set1_epi32(x)
#define add(a, b) _mm512_add_epi32(a, b)
#define subtract(a, b) _mm512_sub_epi32(a, b)
#define masked(a, b) _mm512_and_si512(a, b)
#define smaller(a, b) _mm512_min_epi32(a, b)
#define larger(a, b) _mm512_max_epi32(a, b)
#define shift_left(a, s) _mm512_sllv_epi32(a, s)
#define shift_right(a, s) _mm512_srlv_epi32(a, s)
#define magnitude(bits) _mm512_and_si512(bits, _mm512_set1_epi32(INT32_MAX))
#define with_sign(a, bits) _mm512_mask_sub_epi32(a, _mm512_movepi32_mask(bits), _mm512_setzero_si512(), a)
#define low_words(a) _mm512_and_si512(a, _mm512_set1_epi32(0xffff))
#define high_words(a) _mm512_srai_epi32(a, 16)
#define sum_lanes(a) _mm512_reduce_add_epi32(a)
#define largest_lane(a) _mm512_reduce_max_epi32(a)

#define load_words(at) _mm512_loadu_si512(at)
#define load_bytes(at) _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(at)))
#define store_ints(at, a) _mm512_storeu_si512(at, a)
#define store_words(at, a) _mm256_storeu_si256((__m256i *)(at), _mm512_cvtepi32_epi16(a))
#define multiply(w, x) _mm512_madd_epi16(w, x)
#ifdef VETO_VNNI
#define multiply_add(sum, w, x) _mm512_dpwssd_epi32(sum, w, x)
#else
#define multiply_add(sum, w, x) _mm512_add_epi32(sum, _mm512_madd_epi16(w, x))
#endif

#define load_16(at) _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)(at)))
#define load_8(at) _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(at)))
#define multiply_even(a, b) _mm512_mul_epi32(a, b)
#define odd_lanes(a) _mm512_srli_epi64(a, 32)
#define add_64(a, b) _mm512_add_epi64(a, b)
#define sum_64(a) _mm512_reduce_add_epi64(a)

static inline INTS widen(const char *at, enum veto_format format)
{
	if (format == VETO_FP32)
		return _mm512_loadu_si512(at);
	if (format == VETO_FP16)
		return _mm512_castps_si512(_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)at)));
	return _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)at)), 16);
}

#include "cpu_products.h"

#ifdef VETO_VNNI
static bool is_supported(void) { return cpu_avx512.is_supported() && __builtin_cpu_supports("avx512vnni"); }

const struct cpu_products cpu_products_vnni = {
	.name = "avx512vnni",
#else
static bool is_supported(void) { return cpu_avx512.is_supported(); }

const struct cpu_products cpu_products_avx512 = {
	.name = "avx512",
#endif
	.is_supported = is_supported,
	.quantise16 = quantise16,
	.quantise24 = quantise24,
	.dense = dense,
	.table = table,
};
