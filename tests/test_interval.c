/* SPDX-License-Identifier: Apache-2.0 */
/* Intervals of scores from the likeliest tokens: the true value lies inside, always. */
#include "check.h"
#include "interval.h"
#include "map.h"
#include "npy.h"
#include "rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 20000
#define VOCAB_MAX 3000
#define LISTED_MAX 40

/* A row's log-probabilities in double precision, in descending order, and its scores. */
struct truth {
	double *logp;
	uint32_t vocab;
	double certainty, entropy;
};

static int descending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x < y) - (x > y);
}

static int descending_float(const void *a, const void *b)
{
	const float x = *(const float *)a, y = *(const float *)b;

	return (x < y) - (x > y);
}

/* From logits in logp[vocab]. */
static void find_truth(struct truth *t)
{
	double sum = 0, mean = 0, lse;

	qsort(t->logp, t->vocab, sizeof(*t->logp), descending);
	for (uint32_t i = 0; i < t->vocab; i++) {
		sum += exp(t->logp[i] - t->logp[0]);
		mean += t->logp[i] / t->vocab;
	}
	lse = t->logp[0] + log(sum);
	t->entropy = 0;
	t->certainty = lse - mean - log(t->vocab);
	for (uint32_t i = 0; i < t->vocab; i++) {
		t->logp[i] -= lse;
		t->entropy -= exp(t->logp[i]) * t->logp[i];
	}
}

static double nats(int64_t q20) { return (double)q20 * 0x1p-20; }

/* Cut the row to `listed` tokens, with errors up to the stated one, and check what is said of it; allowed: how far the truth
 * itself may be off.  Returns the width of the entropy's interval. */
static double check_cut(const struct truth *t, uint32_t listed, double error, double allowed, struct dice *dice)
{
	float logp[LISTED_MAX];
	const uint32_t sampled = dice_below(dice, dice_below(dice, 2) ? t->vocab : listed);
	const double certain = error - 85 * 0x1p-24; /* the rest is for the rounding to fp32 */
	double off = certain * (2 * (double)dice_unit(dice) - 1);
	struct interval_row row = {logp, listed, NAN, t->vocab, error};
	struct veto_score s;
	struct interval_p p;

	for (uint32_t i = 0; i < listed; i++)
		logp[i] = (float)(t->logp[i] + certain * (dice_below(dice, 2) ? 1 : -1) * (double)dice_unit(dice));
	/* A sampled token that is listed has the listed value; any other has an error of its own, and none above the last. */
	row.sampled = sampled < listed ? (double)logp[sampled] : t->logp[sampled] + off;
	qsort(logp, listed, sizeof(*logp), descending_float);
	if (sampled >= listed && row.sampled > (double)logp[listed - 1])
		row.sampled = NAN;
	interval_score(&row, &s);
	assert_true(s.has >> VETO_SELF_CERTAINTY & 1 && s.has >> VETO_ENTROPY & 1);
	assert_int_equal(s.field[VETO_SELF_CERTAINTY].high, INT64_MAX);
	assert_int_equal(s.field[VETO_SELF_CERTAINTY].low, s.field[VETO_SC_LOWER].low);
	if (nats(s.field[VETO_SC_LOWER].low) > t->certainty + allowed)
		fail_msg("vocabulary %u, %u listed, error %g: self-certainty %.9f is said to be at least %.9f",
			t->vocab, listed, error, t->certainty, nats(s.field[VETO_SC_LOWER].low));
	if (nats(s.field[VETO_ENTROPY].low) > t->entropy + allowed ||
		nats(s.field[VETO_ENTROPY].high) < t->entropy - allowed)
		fail_msg("vocabulary %u, %u listed, error %g: entropy %.9f is said to lie in %.9f to %.9f", t->vocab,
			listed, error, t->entropy, nats(s.field[VETO_ENTROPY].low), nats(s.field[VETO_ENTROPY].high));
	for (uint32_t i = 0; i < t->vocab; i += 1 + t->vocab / 16) {
		if (i == sampled)
			continue;
		p = interval_probability(&row, i < listed ? t->logp[i] + off : NAN);
		if (exp(t->logp[i]) < p.low || exp(t->logp[i]) > p.high)
			fail_msg("vocabulary %u, %u listed: p %g is said to lie in %g to %g", t->vocab, listed,
				exp(t->logp[i]), p.low, p.high);
	}
	return nats(s.field[VETO_ENTROPY].high - s.field[VETO_ENTROPY].low);
}

/* Logits of many shapes. */
static void make_logits(struct truth *t, struct dice *dice)
{
	const uint32_t shape = dice_below(dice, 6);
	const double scale = exp(6 * (double)dice_unit(dice) - 3);

	t->vocab = 2 + dice_below(dice, dice_below(dice, 3) ? 60 : VOCAB_MAX - 2);
	for (uint32_t i = 0; i < t->vocab; i++)
		switch (shape) {
		case 0:
			t->logp[i] = scale * (double)dice_normal(dice);
			break;
		case 1: /* as Zipf has it */
			t->logp[i] = -scale * log(i + 1);
			break;
		case 2: /* one that is likely */
			t->logp[i] = i == 0 ? 5 * scale : 0.1 * (double)dice_normal(dice);
			break;
		case 3: /* equal ones */
			t->logp[i] = 0;
			break;
		case 4: /* steps */
			t->logp[i] = -scale * floor(i / 7.0);
			break;
		default: /* few that share everything, and nothing left */
			t->logp[i] = i < 3 ? (double)dice_unit(dice) : -60 * (double)dice_unit(dice) - 20;
			break;
		}
	find_truth(t);
}

