/* SPDX-License-Identifier: Apache-2.0 */
/* HX1, the reference: one value after the other, as hls/arithmetic.md says it. */
#include "hx1.h"

#include "fx1.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define LIMIT (1LL << 40)

static int64_t limit(int64_t v, int64_t most) { return v > most ? most : v < -most ? -most : v; }

static int32_t sat32(int64_t v) { return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v; }

int64_t hx1_round(int64_t v, int64_t s)
{
	int64_t q, rest, half;

	if (s >= 61)
		return 0;
	if (s > 0) {
		q = v >> s;
		rest = v & ((1LL << s) - 1);
		half = 1LL << (s - 1);
		return limit(q + (rest > half || (rest == half && (q & 1))), LIMIT);
	}
	s = s < -63 ? 63 : -s;
	if ((v < 0 ? -v : v) > LIMIT >> s)
		return v < 0 ? -LIMIT : LIMIT;
	return v == 0 ? 0 : v * (1LL << s);
}

/* The exponent field, at least 1, and the signed significand. */
static int32_t take_apart(float x, int32_t *significand)
{
	uint32_t bits;
	int32_t field;

	memcpy(&bits, &x, sizeof(bits));
	field = (int32_t)(bits >> 23 & 255);
	*significand = (int32_t)(bits & 0x7fffff) | (field > 0) << 23;
	if (bits >> 31)
		*significand = -*significand;
	return field > 0 ? field : 1;
}

bool hx1_quantise(const void *state, enum veto_format format, uint32_t cols, int bits, int32_t *q, int32_t *e)
{
	const int64_t most = (1LL << (bits - 1)) - 1;
	int32_t emax = 1, significand;

	for (uint32_t i = 0; i < cols; i++) {
		const int32_t exponent = take_apart(fx1_widen(state, format, i), &significand);

		if (exponent == 255)
			return false;
		if (exponent > emax)
			emax = exponent;
	}
	for (uint32_t i = 0; i < cols; i++) {
		const int32_t exponent = take_apart(fx1_widen(state, format, i), &significand);

		q[i] = (int32_t)limit(hx1_round(significand, emax - exponent + 25 - bits), most);
	}
	*e = emax - 127;
	return true;
}

static int32_t weight_at(const struct hx1_layer *layer, uint32_t row, uint32_t col)
{
	const size_t at = (size_t)row * layer->cols + col;

	return layer->format == VETO_INT8 ? ((const int8_t *)layer->weight)[at] : ((const int16_t *)layer->weight)[at];
}

int64_t hx1_row_sum(const struct hx1_layer *layer, uint32_t row, const int32_t *q)
{
	int64_t acc = 0;

	for (uint32_t i = 0; i < layer->cols; i++)
		acc += (int64_t)q[i] * weight_at(layer, row, i);
	return acc;
}

int32_t hx1_dense_end(const struct hx1_layer *layer, uint32_t o, int64_t acc, int32_t e)
{
	const struct veto_weight_scale *s = &layer->scale[o];

	return sat32(hx1_round(acc * s->mant, (int64_t)s->sh - 2 - e) + s->bias);
}

void hx1_dense(const struct hx1_layer *layer, const int32_t *q, int32_t e, int32_t *z)
{
	for (uint32_t o = 0; o < layer->rows; o++)
		z[o] = hx1_dense_end(layer, o, hx1_row_sum(layer, o, q), e);
}

int32_t hx1_add(int32_t a, int32_t b) { return sat32((int64_t)a + b); }

void hx1_between(const int32_t *z, uint32_t count, int32_t *q, int32_t *e)
{
	int32_t most = 0;
	int b;

	for (uint32_t i = 0; i < count; i++)
		if (z[i] > most)
			most = z[i];
	b = most ? 31 - __builtin_clz((uint32_t)most) : 16;
	for (uint32_t i = 0; i < count; i++) {
		const int64_t v = hx1_round(z[i] > 0 ? z[i] : 0, b - 14);

		q[i] = v > 32767 ? 32767 : (int32_t)v;
	}
	*e = b - 16;
}

void hx1_softmax(const int32_t *z, uint32_t count, uint32_t *p, int64_t *lp)
{
	int32_t y[VETO_HEAD_OUTPUTS_MAX], n = INT32_MIN;
	uint64_t e[VETO_HEAD_OUTPUTS_MAX], sum = 0;

	for (uint32_t k = 0; k < count; k++) {
		y[k] = (int32_t)hx1_round(limit(z[k], 1 << 26) * VETO_LOG2E_SIGNIFICAND, 23);
		n = y[k] >> 16 > n ? y[k] >> 16 : n;
	}
	for (uint32_t k = 0; k < count; k++)
		sum += e[k] = fx1_element(y[k], n);
	for (uint32_t k = 0; k < count; k++) {
		p[k] = (uint32_t)((e[k] << 31) / sum);
		if (lp)
			lp[k] = fx1_nats((int64_t)y[k] * 1024 - fx1_log2(sum) - ((int64_t)n - 31) * (1 << 26));
	}
}

uint32_t hx1_both(uint32_t p, uint32_t q)
{
	const uint64_t sum = (uint64_t)p + q;

	return sum > 1u << 31 ? 1u << 31 : (uint32_t)sum;
}

