/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that ask the model: self-evaluate and detect. */
#include "prompt.h"

#include <errno.h>
#include <string.h>

static void write_tokens(struct veto_session *s, uint32_t candidate, uint32_t tokens)
{
	for (uint32_t i = 0; i < tokens; i++)
		prompt_token(s, candidate, 1);
}

static void who_is_called_wrong_is_rejected(void **state)
{
	struct veto_session *s = prompt_new("self-evaluate:at=2+4,below=0.3", 3, 0, 10);

	(void)state;
	prompt_open_all(s, 3);
	for (uint32_t i = 0; i < 3; i++)
		write_tokens(s, i, 2);
	/* Candidate 0 is never rejected, and so not asked about. */
	assert_string_equal(prompt_round(s), "A1.0@2 A2.0@2");
	prompt_reply(s, 1, 0, 0.31);
	prompt_token(s, 1, 1);
	assert_string_equal(prompt_round(s), "");
	/* The reply comes late; the verdict is based on what was asked about. */
	write_tokens(s, 2, 1);
	prompt_reply(s, 2, 0, 0.29);
	assert_string_equal(prompt_round(s), "R2@2");
	write_tokens(s, 1, 1);
	assert_string_equal(prompt_round(s), "A1.0@4");
	prompt_reply(s, 1, 0, 0);
	assert_string_equal(prompt_round(s), "R1@4");
	veto_session_free(s);
}

static void a_reply_that_nobody_asked_for_is_refused(void **state)
{
	struct veto_session *s = prompt_new("self-evaluate:at=1 gate:rungs=5", 2, 0, 10);
	struct veto_event event = {.kind = VETO_REPLY, .candidate = 1};

	(void)state;
	prompt_open_all(s, 2);
	assert_int_equal(veto_session_push(s, &event), -EINVAL);
	write_tokens(s, 1, 1);
	assert_string_equal(prompt_round(s), "A1.0@1");
	event.rule = 1;
	assert_int_equal(veto_session_push(s, &event), -EINVAL);
	event.rule = 7;
	assert_int_equal(veto_session_push(s, &event), -EINVAL);
	event.rule = 0;
	assert_int_equal(veto_session_push(s, &event), 0);
	assert_int_equal(veto_session_push(s, &event), -EINVAL);
	/* A reply without a score rejects nobody. */
	assert_string_equal(prompt_round(s), "");
	veto_session_free(s);
}

static void who_has_finished_is_spared(void **state)
{
	struct veto_session *s = prompt_new("self-evaluate:at=1 majority", 2, 0, 10);

	(void)state;
	prompt_open_all(s, 2);
	write_tokens(s, 1, 1);
	assert_string_equal(prompt_round(s), "A1.0@1");
	prompt_close(s, 1, 5);
	prompt_reply(s, 1, 0, 0);
	assert_string_equal(prompt_round(s), "");
	assert_int_equal(prompt_select(s, 1).answer, 5);
	/* And one that ends in the round of its rung is not asked about. */
	write_tokens(s, 0, 1);
	prompt_close(s, 0, 5);
	assert_string_equal(prompt_round(s), "");
	veto_session_free(s);
}

static void in_shadow_it_is_asked_and_nothing_happens(void **state)
{
	struct veto_session *s = prompt_new("self-evaluate:at=1,shadow=1", 2, 0, 10);

	(void)state;
	prompt_open_all(s, 2);
	write_tokens(s, 1, 1);
	assert_string_equal(prompt_round(s), "A1.0@1");
	prompt_reply(s, 1, 0, 0);
	assert_string_equal(prompt_round(s), "(R1@1)");
	assert_int_equal(prompt_state(s, 1), VETO_LIVE);
	veto_session_free(s);
}

/* detect on candidate 1, asked whether it is complete behind its second token. */
static struct veto_session *hesitate(const char *rules)
{
	struct veto_session *s = prompt_new(rules, 3, 0, 20);

	prompt_open_all(s, 3);
	prompt_token(s, 1, 1);
	assert_string_equal(prompt_round(s), "");
	prompt_mark(s, 1, 1);
	assert_string_equal(prompt_round(s), "A1.0@2");
	return s;
}

static void who_is_not_done_goes_on_and_may_be_asked_again(void **state)
{
	struct veto_session *s = hesitate("detect majority");

	(void)state;
	prompt_mark(s, 1, 1); /* one question at a time */
	prompt_reply(s, 1, 0, 0.5);
	assert_string_equal(prompt_round(s), "");
	prompt_mark(s, 1, 2); /* another rule's word */
	assert_string_equal(prompt_round(s), "");
	prompt_mark(s, 1, 1);
	assert_string_equal(prompt_round(s), "A1.0@5");
	veto_session_free(s);
}

