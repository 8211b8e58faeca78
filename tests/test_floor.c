/* SPDX-License-Identifier: Apache-2.0 */
/* floor and window-floor, by small examples worked by hand. */
#include "prompt.h"

#include <errno.h>
#include <string.h>

static void floor_rejects_when_the_mean_of_a_full_window_is_below(void **state)
{
	struct veto_session *s = prompt_new("floor:window=3,threshold=2,min_survivors=0", 2, 0, 100);
	struct veto_verdict v;

	(void)state;
	prompt_open_all(s, 2);
	/* Candidate 0: means of three: (1+2+3)/3 = 2, not below; (2+3+0.5)/3 = 1.83, below, at token 4. */
	prompt_tokens(s, 0, (double[]){1, 2, 3}, 3);
	prompt_tokens(s, 1, (double[]){0, 0}, 2); /* not full */
	assert_string_equal(prompt_round(s), "");
	prompt_token(s, 0, 0.5);
	prompt_token(s, 1, 9);
	veto_session_round(s);
	assert_true(veto_session_next(s, &v));
	assert_int_equal(v.kind, VETO_REJECT);
	assert_int_equal(v.candidate, 0);
	assert_int_equal(v.tokens, 4);
	assert_int_equal(v.field, VETO_SELF_CERTAINTY);
	assert_int_equal(v.score, 5767168 / 3); /* 5.5 nats in Q20, over 3, truncated */
	assert_int_equal(v.threshold, NATS(2));
	assert_false(veto_session_next(s, &v));
	assert_int_equal(prompt_state(s, 0), VETO_OUT);
	assert_int_equal(prompt_state(s, 1), VETO_LIVE);
	veto_session_free(s);
}

static void floor_reads_entropy_negated(void **state)
{
	struct veto_session *s = prompt_new("floor:score=entropy,window=1,threshold=-3,min_survivors=0", 2, 0, 100);

	(void)state;
	prompt_open_all(s, 2);
	prompt_token(s, 0, 2.5);
	prompt_token(s, 1, 3.5);
	assert_string_equal(prompt_round(s), "R1@1");
	veto_session_free(s);
}

static void floor_reads_probabilities_as_parts_of_one(void **state)
{
	struct veto_session *s =
		prompt_new("floor:score=subset_first,window=1,threshold=0.25,min_survivors=0", 2, 0, 100);

	(void)state;
	prompt_open_all(s, 2);
	prompt_token(s, 0, 0.25);
	prompt_token(s, 1, 0.2499);
	assert_string_equal(prompt_round(s), "R1@1");
	veto_session_free(s);
}

static void floor_with_rungs_tests_only_there_on_the_mean_of_all(void **state)
{
	struct veto_session *s = prompt_new("floor:rungs=2+4,threshold=1+3,min_survivors=0", 2, 0, 100);

	(void)state;
	prompt_open_all(s, 2);
	/* Means at 2 and 4: candidate 0: 1, then 2.5 < 3.  Candidate 1: 0.5 < 1 at once. */
	prompt_tokens(s, 0, (double[]){0, 2, 4, 4}, 4);
	prompt_tokens(s, 1, (double[]){1, 0, 9, 9}, 4);
	assert_string_equal(prompt_round(s), "R0@4 R1@2");
	veto_session_free(s);
}

static void tokens_without_a_score_count_for_the_window_and_not_for_its_mean(void **state)
{
	struct veto_session *s = prompt_new("floor:window=4,threshold=2,min_survivors=0", 2, 0, 100);

	(void)state;
	prompt_open_all(s, 2);
	/* Candidate 0: two of four usable, mean 1: below.  Candidate 1: one of four usable: no score, kept. */
	prompt_tokens(s, 0, (double[]){1, 1}, 2);
	prompt_blank(s, 0);
	prompt_blank(s, 0);
	prompt_token(s, 1, 1);
	for (int i = 0; i < 3; i++)
		prompt_blank(s, 1);
	assert_string_equal(prompt_round(s), "R0@4");
	veto_session_free(s);
}

