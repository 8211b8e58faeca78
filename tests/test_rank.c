/* SPDX-License-Identifier: Apache-2.0 */
/* gate and speculative, by small examples worked by hand. */
#include "prompt.h"

#include <errno.h>

/* One token for each of n candidates. */
static void step(struct veto_session *s, const double *nats, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		prompt_token(s, i, nats[i]);
}

static void gate_keeps_the_best_share_at_the_rung(void **state)
{
	struct veto_session *s = prompt_new("gate:rungs=2,keep=0.5", 4, 0, 100);
	struct veto_verdict v;

	(void)state;
	prompt_open_all(s, 4);
	step(s, (double[]){1, 2, 3, 4}, 4);
	assert_string_equal(prompt_round(s), "");
	step(s, (double[]){7, 2, 2, 0}, 4);
	/* Means 4, 2, 2.5, 2: the best two are 0 and 2. */
	veto_session_round(s);
	assert_true(veto_session_next(s, &v));
	assert_int_equal(v.candidate, 1);
	assert_int_equal(v.tokens, 2);
	assert_int_equal(v.score, NATS(2));
	assert_int_equal(v.threshold, NATS(2.5)); /* of the last one kept */
	assert_true(veto_session_next(s, &v));
	assert_int_equal(v.candidate, 3);
	assert_false(veto_session_next(s, &v));
	veto_session_free(s);
}

static void gate_ties_go_to_the_lower_index(void **state)
{
	struct veto_session *s = prompt_new("gate:rungs=1,keep=0.5", 4, 0, 100);

	(void)state;
	prompt_open_all(s, 4);
	step(s, (double[]){1, 1, 1, 1}, 4);
	assert_string_equal(prompt_round(s), "R2@1 R3@1");
	veto_session_free(s);
}

static void gate_applies_once_at_each_rung(void **state)
{
	struct veto_session *s = prompt_new("gate:rungs=1+2,keep=0.25", 16, 0, 100);
	double nats[16];

	(void)state;
	for (int i = 0; i < 16; i++)
		nats[i] = i;
	prompt_open_all(s, 16);
	step(s, nats, 16);
	assert_string_equal(prompt_round(s), "R0@1 R1@1 R2@1 R3@1 R4@1 R5@1 R6@1 R7@1 R8@1 R9@1 R10@1 R11@1");
	for (uint32_t i = 12; i < 16; i++)
		prompt_token(s, i, i);
	assert_string_equal(prompt_round(s), "R12@2 R13@2 R14@2");
	veto_session_free(s);
}

static void a_rung_waits_for_the_slowest_and_uses_the_first_tokens_only(void **state)
{
	struct veto_session *s = prompt_new("gate:rungs=2,keep=0.5", 2, 0, 100);

	(void)state;
	prompt_open_all(s, 2);
	prompt_tokens(s, 0, (double[]){1, 1, 99, 99}, 4); /* mean at 2: 1 */
	assert_string_equal(prompt_round(s), "");
	prompt_tokens(s, 1, (double[]){2, 2}, 2);
	assert_string_equal(prompt_round(s), "R0@2");
	veto_session_free(s);
}

static void cohorts_are_ranked_apart(void **state)
{
	struct veto_session *s = prompt_new("gate:rungs=1,keep=0.5", 5, 2, 100);

	(void)state;
	prompt_open_all(s, 5);
	step(s, (double[]){1, 2, 9, 8, 0}, 5); /* {0, 1}, {2, 3}, {4} */
	assert_string_equal(prompt_round(s), "R0@1 R3@1");
	veto_session_free(s);
}

static void finished_members_take_no_place_and_count_towards_the_minimum(void **state)
{
	struct veto_session *s = prompt_new("gate:rungs=2,keep=0.25,min_survivors=3", 5, 0, 100);

	(void)state;
	prompt_open_all(s, 5);
	step(s, (double[]){0, 0, 5, 6, 7}, 5);
	prompt_close(s, 0, 1); /* finished before the rung, with an answer: f = 1 */
	prompt_close(s, 1, 0); /* without one: not in f */
	assert_string_equal(prompt_round(s), "");
	for (uint32_t i = 2; i < 5; i++)
		prompt_token(s, i, i); /* three ranked: keep max(ceil(3 / 4), 3 - 1) = 2 */
	assert_string_equal(prompt_round(s), "R2@2");
	veto_session_free(s);
}

