/* SPDX-License-Identifier: Apache-2.0 */
/* partial-reward, by small searches worked by hand. */
#include "prompt.h"

#include <errno.h>
#include <string.h>

#define BEAMS_MAX 9

/* A token that ends a step, of so many nats. */
static void end_step(struct veto_session *s, uint32_t candidate, double nats)
{
	prompt_push_token(s, candidate, nats, true);
}

/* One token for each of n candidates. */
static void tokens(struct veto_session *s, const double *nats, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		prompt_token(s, i, nats[i]);
}

static void assert_waits(const struct veto_session *s, const char *waits)
{
	char seen[BEAMS_MAX + 1] = "";

	for (uint32_t i = 0; i < strlen(waits); i++)
		seen[i] = prompt_state(s, i) != VETO_LIVE ? '-' : veto_session_may_go_on(s, i) ? '.' : 'w';
	assert_string_equal(seen, waits);
}

static void the_best_finish_their_step_and_fork(void **state)
{
	struct veto_session *s = prompt_new("partial-reward:tau=2,expand=2 best:score=reward", 4, 0, 100);
	struct veto_event late = {.kind = VETO_TOKEN, .candidate = 1};
	struct veto_candidate_info info;
	struct veto_verdict v;

	(void)state;
	prompt_open_all(s, 4);
	tokens(s, (double[]){.9, .9, .1, .1}, 4);
	assert_string_equal(prompt_round(s), "");
	tokens(s, (double[]){.2, .5, .75, .25}, 4); /* the reward as of this token, not its mean */
	assert_waits(s, "wwww");
	veto_session_round(s);
	assert_true(veto_session_next(s, &v));
	assert_int_equal(v.kind, VETO_REJECT);
	assert_int_equal(v.candidate, 0);
	assert_int_equal(v.tokens, 2);
	assert_int_equal(v.field, VETO_REWARD);
	assert_int_equal(v.score, NATS(.2));
	assert_int_equal(v.threshold, NATS(.5));
	assert_true(veto_session_next(s, &v));
	assert_int_equal(v.candidate, 3);
	assert_false(veto_session_next(s, &v));
	assert_waits(s, "-..-");
	end_step(s, 1, .1);
	assert_waits(s, "-w.-");
	assert_int_equal(veto_session_push(s, &late), -EINVAL);
	assert_string_equal(prompt_round(s), "");
	prompt_token(s, 2, .1);
	assert_string_equal(prompt_round(s), "");
	end_step(s, 2, .1);
	assert_false(veto_session_may_start(s, 0));
	/* By the scores of their looks, 2 is the better one, and forks first. */
	assert_string_equal(prompt_round(s), "F0=2@4 F3=1@3");
	assert_waits(s, "-..-");
	assert_true(veto_session_may_start(s, 0) && veto_session_may_start(s, 3));
	prompt_open(s, 0);
	prompt_open(s, 3);
	assert_waits(s, "....");
	assert_int_equal(veto_session_candidate(s, 0, &info), 0);
	assert_int_equal(info.tokens, 4);
	/* The next step is counted from the fork. */
	tokens(s, (double[]){.9, .9, .9, .9}, 4);
	assert_string_equal(prompt_round(s), "");
	tokens(s, (double[]){.4, .3, .2, .1}, 4);
	assert_string_equal(prompt_round(s), "R2@6 R3@5");
	veto_session_free(s);
}

static void ties_go_to_the_lower_index_and_places_are_rounded_up(void **state)
{
	struct veto_session *s = prompt_new("partial-reward:tau=1,expand=2", 5, 0, 100);

	(void)state;
	prompt_open_all(s, 5);
	tokens(s, (double[]){.5, .5, .5, .5, .5}, 5);
	assert_string_equal(prompt_round(s), "R3@1 R4@1");
	/* Three survivors and two slots: the last one goes on alone. */
	for (uint32_t i = 0; i < 3; i++)
		end_step(s, i, .5);
	assert_string_equal(prompt_round(s), "F3=0@2 F4=1@2");
	veto_session_free(s);
}

static void a_shorter_step_is_judged_at_its_end(void **state)
{
	struct veto_session *s = prompt_new("partial-reward:tau=3,expand=3", 3, 0, 100);

	(void)state;
	prompt_open_all(s, 3);
	end_step(s, 0, .5);
	prompt_token(s, 1, .9);
	prompt_token(s, 2, .9);
	assert_string_equal(prompt_round(s), "");
	assert_waits(s, "w..");
	prompt_token(s, 1, .9);
	end_step(s, 2, .4);
	assert_string_equal(prompt_round(s), "");
	prompt_token(s, 1, .3);
	/* The best has ended its step: it is judged and forks at once. */
	assert_string_equal(prompt_round(s), "R1@3 F1=0@1 R2@2 F2=0@1");
	veto_session_free(s);
}