static void a_row_with_nan_does_not_reject(void **state)
{
	struct veto_session *s = prompt_new("floor:window=1,threshold=2,min_survivors=0", 1, 0, 100);
	struct veto_event event = {.kind = VETO_TOKEN, .score = {.has = 1, .flags = VETO_NAN}};
	struct veto_candidate_info info;

	(void)state;
	prompt_open(s, 0);
	assert_int_equal(veto_session_push(s, &event), 0);
	assert_string_equal(prompt_round(s), "");
	assert_int_equal(veto_session_candidate(s, 0, &info), 0);
	assert_int_equal(info.unusable, 1);
	veto_session_free(s);
}

static void saturated_rows_and_rows_without_a_score_do_not_reject(void **state)
{
	struct veto_session *s = prompt_new("floor:window=1,threshold=2,min_survivors=0", 2, 0, 100);
	struct veto_event event = {.kind = VETO_TOKEN, .score = {.has = 1, .flags = VETO_SATURATED}};
	struct veto_candidate_info info;

	(void)state;
	prompt_open_all(s, 2);
	assert_int_equal(veto_session_push(s, &event), 0);
	prompt_blank(s, 1);
	assert_string_equal(prompt_round(s), "");
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(veto_session_candidate(s, i, &info), 0);
		assert_int_equal(info.unusable, 1);
	}
	veto_session_free(s);
}

static void an_entropy_without_an_upper_bound_is_no_score(void **state)
{
	struct veto_session *s = prompt_new("floor:score=entropy,window=1,threshold=9,min_survivors=0", 1, 0, 100);
	struct veto_event event = {.kind = VETO_TOKEN, .score = {.has = 1u << VETO_ENTROPY}};

	(void)state;
	prompt_open(s, 0);
	event.score.field[VETO_ENTROPY] = (struct veto_interval){NATS(1), INT64_MAX};
	assert_int_equal(veto_session_push(s, &event), 0);
	assert_string_equal(prompt_round(s), "");
	veto_session_free(s);
}

static void only_the_upper_end_of_an_interval_rejects(void **state)
{
	struct veto_session *s = prompt_new("floor:window=2,threshold=2,min_survivors=0", 3, 0, 100);
	/* Means: [0, 2] reaches the threshold, [0, 1.5] does not, [0, infinity) can't be rejected. */
	int64_t high[3][2] = {{NATS(3), NATS(1)}, {NATS(2), NATS(1)}, {INT64_MAX, NATS(1)}};

	(void)state;
	prompt_open_all(s, 3);
	for (uint32_t i = 0; i < 6; i++) {
		struct veto_event event = {.kind = VETO_TOKEN, .candidate = i / 2, .score = {.has = 1}};

		event.score.field[0] = (struct veto_interval){0, high[i / 2][i % 2]};
		assert_int_equal(veto_session_push(s, &event), 0);
	}
	assert_string_equal(prompt_round(s), "R1@2");
	veto_session_free(s);
}

static void the_first_candidates_are_spared_by_the_minimum(void **state)
{
	struct veto_session *s = prompt_new("floor:window=1,threshold=2,min_survivors=2", 4, 0, 100);

	(void)state;
	prompt_open_all(s, 4);
	for (uint32_t i = 0; i < 4; i++)
		prompt_token(s, i, 1);
	assert_string_equal(prompt_round(s), "R2@1 R3@1");
	veto_session_free(s);
}

static void a_candidate_that_finished_in_the_round_is_spared_and_votes(void **state)
{
	struct veto_session *s = prompt_new("floor:window=1,threshold=2,min_survivors=0 majority", 2, 0, 100);

	(void)state;
	prompt_open_all(s, 2);
	prompt_token(s, 0, 1);
	prompt_close(s, 0, 7);
	assert_string_equal(prompt_round(s), "");
	assert_int_equal(prompt_state(s, 0), VETO_FINISHED);
	assert_int_equal(prompt_select(s, 1).answer, 7);
	veto_session_free(s);
}

