/* SPDX-License-Identifier: Apache-2.0 */
/* P-values on numbers worked by hand, and what they promise: over many calibrations of simulated questions the true risk of
 * the chosen setting is above alpha in a share of at most delta.
 * test_calibration [CALIBRATIONS QUESTIONS]: so many calibrations, with the true risks from so many questions. */
#include "calibration.h"
#include "check.h"
#include "simulation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t calibrations = 400, questions = 100000;

static void the_needed_units_are_those_that_are_published(void **state)
{
	static const struct {
		double alpha;
		enum calibration_test test;
		uint32_t units;
	} cases[] = {{0.05, CALIBRATION_HB, 45}, {0.1, CALIBRATION_HB, 22}, {0.05, CALIBRATION_WSR, 48},
		{0.1, CALIBRATION_WSR, 25}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct calibration c = {cases[i].test, cases[i].alpha, 0.1};

		assert_int_equal(calibration_needed(&c), cases[i].units);
	}
}

static void p_values_are_those_worked_by_hand(void **state)
{
	static const double one[] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, half[] = {0.5}, none[] = {0};
	const struct calibration hb = {CALIBRATION_HB, 0.3, 0.1}, wsr = {CALIBRATION_WSR, 0.3, 0.1};
	/* hb: 10 units of mean 0.1: exp(-10 (0.1 log(1/3) + 0.9 log(0.9/0.7))) = 0.31249; e (0.7^10 + 10 * 0.3 * 0.7^9) = 0.40605 */
	double sevenths[100];
	const double expected = exp(-10 * (0.1 * log(1.0 / 3) + 0.9 * log(0.9 / 0.7)));

	(void)state;
	assert_true(fabs(calibration_p(&hb, one, 10) - expected) < 1e-12);
	/* One unit: the bet is the largest, 1.  Without a loss K is 1 + 0.3; with 1/2 it is 1 - 0.2, and the start counts. */
	assert_true(fabs(calibration_p(&wsr, none, 1) - 1 / 1.3) < 1e-12);
	assert_true(calibration_p(&wsr, half, 1) == 1);
	assert_true(calibration_p(&wsr, none, 0) == 1);
	/* 100 units, of which each seventh loses a half; by the formulas in another language. */
	for (int i = 0; i < 100; i++)
		sevenths[i] = i % 7 == 3 ? 0.5 : 0;
	assert_true(fabs(calibration_p(&(struct calibration){CALIBRATION_WSR, 0.2, 0.1}, sevenths, 100) -
			    3.184093175496612e-05) < 1e-12);
	assert_true(fabs(calibration_p(&(struct calibration){CALIBRATION_WSR, 0.2, 0.05}, sevenths, 100) -
			    2.7848969567841932e-05) < 1e-12);
}

static void the_walk_ends_at_the_first_setting_that_fails(void **state)
{
	enum { UNITS = 100, SETTINGS = 5 };
	static double loss[SETTINGS * UNITS];
	const struct calibration c = {CALIBRATION_WSR, 0.1, 0.1};
	double p[SETTINGS];
	uint32_t tested;

	(void)state;
	for (int i = 0; i < UNITS; i++)
		loss[3 * UNITS + i] = i % 3 == 0; /* fails; the one behind it would not */
	assert_int_equal(calibration_choose(&c, loss, SETTINGS, UNITS, p, &tested), 3);
	assert_int_equal(tested, 4);
	assert_true(p[2] <= 0.1 && p[3] > 0.1);
	for (int i = 0; i < UNITS; i++)
		loss[UNITS + i] = 1;
	assert_int_equal(calibration_choose(&c, loss, SETTINGS, UNITS, p, &tested), 1);
	assert_int_equal(tested, 2);
}

/* --- Simulation --- */

enum { UNITS = 200, SEARCHED = 50 };

static double true_risk[2][LEVELS]; /* without and with a warm-up */