static void a_member_ranked_out_after_it_finished_is_spared(void **state)
{
	struct veto_session *s = prompt_new("gate:rungs=1+2,keep=0.5 majority", 4, 0, 100);

	(void)state;
	prompt_open_all(s, 4);
	prompt_token(s, 0, 1);
	prompt_close(s, 0, 5); /* at the rung, finished when it closes */
	prompt_token(s, 1, 2);
	prompt_token(s, 2, 3);
	assert_string_equal(prompt_round(s), "");
	prompt_token(s, 3, 4);
	assert_string_equal(prompt_round(s), "R1@1");
	assert_int_equal(prompt_state(s, 0), VETO_FINISHED);
	/* Spared: in no later rung and not in its f, so that of two ranked one is kept. */
	prompt_token(s, 2, 3);
	prompt_token(s, 3, 4);
	assert_string_equal(prompt_round(s), "R2@2");
	assert_int_equal(prompt_select(s, 1).answer, 5);
	veto_session_free(s);
}

/* Of min_survivors=2 the spared member is none: both that are ranked at the second rung stay. */
static void a_spared_member_does_not_count_towards_the_minimum(void **state)
{
	struct veto_session *s = prompt_new("gate:rungs=1+2,keep=0.5,min_survivors=2", 4, 0, 100);

	(void)state;
	prompt_open_all(s, 4);
	step(s, (double[]){1, 2, 3, 4}, 4);
	prompt_close(s, 0, 5);
	assert_string_equal(prompt_round(s), "R1@1"); /* 0 is ranked out too, and spared */
	prompt_token(s, 2, 3);
	prompt_token(s, 3, 4);
	assert_string_equal(prompt_round(s), "");
	veto_session_free(s);
}

/* Candidate 2 has run ahead and fallen to the floor at 5 when the rung at 2 closes and ranks it out: the rung at 3 is
 * without it, and keeps one of two. */
static void a_verdict_on_an_earlier_token_counts_although_it_comes_later(void **state)
{
	struct veto_session *s = prompt_new("floor:window=5,threshold=1.5,min_survivors=0 gate:rungs=2,keep=0.5 "
					    "gate:rungs=3,keep=0.5",
		3, 0, 100);

	(void)state;
	prompt_open_all(s, 3);
	prompt_tokens(s, 2, (double[]){1, 1, 1, 1, 1}, 5);
	assert_string_equal(prompt_round(s), "R2@5");
	prompt_tokens(s, 0, (double[]){3, 3, 3}, 3);
	prompt_tokens(s, 1, (double[]){2, 2, 2}, 3);
	assert_string_equal(prompt_round(s), "R1@3");
	veto_session_free(s);
}

static void a_floor_in_shadow_takes_nobody_out_of_the_ranking(void **state)
{
	struct veto_session *s =
		prompt_new("floor:window=1,threshold=2,min_survivors=0,shadow=1 gate:rungs=2,keep=0.5", 2, 0, 100);

	(void)state;
	prompt_open_all(s, 2);
	prompt_tokens(s, 0, (double[]){1, 9}, 2);
	prompt_tokens(s, 1, (double[]){3, 3}, 2);
	assert_string_equal(prompt_round(s), "(R0@1) R1@2");
	veto_session_free(s);
}

static void a_gate_in_shadow_goes_on_without_those_it_would_have_dropped(void **state)
{
	struct veto_session *s = prompt_new("gate:rungs=1+2,keep=0.5,shadow=1", 4, 0, 100);

	(void)state;
	prompt_open_all(s, 4);
	step(s, (double[]){4, 3, 2, 1}, 4);
	assert_string_equal(prompt_round(s), "(R2@1) (R3@1)");
	step(s, (double[]){4, 3, 2, 1}, 4);
	assert_string_equal(prompt_round(s), "(R1@2)");
	veto_session_free(s);
}