static void who_is_done_and_right_settles_the_prompt(void **state)
{
	struct veto_session *s = hesitate("detect majority");

	(void)state;
	prompt_reply(s, 1, 0, 0.51);
	assert_string_equal(prompt_round(s), "A1.1@2");
	/* Four quantiles lie at 1/8, 3/8, 5/8 and 7/8: above the last all verdicts agree. */
	prompt_token(s, 1, 1);
	prompt_reply(s, 1, 0, 0.876);
	assert_string_equal(prompt_round(s), "C1@2");
	prompt_close(s, 1, 9);
	assert_string_equal(prompt_round(s), "S0 S2");
	assert_int_equal(prompt_select(s, 1).answer, 9);
	veto_session_free(s);
}

static void who_is_done_and_wrong_is_rejected(void **state)
{
	struct veto_session *s = hesitate("detect");

	(void)state;
	prompt_reply(s, 1, 0, 0.9);
	assert_string_equal(prompt_round(s), "A1.1@2");
	prompt_reply(s, 1, 0, 0.124);
	assert_string_equal(prompt_round(s), "R1@2");
	veto_session_free(s);
}

static void verdicts_that_do_not_agree_are_followed_by_slow_ones(void **state)
{
	struct veto_session *s = hesitate("detect:k=8");

	(void)state;
	prompt_reply(s, 1, 0, 0.9);
	assert_string_equal(prompt_round(s), "A1.1@2");
	prompt_reply(s, 1, 0, 0.7); /* 6 of 8 */
	assert_string_equal(prompt_round(s), "A1.2@2");
	prompt_reply(s, 1, 0, 0.9);
	assert_string_equal(prompt_round(s), "A1.2@2");
	prompt_reply(s, 1, 0, 0.2); /* of two slow ones the mean is 0.55 */
	assert_string_equal(prompt_round(s), "C1@2");
	/* Without an answer it settles nothing. */
	prompt_close(s, 1, 0);
	assert_string_equal(prompt_round(s), "");
	assert_int_equal(prompt_state(s, 0), VETO_LIVE);
	veto_session_free(s);
	/* And with less agreement asked for six of eight are enough. */
	s = hesitate("detect:k=8,agreement=0.75");
	prompt_reply(s, 1, 0, 0.9);
	assert_string_equal(prompt_round(s), "A1.1@2");
	prompt_reply(s, 1, 0, 0.7);
	assert_string_equal(prompt_round(s), "C1@2");
	veto_session_free(s);
}

static void the_order_of_a_reply_and_a_token_changes_nothing(void **state)
{
	(void)state;
	for (int order = 0; order < 2; order++) {
		struct veto_session *s = prompt_new("self-evaluate:at=2 floor:window=3,threshold=5", 2, 0, 10);

		prompt_open_all(s, 2);
		write_tokens(s, 1, 2);
		assert_string_equal(prompt_round(s), "A1.0@2");
		if (order == 0)
			prompt_reply(s, 1, 0, 0);
		prompt_token(s, 1, 1); /* falls below the floor */
		if (order == 1)
			prompt_reply(s, 1, 0, 0);
		assert_string_equal(prompt_round(s), "R1@2");
		veto_session_free(s);
	}
}

static void rules_say_what_they_ask_and_wait_for(void **state)
{
	struct veto_question q;
	struct veto_rule rule;

	(void)state;
	assert_int_equal(veto_rule_parse("self-evaluate:ask=Is it?", &rule, NULL), 0);
	assert_int_equal(rule.values.count[0], 3); /* 64, 128, 256 */
	assert_int_equal(rule.values.value[0][2], 256);
	assert_int_equal(veto_rule_question(&rule, 0, &q), 0);
	assert_string_equal(q.text, "Is it?");
	assert_int_equal(q.think_tokens, 0);
	assert_null(veto_rule_marks(&rule));
	assert_int_equal(veto_rule_parse("detect:words=oops|hm,think=7", &rule, NULL), 0);
	assert_string_equal(veto_rule_marks(&rule), "oops|hm");
	assert_int_equal(veto_rule_question(&rule, 2, &q), 0);
	assert_int_equal(q.think_tokens, 7);
	assert_non_null(q.verdict);
	assert_int_equal(veto_rule_parse("gate", &rule, NULL), 0);
	assert_int_equal(veto_rule_question(&rule, 0, &q), -EINVAL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_called_wrong_is_rejected),
		cmocka_unit_test(a_reply_that_nobody_asked_for_is_refused),
		cmocka_unit_test(who_has_finished_is_spared),
		cmocka_unit_test(in_shadow_it_is_asked_and_nothing_happens),
		cmocka_unit_test(who_is_not_done_goes_on_and_may_be_asked_again),
		cmocka_unit_test(who_is_done_and_right_settles_the_prompt),
		cmocka_unit_test(who_is_done_and_wrong_is_rejected),
		cmocka_unit_test(verdicts_that_do_not_agree_are_followed_by_slow_ones),
		cmocka_unit_test(the_order_of_a_reply_and_a_token_changes_nothing),
		cmocka_unit_test(rules_say_what_they_ask_and_wait_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