static void window_floor_learns_the_percentile_of_the_lowest_windows(void **state)
{
	struct veto_session *s = prompt_new(
		"window-floor:window=2,warmup=3,keep=0.75,min_survivors=0,score=self_certainty majority", 5, 0, 100);
	int64_t threshold;

	(void)state;
	assert_true(veto_session_may_start(s, 2));
	assert_false(veto_session_may_start(s, 3));
	for (uint32_t i = 0; i < 3; i++)
		prompt_open(s, i);
	/* Lowest windows: min(3, 2) = 2; min(5, 4, 6) = 4; the third has one token: its mean, 8. */
	prompt_tokens(s, 0, (double[]){4, 2, 2}, 3);
	prompt_tokens(s, 1, (double[]){5, 5, 3, 9}, 4);
	prompt_token(s, 2, 8);
	for (uint32_t i = 0; i < 3; i++)
		prompt_close(s, i, 10 + i);
	assert_int_equal(veto_session_threshold(s, 0, &threshold), -EAGAIN);
	assert_string_equal(prompt_round(s), "");
	/* The 25th percentile of 2, 4, 8: position 0.25 * 2 = 0.5, so 2 + 0.5 * (4 - 2) = 3. */
	assert_int_equal(veto_session_threshold(s, 0, &threshold), 0);
	assert_int_equal(threshold, NATS(3));
	/* Candidate 0 lies below and does not vote; 1 and 2 do, ties to the lower. */
	assert_int_equal(prompt_select(s, 1).answer, 11);
	assert_true(veto_session_may_start(s, 3));
	prompt_open(s, 3);
	prompt_open(s, 4);
	prompt_tokens(s, 3, (double[]){3, 3, 2.5}, 3); /* 3 is not below; 2.75 is */
	prompt_tokens(s, 4, (double[]){9, 9, 9}, 3);
	assert_string_equal(prompt_round(s), "R3@3");
	veto_session_free(s);
}

/* The highest window below the threshold would lose its vote if 0.9 were the Q20 value next to it. */
static void the_percentile_is_that_of_the_decimal_as_written(void **state)
{
	struct veto_session *s =
		prompt_new("window-floor:window=1,warmup=11,score=self_certainty majority", 12, 0, 100);
	struct veto_candidate_info info;
	int64_t threshold;

	(void)state;
	for (uint32_t i = 0; i < 11; i++) {
		prompt_open(s, i);
		prompt_token(s, i, 10 * i);
		prompt_close(s, i, 1 + i);
	}
	prompt_round(s);
	/* The 10th percentile of 0, 10, ..., 100 lies at position 0.1 * 10 = 1. */
	assert_int_equal(veto_session_threshold(s, 0, &threshold), 0);
	assert_int_equal(threshold, NATS(10));
	veto_session_candidate(s, 0, &info);
	assert_false(info.votes);
	veto_session_candidate(s, 1, &info);
	assert_true(info.votes);
	veto_session_free(s);
}

static void only_finished_warm_up_candidates_make_the_percentile(void **state)
{
	struct veto_session *s = prompt_new("window-floor:window=1,warmup=3,keep=1,score=self_certainty", 4, 0, 100);
	int64_t threshold;

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		prompt_open(s, i);
	prompt_token(s, 0, 5);
	prompt_token(s, 1, 7);
	prompt_token(s, 2, 1);
	prompt_close(s, 0, 1);
	prompt_close(s, 1, 1);
	prompt_lose(s, 2);
	prompt_round(s);
	assert_int_equal(veto_session_threshold(s, 0, &threshold), 0);
	assert_int_equal(threshold, NATS(5));
	veto_session_free(s);
}

static void the_minimum_counts_warm_up_candidates(void **state)
{
	struct veto_session *s =
		prompt_new("window-floor:window=1,warmup=1,keep=1,min_survivors=3,score=self_certainty", 4, 0, 100);

	(void)state;
	prompt_open(s, 0);
	prompt_token(s, 0, 5);
	prompt_close(s, 0, 1);
	prompt_round(s);
	for (uint32_t i = 1; i < 4; i++) {
		prompt_open(s, i);
		prompt_token(s, i, 1);
	}
	assert_string_equal(prompt_round(s), "R3@1");
	veto_session_free(s);
}

