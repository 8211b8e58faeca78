/* SPDX-License-Identifier: Apache-2.0 */
/* consensus, adaptive-consistency and esc, by small examples worked by hand. */
#include "prompt.h"

#include <errno.h>
#include <stdio.h>

static void finish(struct veto_session *s, uint32_t candidate, double nats, uint64_t answer)
{
	prompt_token(s, candidate, nats);
	prompt_close(s, candidate, answer);
}

static void consensus_settles_at_the_share_of_the_weighted_votes(void **state)
{
	struct veto_session *s = prompt_new("consensus:threshold=0.75", 6, 0, 100);

	(void)state;
	prompt_open_all(s, 6);
	finish(s, 0, 4, 1);
	finish(s, 1, 4, 1);
	assert_string_equal(prompt_round(s), ""); /* two answers: below the three that are needed */
	finish(s, 2, 4, 2);
	assert_string_equal(prompt_round(s), ""); /* 8 of 12 */
	finish(s, 3, 4, 1);
	assert_string_equal(prompt_round(s), "S4 S5"); /* 12 of 16 = 0.75 */
	assert_int_equal(prompt_state(s, 4), VETO_OUT);
	assert_true(veto_session_is_done(s));
	veto_session_free(s);
}

static void a_settled_verdict_names_the_rule_and_the_tokens_so_far(void **state)
{
	/* Both are sure in the same round; the first in the table of policies is named. */
	struct veto_session *s = prompt_new("esc:window=3 consensus:weight=none", 5, 0, 100);
	struct veto_verdict v;

	(void)state;
	prompt_open_all(s, 4);
	for (uint32_t i = 0; i < 3; i++)
		finish(s, i, 1, 1);
	prompt_token(s, 3, 1);
	prompt_token(s, 3, 1);
	veto_session_round(s);
	assert_true(veto_session_next(s, &v));
	assert_int_equal(v.kind, VETO_SETTLED);
	assert_int_equal(v.candidate, 3);
	assert_int_equal(v.tokens, 2);
	assert_int_equal(v.rule, 1);
	assert_false(veto_session_next(s, &v));
	assert_false(veto_session_may_start(s, 4));
	veto_session_free(s);
}

static void a_share_is_that_of_the_decimal_as_written(void **state)
{
	struct veto_session *s = prompt_new("consensus:weight=none,threshold=0.6", 6, 0, 100);

	(void)state;
	prompt_open_all(s, 6);
	for (uint32_t i = 0; i < 5; i++)
		finish(s, i, 1, i < 2 ? 2 : 1);
	assert_string_equal(prompt_round(s), "S5"); /* 3 of 5 */
	veto_session_free(s);
}

static void votes_that_a_warm_up_took_do_not_settle(void **state)
{
	static const char warmup[] = "window-floor:window=1,warmup=3,keep=0,score=self_certainty";
	static const char *const rules[] = {
		"consensus:weight=none,min_answers=2", "adaptive-consistency:threshold=0.8", "esc:window=2"};
	char text[200];

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct veto_session *s;

		snprintf(text, sizeof(text), "%s %s", warmup, rules[i]);
		s = prompt_new(text, 5, 0, 100);
		for (uint32_t c = 0; c < 3; c++) {
			prompt_open(s, c);
			finish(s, c, c < 2 ? 1 : 9, 1); /* the first two lie below the threshold of 9 */
		}
		prompt_round(s);
		assert_true(veto_session_may_start(s, 3));
		veto_session_free(s);
	}
}

static void consensus_without_weights_counts_heads(void **state)
{
	struct veto_session *weighted = prompt_new("consensus:threshold=0.7", 4, 0, 100);
	struct veto_session *plain = prompt_new("consensus:threshold=0.7,weight=none", 4, 0, 100);

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct veto_session *s = i ? plain : weighted;

		prompt_open_all(s, 4);
		finish(s, 0, 8, 1);
		finish(s, 1, 1, 2);
		finish(s, 2, 1, 2);
	}
	/* Weights 8 of 10 for the first answer; heads 2 of 3 for the second. */
	assert_string_equal(prompt_round(weighted), "S3");
	assert_string_equal(prompt_round(plain), "");
	veto_session_free(weighted);
	veto_session_free(plain);
}

static void consensus_waits_for_the_warm_up(void **state)
{
	struct veto_session *s = prompt_new("consensus:weight=none window-floor:window=1,warmup=4,keep=1", 6, 0, 100);

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		prompt_open(s, i);
	for (uint32_t i = 0; i < 3; i++)
		finish(s, i, 1, 1);
	assert_string_equal(prompt_round(s), "");
	finish(s, 3, 1, 1);
	assert_string_equal(prompt_round(s), ""); /* the others wait: nobody to tell */
	assert_false(veto_session_may_start(s, 4));
	assert_true(veto_session_is_done(s));
	veto_session_free(s);
}