static void members_without_a_score_are_kept(void **state)
{
	struct veto_session *s = prompt_new("gate:rungs=2,keep=0.5", 3, 0, 100);

	(void)state;
	prompt_open_all(s, 3);
	prompt_blank(s, 0);
	prompt_blank(s, 0);
	prompt_tokens(s, 1, (double[]){1, 1}, 2);
	prompt_tokens(s, 2, (double[]){2, 2}, 2);
	assert_string_equal(prompt_round(s), "R1@2");
	veto_session_free(s);
}

static void lost_members_are_never_rejected_and_in_no_later_rung(void **state)
{
	struct veto_session *s = prompt_new("gate:rungs=1+2,keep=0.5", 4, 0, 100);

	(void)state;
	prompt_open_all(s, 4);
	step(s, (double[]){1, 2, 3, 4}, 3);
	prompt_lose(s, 0); /* after the rung: ranked, and not rejected */
	prompt_lose(s, 3); /* before it: not ranked */
	/* Three ranked, two kept: 2 and 1. */
	assert_string_equal(prompt_round(s), "");
	assert_int_equal(prompt_state(s, 0), VETO_GONE);
	prompt_token(s, 1, 2);
	prompt_token(s, 2, 3);
	assert_string_equal(prompt_round(s), "R1@2");
	veto_session_free(s);
}

static void a_member_rejected_on_a_later_token_is_still_ranked(void **state)
{
	struct veto_session *s = prompt_new(
		"gate:rungs=1,keep=0.5,score=margin floor:window=2,threshold=2,min_survivors=0,score=entropy", 2, 0,
		100);

	(void)state;
	prompt_open_all(s, 2);
	prompt_tokens(s, 1, (double[]){5, 5}, 2); /* floor: -5 < 2, at token 2 */
	assert_string_equal(prompt_round(s), "R1@2");
	prompt_token(s, 0, 1); /* the rung at 1 closes: 1 is ranked before 0 */
	assert_string_equal(prompt_round(s), "R0@1");
	veto_session_free(s);
}

static void of_two_rules_in_one_round_the_earlier_token_rejects(void **state)
{
	struct veto_session *s =
		prompt_new("gate:rungs=1,keep=0.5 floor:window=2,threshold=2,min_survivors=0", 2, 0, 100);

	(void)state;
	prompt_open_all(s, 2);
	prompt_tokens(s, 0, (double[]){3, 3}, 2);
	prompt_tokens(s, 1, (double[]){1, 1}, 2);
	assert_string_equal(prompt_round(s), "R1@1");
	veto_session_free(s);
}

static void of_intervals_only_those_certainly_behind_are_dropped(void **state)
{
	struct veto_session *s = prompt_new("gate:rungs=1,keep=0.3", 3, 0, 100);
	struct veto_interval value[3] = {{NATS(4), NATS(6)}, {NATS(3), NATS(5)}, {NATS(1), NATS(2)}};

	(void)state;
	prompt_open_all(s, 3);
	for (uint32_t i = 0; i < 3; i++) {
		struct veto_event event = {.kind = VETO_TOKEN, .candidate = i, .score = {.has = 1}};

		event.score.field[0] = value[i];
		assert_int_equal(veto_session_push(s, &event), 0);
	}
	/* One is kept; 1 overlaps 0, so it may be the best. */
	assert_string_equal(prompt_round(s), "R2@1");
	veto_session_free(s);
}

static void speculative_halves_the_live_set_when_it_exceeds_the_budget(void **state)
{
	struct veto_session *s = prompt_new("speculative:budget=8", 4, 0, 100);

	(void)state;
	prompt_open_all(s, 4);
	step(s, (double[]){1, 2, 3, 4}, 4);
	step(s, (double[]){1, 2, 3, 4}, 4); /* 4 * 2 = 8: not above */
	assert_string_equal(prompt_round(s), "");
	step(s, (double[]){1, 2, 3, 4}, 4); /* 4 * 3 = 12: keep 2 */
	assert_string_equal(prompt_round(s), "R0@3 R1@3");
	prompt_token(s, 2, 3);
	prompt_token(s, 3, 4); /* 2 * 4 = 8 */
	assert_string_equal(prompt_round(s), "");
	prompt_token(s, 2, 3);
	prompt_token(s, 3, 4); /* 2 * 5 = 10: keep 1 */
	assert_string_equal(prompt_round(s), "R2@5");
	prompt_token(s, 3, 4);
	assert_string_equal(prompt_round(s), "");
	veto_session_free(s);
}

