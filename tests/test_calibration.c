/* SPDX-License-Identifier: Apache-2.0 */
/* P-values on numbers worked by hand, and what they promise: over many calibrations of simulated questions the true risk of
 * the chosen setting is above alpha in a share of at most delta.
 * test_calibration [CALIBRATIONS QUESTIONS]: so many calibrations, with the true risks from so many questions. */
#include "calibration.h"
#include "check.h"
#include "rows.h"

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

enum { N = 16, WARMUP = 8, LEVELS = 100, UNITS = 200, SEARCHED = 50 };

/* A question: its right candidates, and how many of them each level rejects. */
struct question {
	int right, lost[LEVELS];
};

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The threshold of a level: a floor that rises, or with a warm-up a percentile of its scores.  The first rejects nothing. */
static double threshold_of(int level, const double *warmup)
{
	const double at = (double)level / LEVELS * (WARMUP - 1) / 2;
	const int below = (int)at;

	if (level == 0)
		return -INFINITY;
	return warmup ? warmup[below] + (at - below) * (warmup[below + 1] - warmup[below]) : -6 + 5.0 * level / LEVELS;
}

/* How easy a question is, how sure the model is there, and how much surer of right candidates, or of wrong ones, move all of
 * its candidates, so they depend on each other. */
static void simulate(struct dice *dice, bool has_warmup, struct question *q)
{
	const double ease = 1.2 * dice_normal(dice), shift = 2 * dice_normal(dice);
	const double advantage = 0.8 + 1.5 * dice_normal(dice);
	double score[N], warmup[WARMUP];
	bool is_right[N];

	*q = (struct question){0};
	for (int i = 0; i < N; i++) {
		is_right[i] = dice_normal(dice) < ease + 0.3;
		score[i] = shift + 0.3 * dice_normal(dice) + (is_right[i] ? advantage : 0);
		q->right += is_right[i];
	}
	memcpy(warmup, score, sizeof(warmup));
	qsort(warmup, WARMUP, sizeof(*warmup), by_value);
	for (int level = 0; level < LEVELS; level++) {
		const double threshold = threshold_of(level, has_warmup ? warmup : NULL);

		for (int i = has_warmup ? WARMUP : 0; i < N; i++)
			q->lost[level] += is_right[i] && score[i] < threshold;
	}
}

/* One that has a right candidate. */
static void simulate_answerable(struct dice *dice, bool has_warmup, struct question *q)
{
	do
		simulate(dice, has_warmup, q);
	while (q->right == 0);
}

static void find_true_risks(bool has_warmup, double risk[LEVELS])
{
	struct dice dice = {11};
	struct question q;

	memset(risk, 0, LEVELS * sizeof(*risk));
	for (uint32_t i = 0; i < questions; i++) {
		simulate_answerable(&dice, has_warmup, &q);
		for (int level = 0; level < LEVELS; level++)
			risk[level] += (double)q.lost[level] / q.right / questions;
	}
}

/* What a calibration chooses by, right or wrong ways. */
enum way { WAY_WSR, WAY_HB, WAY_MEAN, WAY_CANDIDATES, WAYS };
static const char *const ways[WAYS] = {"wsr", "hb", "mean <= alpha", "binomial over candidates"};

/* As if candidates were independent: the chance of so few lost ones of so many, by the normal distribution. */
static double p_of_candidates(const struct question *q, int level, double alpha)
{
	double right = 0, lost = 0;

	for (int i = 0; i < UNITS; i++) {
		right += q[i].right;
		lost += q[i].lost[level];
	}
	return 0.5 * erfc(-(lost + 0.5 - alpha * right) / sqrt(2 * alpha * (1 - alpha) * right));
}