static void finished_beams_take_places_and_are_never_rejected(void **state)
{
	struct veto_session *s = prompt_new("partial-reward:tau=1,expand=2 best:score=reward", 4, 0, 100);
	struct veto_verdict v;

	(void)state;
	prompt_open_all(s, 4);
	end_step(s, 0, .1); /* the worst of all, and finished */
	prompt_close(s, 0, 7);
	prompt_token(s, 1, .2);
	prompt_token(s, 2, .9);
	prompt_token(s, 3, .3);
	assert_string_equal(prompt_round(s), "R1@1 R3@1");
	end_step(s, 2, .9);
	assert_string_equal(prompt_round(s), "F1=2@2"); /* two ways; 3 stays out */
	prompt_open(s, 1);
	assert_int_equal(prompt_state(s, 3), VETO_OUT);
	/* Finished in an earlier step: it still takes a place. */
	prompt_token(s, 1, .6);
	prompt_token(s, 2, .5);
	assert_string_equal(prompt_round(s), "R2@3");
	/* The places are full once the second finishes at its look, and whatever lives goes, below the worst of them. */
	end_step(s, 1, .6);
	assert_string_equal(prompt_round(s), "F2=1@4");
	prompt_open(s, 2);
	end_step(s, 1, .4);
	prompt_close(s, 1, 8);
	prompt_token(s, 2, .8);
	veto_session_round(s);
	assert_true(veto_session_next(s, &v));
	assert_int_equal(v.candidate, 2);
	assert_int_equal(v.score, NATS(.8));
	assert_int_equal(v.threshold, NATS(.1));
	assert_false(veto_session_next(s, &v));
	assert_true(veto_session_is_done(s));
	/* The choice goes by final rewards. */
	assert_int_equal(prompt_select(s, 1).answer, 8);
	veto_session_free(s);
}

static void a_beam_that_finished_without_an_answer_takes_no_place(void **state)
{
	struct veto_session *s = prompt_new("partial-reward:tau=1,expand=2", 4, 0, 100);

	(void)state;
	prompt_open_all(s, 4);
	end_step(s, 0, .9);
	prompt_close(s, 0, 0);
	for (uint32_t i = 1; i < 4; i++)
		prompt_token(s, i, .1 * i);
	assert_string_equal(prompt_round(s), "R1@1");
	veto_session_free(s);
}

static void lost_beams_are_not_waited_for_and_never_come_back(void **state)
{
	struct veto_session *s = prompt_new("partial-reward:tau=2,expand=2", 4, 0, 100);

	(void)state;
	prompt_open_all(s, 4);
	prompt_token(s, 0, .9);
	prompt_lose(s, 0); /* before its look: not ranked */
	for (uint32_t i = 1; i < 4; i++) {
		prompt_token(s, i, 0);
		prompt_token(s, i, .1 * i);
	}
	assert_string_equal(prompt_round(s), "R1@2");
	end_step(s, 2, .5);
	end_step(s, 3, .5);
	assert_string_equal(prompt_round(s), "F1=3@3");
	assert_int_equal(prompt_state(s, 0), VETO_GONE);
	assert_false(veto_session_may_start(s, 0));
	prompt_open(s, 1);
	for (uint32_t i = 1; i < 4; i++) {
		prompt_token(s, i, 0);
		prompt_token(s, i, .1 * i);
	}
	prompt_lose(s, 1); /* after its look: ranked, and out of the search all the same */
	assert_string_equal(prompt_round(s), "");
	end_step(s, 2, .5);
	end_step(s, 3, .5);
	assert_string_equal(prompt_round(s), "");
	veto_session_free(s);
}

/* Its source had no room for it: the others do not wait for it, and it never comes. */
static void a_fork_that_could_not_be_made_is_lost(void **state)
{
	struct veto_session *s = prompt_new("partial-reward:tau=1,expand=2", 4, 0, 100);

	(void)state;
	prompt_open_all(s, 4);
	tokens(s, (double[]){.1, .2, .3, .4}, 4);
	assert_string_equal(prompt_round(s), "R0@1 R1@1");
	end_step(s, 2, .5);
	end_step(s, 3, .5);
	assert_string_equal(prompt_round(s), "F0=3@2 F1=2@2");
	prompt_open(s, 0);
	prompt_lose(s, 1);
	assert_int_equal(prompt_state(s, 1), VETO_GONE);
	assert_false(veto_session_may_start(s, 1));
	prompt_token(s, 0, .1);
	prompt_token(s, 2, .2);
	prompt_token(s, 3, .3);
	assert_string_equal(prompt_round(s), "R0@3");
	end_step(s, 2, .5);
	end_step(s, 3, .5);
	assert_string_equal(prompt_round(s), "F0=3@4");
	veto_session_free(s);
}

