/* SPDX-License-Identifier: Apache-2.0 */
/* The way through states and weights that the variants with vectors share: each defines VECTOR (32-bit lanes), INTS (so
 * many of them), MANY_ROWS and the operations named below, and includes this behind them. */
#include "cpu_hidden.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define WORDS (2 * VECTOR) /* 16-bit lanes */
#define MANY_STATES 4 /* that MANY_ROWS rows are multiplied with at a time: as much as there are registers for */
#define AHEAD_BYTES 4096 /* weights that are fetched before their turn */
/* Products of 8-bit weights, two and two, lie within +-2^23 - 2^16, so that 32 bits hold so many and one more. */
#define TURNS8 256
#define TILE_BYTES (64 << 10) /* of weights, which every group of states meets in the cache */

/* Sums of products by lane: 2^16 high + low.  A row has at most 2^14 / WORDS turns, and neither overflows. */
struct sums {
	INTS low, high;
};

INLINE void add_product(struct sums *sums, INTS product)
{
	sums->low = add(sums->low, low_words(product));
	sums->high = add(sums->high, high_words(product));
}

/* WORDS columns of rows and states. */
INLINE void take_turn(bool is_int8, const char *row, size_t row_bytes, uint32_t rows, const int16_t *q, size_t stride,
	uint32_t states, struct sums *sums, INTS *part)
{
	INTS w[MANY_ROWS];

	for (uint32_t r = 0; r < rows; r++)
		w[r] = is_int8 ? load_bytes(row + r * row_bytes) : load_words(row + r * row_bytes);
	for (uint32_t s = 0; s < states; s++) {
		const INTS x = load_words(q + s * stride);

		for (uint32_t r = 0; r < rows; r++) {
			if (is_int8)
				part[r * states + s] = multiply_add(part[r * states + s], w[r], x);
			else
				add_product(&sums[r * states + s], multiply(w[r], x));
		}
	}
}

/* What lies there may be no weights any more, and is then fetched for nothing. */
INLINE void fetch_ahead(const char *row, size_t row_bytes, uint32_t rows)
{
	for (uint32_t r = 0; r < rows; r++)
		__builtin_prefetch((const void *)((uintptr_t)(row + r * row_bytes) + AHEAD_BYTES));
}

/* The columns left over, filled up with zeros. */
INLINE void take_end(bool is_int8, const char *row, size_t row_bytes, uint32_t rows, uint32_t left, const int16_t *q,
	size_t stride, uint32_t states, struct sums *sums, INTS *part)
{
	char end[MANY_ROWS][2 * WORDS];

	memset(end, 0, sizeof(end));
	for (uint32_t r = 0; r < rows; r++)
		memcpy(end[r], row + r * row_bytes, left * (is_int8 ? 1 : 2));
	take_turn(is_int8, end[0], sizeof(end[0]), rows, q, stride, states, sums, part);
}

/* Rows and states of constant numbers: everything stays in registers. */
INLINE void take_block(const struct hx1_layer *layer, bool is_int8, uint32_t first, uint32_t rows, const int16_t *q,
	size_t stride, uint32_t states, int64_t *acc)
{
	const size_t bytes = is_int8 ? 1 : 2, row_bytes = layer->cols * bytes;
	const char *row = (const char *)layer->weight + first * row_bytes;
	const uint32_t turns = layer->cols / WORDS, left = layer->cols % WORDS;
	struct sums sums[MANY_ROWS * MANY_STATES];
	INTS part[MANY_ROWS * MANY_STATES];
	uint32_t turn = 0;

	for (uint32_t i = 0; i < rows * states; i++)
		sums[i] = (struct sums){zero(), zero()};
	do {
		const uint32_t end = is_int8 && turns - turn > TURNS8 ? turn + TURNS8 : turns;

		for (uint32_t i = 0; i < rows * states; i++)
			part[i] = zero();
		for (; turn < end; turn++) {
			fetch_ahead(row + turn * WORDS * bytes, row_bytes, rows);
			take_turn(is_int8, row + turn * WORDS * bytes, row_bytes, rows, q + turn * WORDS, stride,
				states, sums, part);
		}
		if (turn == turns && left > 0)
			take_end(is_int8, row + turn * WORDS * bytes, row_bytes, rows, left, q + turn * WORDS, stride,
				states, sums, part);
		for (uint32_t i = 0; is_int8 && i < rows * states; i++)
			add_product(&sums[i], part[i]);
	} while (turn < turns);
	for (uint32_t r = 0; r < rows; r++)
		for (uint32_t s = 0; s < states; s++)
			acc[(size_t)s * layer->rows + first + r] =
				(int64_t)sum_lanes(sums[r * states + s].high) * 65536 +
				sum_lanes(sums[r * states + s].low);
}