static void speculative_ranks_finished_members_by_their_last_score(void **state)
{
	struct veto_session *s = prompt_new("speculative:budget=5 majority", 3, 0, 100);

	(void)state;
	prompt_open_all(s, 3);
	step(s, (double[]){9, 1, 2}, 3);
	prompt_close(s, 0, 7);
	assert_string_equal(prompt_round(s), "");
	prompt_token(s, 1, 1);
	prompt_token(s, 2, 2);
	/* 3 * 2 = 6 > 5: keep 2 of 9, 1, 2: the finished one takes a place. */
	assert_string_equal(prompt_round(s), "R1@2");
	prompt_token(s, 2, 2);
	/* 2 * 3 = 6 > 5: keep 1: the finished one again. */
	assert_string_equal(prompt_round(s), "R2@3");
	assert_int_equal(prompt_select(s, 1).answer, 7);
	veto_session_free(s);
}

static void speculative_does_not_count_lost_members(void **state)
{
	struct veto_session *s = prompt_new("speculative:budget=5", 3, 0, 100);

	(void)state;
	prompt_open_all(s, 3);
	step(s, (double[]){9, 1, 2}, 3);
	prompt_lose(s, 0);
	prompt_token(s, 1, 1);
	prompt_token(s, 2, 2);
	assert_string_equal(prompt_round(s), ""); /* 2 * 2 = 4 */
	prompt_token(s, 1, 1);
	prompt_token(s, 2, 2);
	assert_string_equal(prompt_round(s), "R1@3"); /* 2 * 3 = 6 */
	veto_session_free(s);
}

static void speculative_keeps_the_minimum(void **state)
{
	struct veto_session *s = prompt_new("speculative:budget=3,alpha=0.9,min_survivors=2", 4, 0, 100);

	(void)state;
	prompt_open_all(s, 4);
	step(s, (double[]){1, 2, 3, 4}, 4);
	assert_string_equal(prompt_round(s), "R0@1 R1@1");
	veto_session_free(s);
}

static void rungs_that_do_not_rise_are_refused(void **state)
{
	struct veto_rule rule;
	char why[VETO_WHY_MAX];

	(void)state;
	assert_int_equal(veto_rule_parse("gate:rungs=8+4", &rule, why), -EINVAL);
	assert_string_equal(why, "gate: rungs: 4 does not lie above 8");
	assert_int_equal(veto_rule_parse("speculative", &rule, why), -EINVAL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(gate_keeps_the_best_share_at_the_rung),
		cmocka_unit_test(gate_ties_go_to_the_lower_index),
		cmocka_unit_test(gate_applies_once_at_each_rung),
		cmocka_unit_test(a_rung_waits_for_the_slowest_and_uses_the_first_tokens_only),
		cmocka_unit_test(cohorts_are_ranked_apart),
		cmocka_unit_test(finished_members_take_no_place_and_count_towards_the_minimum),
		cmocka_unit_test(a_member_ranked_out_after_it_finished_is_spared),
		cmocka_unit_test(a_spared_member_does_not_count_towards_the_minimum),
		cmocka_unit_test(a_verdict_on_an_earlier_token_counts_although_it_comes_later),
		cmocka_unit_test(a_floor_in_shadow_takes_nobody_out_of_the_ranking),
		cmocka_unit_test(a_gate_in_shadow_goes_on_without_those_it_would_have_dropped),
		cmocka_unit_test(members_without_a_score_are_kept),
		cmocka_unit_test(lost_members_are_never_rejected_and_in_no_later_rung),
		cmocka_unit_test(a_member_rejected_on_a_later_token_is_still_ranked),
		cmocka_unit_test(of_two_rules_in_one_round_the_earlier_token_rejects),
		cmocka_unit_test(of_intervals_only_those_certainly_behind_are_dropped),
		cmocka_unit_test(speculative_halves_the_live_set_when_it_exceeds_the_budget),
		cmocka_unit_test(speculative_ranks_finished_members_by_their_last_score),
		cmocka_unit_test(speculative_does_not_count_lost_members),
		cmocka_unit_test(speculative_keeps_the_minimum),
		cmocka_unit_test(rungs_that_do_not_rise_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