static void a_warm_up_in_shadow_takes_no_votes(void **state)
{
	struct veto_session *s =
		prompt_new("window-floor:window=1,warmup=2,keep=0,shadow=1,score=self_certainty majority", 3, 0, 100);
	struct veto_candidate_info info;

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		prompt_open(s, i);
		prompt_token(s, i, i + 1);
		prompt_close(s, i, 1);
	}
	prompt_round(s);
	veto_session_candidate(s, 0, &info);
	assert_true(info.votes);
	veto_session_free(s);
}

static void a_percentile_of_negative_scores_is_truncated_toward_zero(void **state)
{
	struct veto_session *s = prompt_new("window-floor:window=1,warmup=2,keep=0.5,score=token_logp", 3, 0, 100);
	int64_t threshold;

	(void)state;
	prompt_open(s, 0);
	prompt_open(s, 1);
	/* Q20 -3 and -2: halfway is -2.5, truncated -2. */
	prompt_token(s, 0, -3 / 1048576.0);
	prompt_token(s, 1, -2 / 1048576.0);
	prompt_close(s, 0, 1);
	prompt_close(s, 1, 1);
	prompt_round(s);
	assert_int_equal(veto_session_threshold(s, 0, &threshold), 0);
	assert_int_equal(threshold, -2);
	veto_session_free(s);
}

static void too_few_finished_warm_up_candidates_give_no_threshold(void **state)
{
	struct veto_session *s = prompt_new("window-floor:window=1,warmup=3,score=self_certainty", 4, 0, 100);
	int64_t threshold;

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		prompt_open(s, i);
		prompt_token(s, i, 5);
	}
	prompt_close(s, 0, 1);
	prompt_lose(s, 1);
	prompt_lose(s, 2); /* one finished, two were needed */
	prompt_round(s);
	assert_int_equal(veto_session_threshold(s, 0, &threshold), -ENODATA);
	prompt_open(s, 3);
	prompt_token(s, 3, 0);
	assert_string_equal(prompt_round(s), "");
	veto_session_free(s);
}

static void warm_up_candidates_are_never_rejected(void **state)
{
	struct veto_session *s = prompt_new("window-floor:window=1,warmup=2 floor:window=1,threshold=2,min_survivors=0 "
					    "floor:window=2,threshold=2,min_survivors=0,shadow=1",
		3, 0, 100);

	(void)state;
	prompt_open(s, 0);
	prompt_open(s, 1);
	prompt_tokens(s, 0, (double[]){0, 0}, 2);
	prompt_tokens(s, 1, (double[]){0, 0}, 2);
	assert_string_equal(prompt_round(s), "");
	veto_session_free(s);
}

/* Only warm-up candidates are in the first cohort, and they are ranked while they write. */
static void rank_rules_do_not_reject_warm_up_candidates(void **state)
{
	struct veto_session *s = prompt_new("window-floor:window=1,warmup=2 gate:rungs=1,keep=0.5 "
					    "gate:rungs=1,keep=0.5,shadow=1",
		4, 2, 100);

	(void)state;
	prompt_open(s, 0);
	prompt_open(s, 1);
	prompt_token(s, 0, 1);
	prompt_token(s, 1, 2);
	assert_string_equal(prompt_round(s), "");
	assert_int_equal(prompt_state(s, 0), VETO_LIVE);
	veto_session_free(s);
}

/* The floor would have rejected candidate 0, which finishes in the warm-up and so counts towards the two survivors. */
static void a_warm_up_candidate_is_not_taken_for_a_spared_one(void **state)
{
	struct veto_session *s = prompt_new("window-floor:window=9,warmup=1 floor:window=1,threshold=2,min_survivors=0 "
					    "gate:rungs=3,keep=0.3,min_survivors=2",
		4, 0, 100);

	(void)state;
	prompt_open(s, 0);
	prompt_tokens(s, 0, (double[]){1, 1}, 2);
	prompt_close(s, 0, 7);
	assert_string_equal(prompt_round(s), "");
	for (uint32_t i = 1; i < 4; i++) {
		prompt_open(s, i);
		prompt_tokens(s, i, (double[]){2 + i, 2 + i, 2 + i}, 3);
	}
	assert_string_equal(prompt_round(s), "R1@3 R2@3"); /* keep max(ceil(3 * 0.3), 2 - 1) = 1 */
	veto_session_free(s);
}

