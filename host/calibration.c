/* SPDX-License-Identifier: Apache-2.0 */
/* P-values of a mean that is bounded, and the walk along a list of settings. */
#include "calibration.h"

#include <math.h>

const char *const calibration_tests[CALIBRATION_TESTS] = {"wsr", "hb"};

/* The chance of at most k of n, each with chance p. */
static double binomial_cdf(double k, double n, double p)
{
	double sum = 0;

	for (double i = 0; i <= k && i <= n; i++)
		sum += exp(lgamma(n + 1) - lgamma(i + 1) - lgamma(n - i + 1) + i * log(p) + (n - i) * log1p(-p));
	return fmin(sum, 1);
}

/* a log(a / b), 0 where a is. */
static double part(double a, double b) { return a > 0 ? a * log(a / b) : 0; }

static double p_hb(double alpha, const double *loss, uint32_t units)
{
	const double n = units;
	double sum = 0, mean, hoeffding, bentkus;

	for (uint32_t i = 0; i < units; i++)
		sum += loss[i];
	mean = fmin(sum / n, alpha);
	hoeffding = exp(-n * (part(mean, alpha) + part(1 - mean, 1 - alpha)));
	/* A sum of whole losses must not be rounded up. */
	bentkus = exp(1) * binomial_cdf(ceil(sum - 1e-9), n, alpha);
	return fmin(1, fmin(hoeffding, bentkus));
}

static double p_wsr(double alpha, double delta, const double *loss, uint32_t units)
{
	double log_k = 0, most = 0, sum = 0, squares = 0, variance = 0.25;

	for (uint32_t i = 0; i < units; i++) {
		const double j = i + 1;
		const double bet = fmin(1, sqrt(2 * log(1 / delta) / (units * variance)));
		double mean;

		log_k += log1p(-bet * (loss[i] - alpha));
		most = fmax(most, log_k);
		sum += loss[i];
		mean = (0.5 + sum) / (j + 1);
		squares += (loss[i] - mean) * (loss[i] - mean);
		variance = (0.25 + squares) / (j + 1);
	}
	return exp(-most);
}

double calibration_p(const struct calibration *c, const double *loss, uint32_t units)
{
	if (units == 0)
		return 1;
	return c->test == CALIBRATION_HB ? p_hb(c->alpha, loss, units) : p_wsr(c->alpha, c->delta, loss, units);
}

uint32_t calibration_needed(const struct calibration *c)
{
	static const double none[1 << 16];
	uint32_t low = 0, high = sizeof(none) / sizeof(*none);

	/* More units without a loss never make p larger. */
	while (high - low > 1) {
		const uint32_t middle = low + (high - low) / 2;

		if (calibration_p(c, none, middle) <= c->delta)
			high = middle;
		else
			low = middle;
	}
	return high;
}

uint32_t calibration_choose(
	const struct calibration *c, const double *loss, uint32_t settings, uint32_t units, double *p, uint32_t *tested)
{
	uint32_t passed = 0;

	for (*tested = 0; *tested < settings && passed == *tested; ++*tested) {
		p[*tested] = calibration_p(c, loss + (uint64_t)*tested * units, units);
		passed += p[*tested] <= c->delta;
	}
	return passed;
}