static void a_beam_without_a_score_is_kept_beside_the_places(void **state)
{
	struct veto_session *s = prompt_new("partial-reward:tau=1,expand=2", 4, 0, 100);

	(void)state;
	prompt_open_all(s, 4);
	prompt_blank(s, 0);
	for (uint32_t i = 1; i < 4; i++)
		prompt_token(s, i, .1 * i);
	assert_string_equal(prompt_round(s), "R1@1");
	for (uint32_t i = 0; i < 4; i++)
		if (i != 1)
			end_step(s, i, .1 * i);
	assert_string_equal(prompt_round(s), "F1=3@2");
	veto_session_free(s);
}

static void no_fewer_than_min_survivors_are_left(void **state)
{
	struct veto_session *s = prompt_new("partial-reward:tau=1,expand=4,min_survivors=3", 4, 0, 100);

	(void)state;
	prompt_open_all(s, 4);
	tokens(s, (double[]){.4, .3, .2, .1}, 4);
	assert_string_equal(prompt_round(s), "R3@1");
	veto_session_free(s);
}

static void in_shadow_the_first_step_is_judged_and_nobody_waits(void **state)
{
	struct veto_session *s = prompt_new("partial-reward:tau=2,expand=2,shadow=1", 3, 0, 100);

	(void)state;
	prompt_open_all(s, 3);
	prompt_tokens(s, 0, (double[]){.1, .2, .9}, 3);
	end_step(s, 0, .9);
	prompt_close(s, 0, 1); /* ranked by what it had come to where it was looked at, and spared */
	prompt_token(s, 2, .9);
	prompt_token(s, 2, .9);
	assert_string_equal(prompt_round(s), "");
	prompt_token(s, 1, .5);
	end_step(s, 1, .6);
	end_step(s, 2, .9);
	assert_string_equal(prompt_round(s), "");
	assert_int_equal(prompt_state(s, 0), VETO_FINISHED);
	for (uint32_t step = 0; step < 3; step++) {
		end_step(s, 1, .1);
		end_step(s, 2, .9);
		assert_string_equal(prompt_round(s), "");
	}
	veto_session_free(s);
	s = prompt_new("partial-reward:tau=1,expand=3,shadow=1", 3, 0, 100);
	prompt_open_all(s, 3);
	for (uint32_t step = 0; step < 3; step++) {
		prompt_token(s, 0, .1);
		prompt_token(s, 1, .2);
		if (step == 0)
			prompt_blank(s, 2); /* not ranked, and so never */
		else
			prompt_token(s, 2, .3);
		for (uint32_t i = 0; i < 3; i++)
			end_step(s, i, .1);
		assert_string_equal(prompt_round(s), step ? "" : "(R0@1)");
	}
	assert_int_equal(prompt_state(s, 1), VETO_LIVE);
	veto_session_free(s);
}

static void cohorts_search_apart(void **state)
{
	struct veto_session *s = prompt_new("partial-reward:tau=1,expand=2", 4, 2, 100);

	(void)state;
	prompt_open_all(s, 4);
	tokens(s, (double[]){.1, .2, .9, .8}, 2);
	assert_string_equal(prompt_round(s), "R0@1");
	end_step(s, 1, .1);
	assert_string_equal(prompt_round(s), "F0=1@2");
	prompt_token(s, 2, .9);
	prompt_token(s, 3, .8);
	assert_string_equal(prompt_round(s), "R3@1");
	veto_session_free(s);
}

/* What other rules know of a beam goes with its fork: the mean of its last two tokens falls with the third. */
static void a_fork_takes_along_what_every_rule_knows(void **state)
{
	struct veto_session *s = prompt_new(
		"partial-reward:tau=1,expand=2 floor:score=margin,window=2,threshold=0.3,min_survivors=0", 2, 0, 9);
	struct veto_verdict v;

	(void)state;
	prompt_open_all(s, 2);
	tokens(s, (double[]){.1, .9}, 2);
	assert_string_equal(prompt_round(s), "R0@1");
	end_step(s, 1, .3);
	assert_string_equal(prompt_round(s), "F0=1@2");
	prompt_open(s, 0);
	prompt_token(s, 0, .1);
	prompt_token(s, 1, .5);
	veto_session_round(s);
	assert_true(veto_session_next(s, &v));
	assert_int_equal(v.candidate, 0);
	assert_int_equal(v.rule, 1);
	assert_int_equal(v.tokens, 3);
	assert_in_range(v.score, NATS(.2) - 1, NATS(.2) + 1);
	assert_false(veto_session_next(s, &v));
	/* What another rule has put out is no place for a fork. */
	end_step(s, 1, .5);
	assert_string_equal(prompt_round(s), "");
	veto_session_free(s);
}