INLINE void take_rows(const struct hx1_layer *layer, bool is_int8, uint32_t first, uint32_t end, const int16_t *q,
	size_t stride, uint32_t states, uint32_t many, int64_t *acc)
{
	for (; first + many <= end; first += many)
		take_block(layer, is_int8, first, many, q, stride, states, acc);
	for (; first < end; first++)
		take_block(layer, is_int8, first, 1, q, stride, states, acc);
}

INLINE void take_tiles(
	const struct hx1_layer *layer, bool is_int8, const int16_t *q, size_t stride, uint32_t states, int64_t *acc)
{
	const uint32_t tile = (TILE_BYTES / layer->cols / MANY_ROWS + 1) * MANY_ROWS;

	for (uint32_t first = 0; first < layer->rows; first += tile) {
		const uint32_t end = layer->rows - first < tile ? layer->rows : first + tile;
		uint32_t s = 0;

		for (; s + MANY_STATES <= states; s += MANY_STATES)
			take_rows(layer, is_int8, first, end, q + s * stride, stride, MANY_STATES, MANY_ROWS,
				acc + (size_t)s * layer->rows);
		for (; s < states; s++)
			take_rows(layer, is_int8, first, end, q + s * stride, stride, 1, 1,
				acc + (size_t)s * layer->rows);
	}
}

static void dense(const struct hx1_layer *layer, const int16_t *q, size_t stride, uint32_t states, int64_t *acc)
{
	if (layer->format == VETO_INT8)
		take_tiles(layer, true, q, stride, states, acc);
	else
		take_tiles(layer, false, q, stride, states, acc);
}

/* VECTOR values as bits of fp32; what lies beyond cols is zero. */
INLINE INTS state_at(const char *state, enum veto_format format, uint32_t cols, uint32_t first)
{
	const size_t bytes = veto_format_bytes(format);
	char end[4 * VECTOR];

	if (cols - first >= VECTOR)
		return widen(state + first * bytes, format);
	memset(end, 0, sizeof(end));
	memcpy(end, state + first * bytes, (cols - first) * bytes);
	return widen(end, format);
}

/* Step 1: the largest exponent field, at least 1; 255: NaN or infinity. */
INLINE int32_t find_exponent(const char *state, enum veto_format format, uint32_t cols)
{
	INTS most = zero();
	int32_t exponent;

	for (uint32_t i = 0; i < cols; i += VECTOR)
		most = larger(most, magnitude(state_at(state, format, cols, i)));
	exponent = largest_lane(most) >> 23;
	return exponent > 1 ? exponent : 1;
}

/* Its integers.  A shift of 31 leaves nothing of 24 bits, and rounds to nothing. */
INLINE INTS quantise_vector(INTS bits, INTS emax, int32_t shift, INTS most)
{
	const INTS one = splat(1), value = magnitude(bits), field = shift_right(value, splat(23));
	const INTS significand = add(masked(value, splat(0x7fffff)), shift_left(smaller(field, one), splat(23)));
	const INTS s = smaller(add(subtract(emax, larger(field, one)), splat(shift)), splat(31));
	const INTS half = subtract(shift_left(one, subtract(s, one)), one);
	const INTS odd = masked(shift_right(significand, s), one);
	const INTS q = smaller(shift_right(add(add(significand, half), odd), s), most);

	return with_sign(q, bits);
}

static bool quantise16(const void *state, enum veto_format format, uint32_t cols, int16_t *q, int32_t *e)
{
	const int32_t emax = find_exponent(state, format, cols);
	uint32_t i;

	if (emax == 255)
		return false;
	for (i = 0; i < cols; i += VECTOR)
		store_words(q + i, quantise_vector(state_at(state, format, cols, i), splat(emax), 9, splat(INT16_MAX)));
	for (; i % CPU_STATE_ALIGN; i += VECTOR)
		store_words(q + i, zero());
	*e = emax - 127;
	return true;
}

static bool quantise24(const void *state, enum veto_format format, uint32_t cols, int32_t *q, int32_t *e)
{
	const int32_t emax = find_exponent(state, format, cols);

	if (emax == 255)
		return false;
	for (uint32_t i = 0; i < cols; i += VECTOR)
		store_ints(
			q + i, quantise_vector(state_at(state, format, cols, i), splat(emax), 1, splat((1 << 23) - 1)));
	*e = emax - 127;
	return true;
}

static int64_t table(const int32_t *q, uint32_t cols, const int16_t *hi, const uint8_t *lo)
{
	INTS even = zero(), odd = zero();
	uint32_t i;

	for (i = 0; i + VECTOR <= cols; i += VECTOR) {
		const INTS v = lo ? add(shift_left(load_16(hi + i), splat(8)), load_8(lo + i))
				  : shift_left(load_16(hi + i), splat(8));
		const INTS x = load_words(q + i);

		even = add_64(even, multiply_even(v, x));
		odd = add_64(odd, multiply_even(odd_lanes(v), odd_lanes(x)));
	}
	return sum_64(add_64(even, odd)) + hx1_table_sum(q + i, cols - i, hi + i, lo ? lo + i : NULL);
}