/* The square root, rounded down, bit by bit. */
static uint64_t root(uint64_t v)
{
	uint64_t r = 0;

	for (uint64_t bit = 1ULL << 31; bit; bit >>= 1)
		if ((r | bit) * (r | bit) <= v)
			r |= bit;
	return r;
}

int32_t hx1_part(const struct hx1_layer *layer, uint32_t o, int64_t acc)
{
	const struct veto_weight_scale *s = &layer->scale[o];

	return (int32_t)limit(hx1_round(acc * s->mant, s->sh - 8), 1 << 30);
}

int32_t hx1_distance_end(const int32_t *part, uint32_t rows, uint64_t squares, int32_t e)
{
	uint64_t rest = squares << 16;

	for (uint32_t o = 0; o < rows; o++) {
		const uint64_t square = (uint64_t)((int64_t)part[o] * part[o]);

		rest = rest > square ? rest - square : 0;
	}
	return sat32(hx1_round((int64_t)root(rest), 6 - e));
}

int32_t hx1_distance(const struct hx1_layer *layer, const int32_t *q, int32_t e)
{
	int32_t part[VETO_HEAD_OUTPUTS_MAX];
	uint64_t squares = 0;

	for (uint32_t i = 0; i < layer->cols; i++)
		squares += (uint64_t)((int64_t)q[i] * q[i]);
	for (uint32_t o = 0; o < layer->rows; o++)
		part[o] = hx1_part(layer, o, hx1_row_sum(layer, o, q));
	return hx1_distance_end(part, layer->rows, squares, e);
}

uint32_t hx1_exp(int64_t l)
{
	/* Beyond this the result does not change, and the product stays in 64 bits. */
	const int64_t y = hx1_round(limit(l, 1LL << 34) * VETO_LOG2E_SIGNIFICAND, 27);
	const int64_t n = y >> 16;
	uint64_t e;

	if (n > 0)
		return 1u << 31;
	if (n < -31)
		return 0;
	e = (uint64_t)fx1_mantissa((uint32_t)(y & 0xffff)) << 15 >> -n;
	return e > 1u << 31 ? 1u << 31 : (uint32_t)e;
}

int64_t hx1_table_sum(const int32_t *q, uint32_t cols, const int16_t *hi, const uint8_t *lo)
{
	int64_t acc = 0;

	for (uint32_t i = 0; i < cols; i++)
		acc += (int64_t)q[i] * (256 * hi[i] + (lo ? lo[i] : 0));
	return acc;
}

int32_t hx1_table_end(int64_t acc, int32_t e, int16_t f, int32_t c, int64_t offset_q20)
{
	return sat32(hx1_round(acc, 24 - (int64_t)e - f) + c - offset_q20);
}

int64_t hx1_log_count(uint32_t count) { return fx1_nats(fx1_log2(count)); }

int hx1_make_row(const double *weight, uint32_t cols, double bias, enum veto_weight_format format, void *out,
	struct veto_weight_scale *scale, uint32_t *bad)
{
	const int lim = format == VETO_INT8 ? 127 : 32767;
	double most = 0, mant, unit, bias_q16;
	int sh = 15;

	for (*bad = 0; *bad < cols; ++*bad) {
		if (!isfinite(weight[*bad]))
			return -EINVAL;
		most = fmax(most, fabs(weight[*bad]));
	}
	bias_q16 = rint(bias * 65536.0);
	if (!(bias_q16 >= INT32_MIN && bias_q16 <= INT32_MAX))
		return -EINVAL;
	mant = 32768;
	if (most > 0) {
		mant = rint(frexp(most / lim, &sh) * 65536);
		sh = 16 - sh;
	}
	if (mant == 65536) {
		mant = 32768;
		sh--;
	}
	++*bad;
	if (sh < VETO_WEIGHT_SH_MIN || sh > VETO_WEIGHT_SH_MAX)
		return -EINVAL;
	*scale = (struct veto_weight_scale){(uint16_t)mant, (int16_t)sh, (int32_t)bias_q16};
	unit = ldexp(mant, -sh);
	for (uint32_t i = 0; i < cols; i++) {
		const int64_t w = limit((int64_t)rint(weight[i] / unit), lim);

		if (format == VETO_INT8)
			((int8_t *)out)[i] = (int8_t)w;
		else
			((int16_t *)out)[i] = (int16_t)w;
	}
	return 0;
}

int hx1_make_table_row(const double *u, uint32_t cols, int16_t *hi, uint8_t *lo, int16_t *f, uint32_t *bad)
{
	double most = 0;
	int exponent = 0;

	for (*bad = 0; *bad < cols; ++*bad) {
		if (!isfinite(u[*bad]))
			return -EINVAL;
		most = fmax(most, fabs(u[*bad]));
	}
	if (most > 0)
		exponent = ilogb(most);
	*f = (int16_t)exponent;
	for (uint32_t i = 0; i < cols; i++) {
		int64_t v;

		if (!lo) {
			hi[i] = (int16_t)limit((int64_t)rint(ldexp(u[i], 14 - exponent)), 32767);
			continue;
		}
		v = limit((int64_t)rint(ldexp(u[i], 22 - exponent)), (1 << 23) - 1);
		hi[i] = (int16_t)(v >> 8);
		lo[i] = (uint8_t)(v & 255);
	}
	return 0;
}