static uint32_t choose_listed(uint32_t vocab, struct dice *dice)
{
	const uint32_t most = vocab < LISTED_MAX ? vocab : LISTED_MAX;

	return dice_below(dice, 8) ? 1 + dice_below(dice, most) : most;
}

static void the_truth_lies_inside_for_random_rows(void **state)
{
	static const double errors[] = {1e-3, 1e-5, 0.0091, 1e-4};
	struct dice dice = {20260101};
	struct truth t = {.logp = calloc(VOCAB_MAX, sizeof(double))};
	double widths = 0;

	(void)state;
	assert_non_null(t.logp);
	for (int i = 0; i < ROWS; i++) {
		make_logits(&t, &dice);
		for (int cut = 0; cut < 4; cut++)
			widths +=
				check_cut(&t, choose_listed(t.vocab, &dice), errors[dice_below(&dice, 4)], 2e-6, &dice);
	}
	free(t.logp);
	assert_true(widths / (4 * ROWS) < 1); /* and the intervals say something */
}

/* Rows that a real model wrote, fp32; `veto run --rows` records them. */
static const char *recorded;

static void the_truth_lies_inside_for_recorded_rows(void **state)
{
	struct dice dice = {7};
	struct truth t = {0};
	struct map map;
	struct npy rows;

	(void)state;
	assert_int_equal(map_open(recorded, &map, NULL), 0);
	assert_int_equal(npy_parse(map.data, map.bytes, recorded, &rows, NULL), 0);
	assert_string_equal(rows.type, "f4");
	assert_true(rows.rows >= 10);
	t.vocab = (uint32_t)rows.cols;
	t.logp = calloc(rows.cols, sizeof(*t.logp));
	assert_non_null(t.logp);
	for (uint64_t i = 0; i < rows.rows; i++) {
		for (uint32_t j = 0; j < t.vocab; j++)
			t.logp[j] = (double)((const float *)rows.data)[i * rows.cols + j];
		find_truth(&t);
		for (int cut = 0; cut < 20; cut++)
			check_cut(&t, choose_listed(t.vocab, &dice), interval_server_error(t.vocab), 2e-6, &dice);
	}
	free(t.logp);
	map_close(&map);
}

static void what_is_listed_is_taken_as_it_is(void **state)
{
	const float logp[] = {-0.25f, -2, -3, -4, -5};
	struct interval_row row = {logp, 5, -7.5, 100, 1e-3};
	struct veto_score s;

	(void)state;
	interval_score(&row, &s);
	assert_int_equal(s.field[VETO_TOKEN_LOGP].low, -(15 << 19));
	assert_int_equal(s.field[VETO_TOKEN_LOGP].high, -(15 << 19));
	assert_int_equal(s.field[VETO_TOP1_LOGP].low, -(1 << 18));
	assert_int_equal(s.field[VETO_MARGIN].low, 7 << 18);
	assert_int_equal(s.field[VETO_TOPK_CONFIDENCE].low, llrint(14.25 / 5 * 0x1p20));
	/* Fewer than five tell nothing of a confidence, and fillers nothing at all. */
	row.listed = 4;
	interval_score(&row, &s);
	assert_false(s.has >> VETO_TOPK_CONFIDENCE & 1);
	row.listed = 5;
	row.sampled = -9999;
	row.vocab = 0;
	interval_score(&row, &s);
	assert_int_equal(s.has, 1u << VETO_TOP1_LOGP | 1u << VETO_MARGIN | 1u << VETO_TOPK_CONFIDENCE);
	row.logp = (const float[]){-9999, -9999, -9999, -9999, -9999};
	row.vocab = 100;
	interval_score(&row, &s);
	assert_int_equal(s.has, 0);
}

static void all_tokens_listed_leave_only_the_error(void **state)
{
	struct dice dice = {5};
	double logits[8] = {3, 1, 1, 0, -1, -2, -2.5, -7};
	struct truth t = {logits, 8, 0, 0};

	(void)state;
	find_truth(&t);
	assert_true(check_cut(&t, 8, 1e-5, 2e-6, &dice) < 1.2e-4);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_truth_lies_inside_for_random_rows),
		cmocka_unit_test(what_is_listed_is_taken_as_it_is),
		cmocka_unit_test(all_tokens_listed_leave_only_the_error),
	};

	const struct CMUnitTest of_file[] = {cmocka_unit_test(the_truth_lies_inside_for_recorded_rows)};

	recorded = argc > 1 ? argv[1] : NULL;
	return recorded ? cmocka_run_group_tests(of_file, NULL, NULL) : cmocka_run_group_tests(tests, NULL, NULL);
}