static int find_true_risks(void **state)
{
	(void)state;
	for (int has_warmup = 0; has_warmup < 2; has_warmup++) {
		struct dice dice = {11};

		for (uint32_t i = 0; i < questions; i++) {
			struct question q;
			struct scores scores;

			simulate_question(&dice, &q);
			simulate_scores(&dice, &q, &scores);
			for (int level = 0; level < LEVELS; level++)
				true_risk[has_warmup][level] += loss_at(&q, level, has_warmup, &scores) / questions;
		}
	}
	return 0;
}

/* The chance of at most k of n, each with chance p in (0, 1). */
static double binomial_cdf(uint32_t k, uint32_t n, double p)
{
	double sum = 0;

	for (uint32_t i = 0; i <= k && i <= n; i++)
		sum += exp(lgamma(n + 1.0) - lgamma(i + 1.0) - lgamma(n - i + 1.0) + i * log(p) + (n - i) * log1p(-p));
	return fmin(sum, 1);
}

/* The lower end of a one-sided 99 % interval of a share (Clopper and Pearson): with any smaller share so many failures, or more,
 * have a chance below 1 %. */
static double lower(uint32_t failures, uint32_t of)
{
	double low = 0, high = 1;

	for (int i = 0; i < 50 && failures > 0; i++) {
		const double middle = (low + high) / 2;

		if (1 - binomial_cdf(failures - 1, of, middle) < 0.01)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static void the_bound_of_a_share_is_exact(void **state)
{
	(void)state;
	/* One of one: p = 0.01; all of three: p^3 = 0.01; one of ten: (1 - p)^10 = 0.99. */
	assert_true(lower(0, 10) == 0);
	assert_true(fabs(lower(1, 1) - 0.01) < 1e-9);
	assert_true(fabs(lower(3, 3) - cbrt(0.01)) < 1e-9);
	assert_true(fabs(lower(1, 10) - (1 - pow(0.99, 0.1))) < 1e-9);
}

/* The calibrate part: its questions with their scores. */
struct units {
	struct question question[UNITS];
	struct scores scores[UNITS];
};

/* What a calibration chooses by, right or wrong ways. */
enum way { WAY_WSR, WAY_HB, WAY_MEAN, WAY_CANDIDATES, WAYS };
static const char *const ways[WAYS] = {"wsr", "hb", "mean <= alpha", "binomial over candidates"};

/* As if candidates were independent: the chance of so few lost ones of so many. */
static double p_of_candidates(const struct units *u, int level, bool has_warmup, double alpha)
{
	uint32_t right = 0, lost = 0;

	for (int i = 0; i < UNITS; i++) {
		right += (uint32_t)u->question[i].right;
		lost += (uint32_t)__builtin_popcount(lost_at(&u->question[i], level, has_warmup, &u->scores[i]));
	}
	return binomial_cdf(lost, right, alpha);
}

static double mean_of(const double *loss)
{
	double sum = 0;

	for (int i = 0; i < UNITS; i++)
		sum += loss[i];
	return sum / UNITS;
}

/* loss[level * UNITS + unit] */
static int choose(enum way way, const struct units *u, bool has_warmup, double alpha, const double *loss)
{
	const struct calibration c = {way == WAY_HB ? CALIBRATION_HB : CALIBRATION_WSR, alpha, 0.1};
	double p[LEVELS];
	uint32_t tested;
	int level = 1;

	if (way == WAY_WSR || way == WAY_HB)
		return (int)calibration_choose(&c, loss, LEVELS, UNITS, p, &tested) - 1;
	for (; level < LEVELS; level++)
		if (way == WAY_MEAN ? mean_of(loss + level * UNITS) > alpha
				    : p_of_candidates(u, level, has_warmup, alpha) > c.delta)
			break;
	return level - 1;
}

/* How many calibrations choose a setting whose true risk is above alpha, in each way. */
static void count_failures(bool has_warmup, double alpha, uint32_t failures[WAYS])
{
	static struct units u;
	static double loss[LEVELS * UNITS];
	struct dice dice = {12};

	memset(failures, 0, WAYS * sizeof(*failures));
	for (uint32_t i = 0; i < calibrations; i++) {
		for (int unit = 0; unit < UNITS; unit++) {
			simulate_question(&dice, &u.question[unit]);
			simulate_scores(&dice, &u.question[unit], &u.scores[unit]);
			for (int level = 0; level < LEVELS; level++)
				loss[level * UNITS + unit] =
					loss_at(&u.question[unit], level, has_warmup, &u.scores[unit]);
		}
		for (int way = 0; way < WAYS; way++)
			failures[way] +=
				true_risk[has_warmup][choose((enum way)way, &u, has_warmup, alpha, loss)] > alpha;
	}
}

/* Whether one of the settings passes on these questions: each is another score of the same candidates, which has nothing to do
 * with the others, at that level. */
static bool is_search_lucky(struct dice *dice, const struct question question[UNITS], int level, bool has_warmup,
	const struct calibration *c)
{
	bool is_lucky = false;

	for (int setting = 0; setting < SEARCHED && !is_lucky; setting++) {
		double loss[UNITS];

		for (int unit = 0; unit < UNITS; unit++) {
			struct scores scores;

			simulate_scores(dice, &question[unit], &scores);
			loss[unit] = loss_at(&question[unit], level, has_warmup, &scores);
		}
		is_lucky = calibration_p(c, loss, UNITS) <= c->delta;
	}
	return is_lucky;
}

/* Settings that all have the first risk above alpha: in how many calibrations one passes. */
static uint32_t count_lucky_searches(bool has_warmup, double alpha)
{
	const struct calibration c = {CALIBRATION_WSR, alpha, 0.1};
	struct question question[UNITS];
	struct dice dice = {13};
	uint32_t lucky = 0;
	int level = 0;

	while (level < LEVELS - 1 && true_risk[has_warmup][level] <= alpha)
		level++;
	assert_true(true_risk[has_warmup][level] > alpha);
	for (uint32_t i = 0; i < calibrations; i++) {
		for (int unit = 0; unit < UNITS; unit++)
			simulate_question(&dice, &question[unit]);
		lucky += is_search_lucky(&dice, question, level, has_warmup, &c);
	}
	return lucky;
}

static void the_risk_is_kept_and_wrong_ways_are_caught(void **state)
{
	(void)state;
	for (int has_warmup = 0; has_warmup < 2; has_warmup++)
		for (int step = 1; step <= 2; step++) {
			const double alpha = 0.05 * step;
			uint32_t failures[WAYS];

			count_failures(has_warmup, alpha, failures);
			for (int way = 0; way < WAYS; way++) {
				const double share = lower(failures[way], calibrations);

				print_message("%s, alpha %.2f, %s: the risk is above it in %u of %u calibrations\n",
					has_warmup ? "warm-up" : "floor", alpha, ways[way], failures[way],
					calibrations);
				assert_true(way <= WAY_HB ? share <= 0.1 : share > 0.1);
			}
		}
}

static void a_search_among_unrelated_settings_is_caught(void **state)
{
	(void)state;
	for (int has_warmup = 0; has_warmup < 2; has_warmup++) {
		const uint32_t lucky = count_lucky_searches(has_warmup, 0.1);

		print_message("%s, %d settings searched: one passes in %u of %u calibrations\n",
			has_warmup ? "warm-up" : "floor", SEARCHED, lucky, calibrations);
		assert_true(lower(lucky, calibrations) > 0.1);
	}
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_needed_units_are_those_that_are_published),
		cmocka_unit_test(p_values_are_those_worked_by_hand),
		cmocka_unit_test(the_walk_ends_at_the_first_setting_that_fails),
		cmocka_unit_test(the_bound_of_a_share_is_exact),
		cmocka_unit_test(the_risk_is_kept_and_wrong_ways_are_caught),
		cmocka_unit_test(a_search_among_unrelated_settings_is_caught),
	};

	if (argc == 3) {
		calibrations = (uint32_t)strtoul(argv[1], NULL, 10);
		questions = (uint32_t)strtoul(argv[2], NULL, 10);
	}
	return cmocka_run_group_tests(tests, find_true_risks, NULL);
}