static void a_candidate_that_finished_gets_no_verdict_in_shadow(void **state)
{
	struct veto_session *s = prompt_new("floor:window=1,threshold=2,min_survivors=0,shadow=1", 1, 0, 100);

	(void)state;
	prompt_open(s, 0);
	prompt_token(s, 0, 1);
	prompt_close(s, 0, 1);
	assert_string_equal(prompt_round(s), "");
	veto_session_free(s);
}

static void shadow_reports_and_stops_nothing(void **state)
{
	struct veto_session *s = prompt_new("floor:window=1,threshold=2,min_survivors=0,shadow=1", 1, 0, 100);

	(void)state;
	prompt_open(s, 0);
	prompt_token(s, 0, 1);
	assert_string_equal(prompt_round(s), "(R0@1)");
	assert_int_equal(prompt_state(s, 0), VETO_LIVE);
	prompt_token(s, 0, 1);
	assert_string_equal(prompt_round(s), ""); /* once */
	veto_session_free(s);
}

static void rules_that_do_not_fit_are_refused(void **state)
{
	static const char *const bad[][2] = {
		{"floor", "threshold is required"},
		{"floor:threshold=1+2", "2 values of threshold for 0 rungs"},
		{"floor:threshold=1,rungs=5+5", "5 does not lie above 5"},
		{"window-floor:warmup=4", "warmup=4 leaves none of 4"},
	};
	struct veto_session *s;
	struct veto_rule rule;
	char why[VETO_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		int err = veto_rule_parse(bad[i][0], &rule, why);

		if (!err)
			err = veto_session_new(&rule, 1, 4, 0, 10, &s, why);
		assert_int_equal(err, -EINVAL);
		if (!strstr(why, bad[i][1]))
			fail_msg("%s: %s", bad[i][0], why);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(floor_rejects_when_the_mean_of_a_full_window_is_below),
		cmocka_unit_test(floor_reads_entropy_negated),
		cmocka_unit_test(floor_reads_probabilities_as_parts_of_one),
		cmocka_unit_test(floor_with_rungs_tests_only_there_on_the_mean_of_all),
		cmocka_unit_test(tokens_without_a_score_count_for_the_window_and_not_for_its_mean),
		cmocka_unit_test(a_row_with_nan_does_not_reject),
		cmocka_unit_test(saturated_rows_and_rows_without_a_score_do_not_reject),
		cmocka_unit_test(an_entropy_without_an_upper_bound_is_no_score),
		cmocka_unit_test(only_the_upper_end_of_an_interval_rejects),
		cmocka_unit_test(the_first_candidates_are_spared_by_the_minimum),
		cmocka_unit_test(a_candidate_that_finished_in_the_round_is_spared_and_votes),
		cmocka_unit_test(window_floor_learns_the_percentile_of_the_lowest_windows),
		cmocka_unit_test(the_percentile_is_that_of_the_decimal_as_written),
		cmocka_unit_test(only_finished_warm_up_candidates_make_the_percentile),
		cmocka_unit_test(the_minimum_counts_warm_up_candidates),
		cmocka_unit_test(a_warm_up_in_shadow_takes_no_votes),
		cmocka_unit_test(a_percentile_of_negative_scores_is_truncated_toward_zero),
		cmocka_unit_test(too_few_finished_warm_up_candidates_give_no_threshold),
		cmocka_unit_test(warm_up_candidates_are_never_rejected),
		cmocka_unit_test(rank_rules_do_not_reject_warm_up_candidates),
		cmocka_unit_test(a_warm_up_candidate_is_not_taken_for_a_spared_one),
		cmocka_unit_test(a_candidate_that_finished_gets_no_verdict_in_shadow),
		cmocka_unit_test(shadow_reports_and_stops_nothing),
		cmocka_unit_test(rules_that_do_not_fit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