static uint32_t choose(enum way way, const struct question *q, double alpha)
{
	static double loss[LEVELS * UNITS];
	const struct calibration c = {way == WAY_HB ? CALIBRATION_HB : CALIBRATION_WSR, alpha, 0.1};
	double p[LEVELS];
	uint32_t tested, level = 1;

	for (int unit = 0; unit < UNITS; unit++)
		for (int i = 0; i < LEVELS; i++)
			loss[i * UNITS + unit] = (double)q[unit].lost[i] / q[unit].right;
	if (way == WAY_WSR || way == WAY_HB)
		return calibration_choose(&c, loss, LEVELS, UNITS, p, &tested) - 1;
	for (; level < LEVELS; level++) {
		double mean = 0;

		for (int i = 0; i < UNITS; i++)
			mean += loss[level * UNITS + i] / UNITS;
		if (way == WAY_MEAN ? mean > alpha : p_of_candidates(q, (int)level, alpha) > c.delta)
			break;
	}
	return level - 1;
}

/* How many calibrations choose a setting whose true risk is above alpha, in each way. */
static void count_failures(bool has_warmup, double alpha, const double *risk, uint32_t failures[WAYS])
{
	static struct question q[UNITS];
	struct dice dice = {12};

	memset(failures, 0, WAYS * sizeof(*failures));
	for (uint32_t i = 0; i < calibrations; i++) {
		for (int unit = 0; unit < UNITS; unit++)
			simulate_answerable(&dice, has_warmup, &q[unit]);
		for (int way = 0; way < WAYS; way++)
			failures[way] += risk[choose((enum way)way, q, alpha)] > alpha;
	}
}

/* Settings that have nothing to do with each other, all of a risk above alpha: in how many calibrations one passes. */
static uint32_t count_lucky_searches(bool has_warmup, double alpha, const double *risk)
{
	const struct calibration c = {CALIBRATION_WSR, alpha, 0.1};
	struct dice dice = {13};
	struct question q;
	double loss[UNITS];
	uint32_t lucky = 0;
	int level = 0;

	while (risk[level] <= alpha)
		level++;
	for (uint32_t i = 0; i < calibrations; i++) {
		bool is_lucky = false;

		for (int setting = 0; setting < SEARCHED && !is_lucky; setting++) {
			for (int unit = 0; unit < UNITS; unit++) {
				simulate_answerable(&dice, has_warmup, &q);
				loss[unit] = (double)q.lost[level] / q.right;
			}
			is_lucky = calibration_p(&c, loss, UNITS) <= c.delta;
		}
		lucky += is_lucky;
	}
	return lucky;
}

/* The lower end of a one-sided 99 % interval of a share (Wilson). */
static double lower(uint32_t failures, uint32_t of)
{
	const double z = 2.3263, n = of, share = failures / n;

	return (share + z * z / (2 * n) - z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))) / (1 + z * z / n);
}

static void the_risk_is_kept_and_wrong_ways_are_caught(void **state)
{
	double risk[LEVELS];

	(void)state;
	for (int has_warmup = 0; has_warmup < 2; has_warmup++) {
		find_true_risks(has_warmup, risk);
		for (int step = 1; step <= 2; step++) {
			const double alpha = 0.05 * step;
			uint32_t failures[WAYS];

			count_failures(has_warmup, alpha, risk, failures);
			for (int way = 0; way < WAYS; way++) {
				const double share = lower(failures[way], calibrations);

				print_message("%s, alpha %.2f, %s: the risk is above it in %u of %u calibrations\n",
					has_warmup ? "warm-up" : "floor", alpha, ways[way], failures[way],
					calibrations);
				assert_true(way <= WAY_HB ? share <= 0.1 : share > 0.1);
			}
		}
	}
}

static void a_search_among_unrelated_settings_is_caught(void **state)
{
	double risk[LEVELS];

	(void)state;
	for (int has_warmup = 0; has_warmup < 2; has_warmup++) {
		uint32_t lucky;

		find_true_risks(has_warmup, risk);
		lucky = count_lucky_searches(has_warmup, 0.1, risk);
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
		cmocka_unit_test(the_risk_is_kept_and_wrong_ways_are_caught),
		cmocka_unit_test(a_search_among_unrelated_settings_is_caught),
	};

	if (argc == 3) {
		calibrations = (uint32_t)strtoul(argv[1], NULL, 10);
		questions = (uint32_t)strtoul(argv[2], NULL, 10);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