static void the_token_limit_holds_for_the_whole_path(void **state)
{
	struct veto_session *s = prompt_new("partial-reward:tau=1,expand=2", 2, 0, 3);
	struct veto_event token = {.kind = VETO_TOKEN, .ends_step = true};

	(void)state;
	prompt_open_all(s, 2);
	prompt_token(s, 0, .1);
	end_step(s, 1, .9);
	assert_string_equal(prompt_round(s), "R0@1 F0=1@1");
	prompt_open(s, 0);
	prompt_token(s, 0, .9);
	prompt_token(s, 1, .1);
	assert_string_equal(prompt_round(s), "R1@2");
	end_step(s, 0, .9);
	assert_string_equal(prompt_round(s), "F1=0@3");
	prompt_open(s, 1);
	assert_int_equal(veto_session_push(s, &token), -EINVAL);
	token.candidate = 1;
	assert_int_equal(veto_session_push(s, &token), -EINVAL);
	prompt_close(s, 1, 1);
	veto_session_free(s);
}

static void a_shadow_verdict_on_a_slot_that_forks_at_once_is_still_read(void **state)
{
	struct veto_session *s =
		prompt_new("partial-reward:tau=1,expand=2 gate:score=reward,rungs=1,keep=0.5,shadow=1", 2, 0, 9);

	(void)state;
	prompt_open_all(s, 2);
	prompt_token(s, 0, .1);
	end_step(s, 1, .9);
	assert_string_equal(prompt_round(s), "R0@1 (R0@1) F0=1@1");
	veto_session_free(s);
}

static void a_settled_prompt_forks_no_more(void **state)
{
	struct veto_session *s =
		prompt_new("partial-reward:tau=1,expand=2 consensus:min_answers=1,weight=none", 4, 0, 9);

	(void)state;
	prompt_open_all(s, 4);
	tokens(s, (double[]){.1, .2, .3, .4}, 4);
	assert_string_equal(prompt_round(s), "R0@1 R1@1");
	end_step(s, 2, .1);
	end_step(s, 3, .1);
	prompt_close(s, 3, 5);
	assert_string_equal(prompt_round(s), "S2");
	assert_true(veto_session_is_done(s));
	veto_session_free(s);
}

static void rules_that_would_wait_otherwise_are_refused(void **state)
{
	static const struct {
		const char *rule[2], *why;
	} cases[] = {
		{{"partial-reward", "partial-reward:tau=3"}, "more than one rule partial-reward"},
		{{"window-floor:warmup=1", "partial-reward"}, "partial-reward and window-floor do not go together"},
	};
	struct veto_session *s = NULL;
	struct veto_rule rule[2];
	char why[VETO_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (int j = 0; j < 2; j++)
			assert_int_equal(veto_rule_parse(cases[i].rule[j], &rule[j], why), 0);
		assert_int_equal(veto_session_new(rule, 2, 4, 0, 10, &s, why), -EINVAL);
		assert_string_equal(why, cases[i].why);
	}
	assert_int_equal(veto_rule_parse("partial-reward:shadow=1", &rule[1], why), 0);
	assert_int_equal(veto_session_new(rule, 2, 4, 0, 10, &s, why), 0);
	veto_session_free(s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_best_finish_their_step_and_fork),
		cmocka_unit_test(ties_go_to_the_lower_index_and_places_are_rounded_up),
		cmocka_unit_test(a_shorter_step_is_judged_at_its_end),
		cmocka_unit_test(finished_beams_take_places_and_are_never_rejected),
		cmocka_unit_test(a_beam_that_finished_without_an_answer_takes_no_place),
		cmocka_unit_test(lost_beams_are_not_waited_for_and_never_come_back),
		cmocka_unit_test(a_fork_that_could_not_be_made_is_lost),
		cmocka_unit_test(a_beam_without_a_score_is_kept_beside_the_places),
		cmocka_unit_test(no_fewer_than_min_survivors_are_left),
		cmocka_unit_test(in_shadow_the_first_step_is_judged_and_nobody_waits),
		cmocka_unit_test(cohorts_search_apart),
		cmocka_unit_test(a_fork_takes_along_what_every_rule_knows),
		cmocka_unit_test(the_token_limit_holds_for_the_whole_path),
		cmocka_unit_test(a_shadow_verdict_on_a_slot_that_forks_at_once_is_still_read),
		cmocka_unit_test(a_settled_prompt_forks_no_more),
		cmocka_unit_test(rules_that_would_wait_otherwise_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