static void a_settled_candidate_that_had_finished_votes(void **state)
{
	struct veto_session *s = prompt_new("consensus:weight=none majority", 4, 0, 100);
	struct veto_candidate_info info;

	(void)state;
	prompt_open_all(s, 4);
	for (uint32_t i = 0; i < 3; i++)
		finish(s, i, 1, 1);
	assert_string_equal(prompt_round(s), "S3");
	prompt_close(s, 3, 2);
	prompt_round(s);
	assert_int_equal(veto_session_candidate(s, 3, &info), 0);
	assert_int_equal(info.state, VETO_FINISHED);
	assert_true(info.votes);
	veto_session_free(s);
}

/* P(leader stays ahead) = 1 - P(Binomial(v1 + v2 + 1, 1/2) <= v2). */
static void adaptive_consistency_settles_by_the_beta_criterion(void **state)
{
	struct veto_session *s = prompt_new("adaptive-consistency:threshold=0.95", 20, 0, 100);

	(void)state;
	prompt_open_all(s, 20);
	for (uint32_t i = 0; i < 3; i++)
		finish(s, i, 1, 1);
	assert_string_equal(prompt_round(s), ""); /* 3 to 0: 1 - 1/16 = 0.9375 */
	finish(s, 3, 1, 2);
	assert_string_equal(prompt_round(s), ""); /* 3 to 1: 1 - 6/32 */
	for (uint32_t i = 4; i < 6; i++)
		finish(s, i, 1, 1);
	assert_string_equal(prompt_round(s), ""); /* 5 to 1: 1 - 8/128 = 0.9375 */
	finish(s, 6, 1, 1); /* 6 to 1: 1 - 9/256 = 0.9648 */
	assert_string_equal(prompt_round(s), "S7 S8 S9 S10 S11 S12 S13 S14 S15 S16 S17 S18 S19");
	veto_session_free(s);
}

static void adaptive_consistency_settles_on_four_alike(void **state)
{
	struct veto_session *s = prompt_new("adaptive-consistency", 5, 0, 100);

	(void)state;
	prompt_open_all(s, 5);
	for (uint32_t i = 0; i < 4; i++)
		finish(s, i, 1, 1);
	assert_string_equal(prompt_round(s), "S4"); /* 1 - 1/32 = 0.96875 */
	veto_session_free(s);
}

static void adaptive_consistency_ignores_candidates_without_an_answer(void **state)
{
	struct veto_session *s = prompt_new("adaptive-consistency", 6, 0, 100);

	(void)state;
	prompt_open_all(s, 6);
	for (uint32_t i = 0; i < 5; i++)
		finish(s, i, 1, 0);
	assert_string_equal(prompt_round(s), "");
	veto_session_free(s);
}

static void esc_settles_on_a_unanimous_window(void **state)
{
	struct veto_session *s = prompt_new("esc:window=3", 10, 0, 100);

	(void)state;
	prompt_open_all(s, 10);
	/* Windows in the order of finishing: 1 2 1 | 1 1 0 | 1 1 1: settled with the third. */
	finish(s, 0, 1, 1);
	finish(s, 1, 1, 2);
	assert_string_equal(prompt_round(s), "");
	finish(s, 3, 1, 1); /* in one round the lower index first: 2, then 3 */
	finish(s, 2, 1, 1);
	assert_string_equal(prompt_round(s), "");
	finish(s, 4, 1, 1);
	finish(s, 5, 1, 0);
	finish(s, 6, 1, 1);
	finish(s, 7, 1, 1);
	assert_string_equal(prompt_round(s), "");
	finish(s, 8, 1, 1);
	assert_string_equal(prompt_round(s), "S9");
	veto_session_free(s);
}

static void a_weight_that_can_be_negative_is_refused(void **state)
{
	struct veto_rule rule;
	char why[VETO_WHY_MAX];

	(void)state;
	assert_int_equal(veto_rule_parse("consensus:score=entropy", &rule, why), -EINVAL);
	assert_string_equal(why, "consensus: score=entropy can be negative, so it can't weigh votes; use weight=none");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(consensus_settles_at_the_share_of_the_weighted_votes),
		cmocka_unit_test(a_settled_verdict_names_the_rule_and_the_tokens_so_far),
		cmocka_unit_test(a_share_is_that_of_the_decimal_as_written),
		cmocka_unit_test(votes_that_a_warm_up_took_do_not_settle),
		cmocka_unit_test(consensus_without_weights_counts_heads),
		cmocka_unit_test(consensus_waits_for_the_warm_up),
		cmocka_unit_test(a_settled_candidate_that_had_finished_votes),
		cmocka_unit_test(adaptive_consistency_settles_by_the_beta_criterion),
		cmocka_unit_test(adaptive_consistency_settles_on_four_alike),
		cmocka_unit_test(adaptive_consistency_ignores_candidates_without_an_answer),
		cmocka_unit_test(esc_settles_on_a_unanimous_window),
		cmocka_unit_test(a_weight_that_can_be_negative_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
