/* SPDX-License-Identifier: Apache-2.0 */
/* self-truncation and monitor, by small examples worked by hand. */
#include "prompt.h"

#include <stdio.h>
#include <string.h>

/* Candidates that write these tokens, a round each, as many at a time as there are. */
static const char *truncate_all(const char *rule, const char *const *text, uint32_t candidates)
{
	static char verdicts[4096];
	struct veto_session *s = prompt_new(rule, candidates, 0, 100);
	size_t used = 0;

	prompt_open_all(s, candidates);
	for (size_t at = 0; at < 40; at++) {
		const char *said;

		for (uint32_t i = 0; i < candidates; i++) {
			const char letter[2] = {at < strlen(text[i]) ? text[i][at] : 0, 0};

			if (prompt_state(s, i) != VETO_LIVE)
				continue;
			prompt_spell(s, i, letter);
			if (at == strlen(text[i]))
				prompt_close(s, i, 1);
		}
		said = prompt_round(s);
		used += (size_t)snprintf(
			verdicts + used, sizeof(verdicts) - used, "%s%s", *said && used ? " " : "", said);
	}
	veto_session_free(s);
	return verdicts;
}

static void the_candidate_that_shares_most_tokens_goes_on(void **state)
{
	(void)state;
	/* All differ from the second token on: c = 2, and looks follow at 2, 3 and 4.  At 2 (ab, ac, dd) 0 and 1 share an a, and
	 * 0 has the point; at 3 (abc, aca, dda) 1 shares two with 0, one with 2, as 0 does with 1 and 2: 2 + 1; 0 has 2 + 1; again
	 * 0; at 4 (abcd, acad, ddae) 0 shares a c d with 1 and a d with 2. */
	assert_string_equal(truncate_all("self-truncation", (const char *const[]){"abcdzzz", "acadzzz", "ddaezzz"}, 3),
		"R1@4 R2@4");
	/* At 2 (xy, ab, ac): 1 and 2 share an a; at 3 (xyz, abd, acd) they share a and d; at 4 the same: three points for 1. */
	assert_string_equal(
		truncate_all("self-truncation", (const char *const[]){"xyzwww", "abdeee", "acdfff"}, 3), "R0@4 R2@4");
	/* With tau = 0 only the look at 2, with keep = 2 one more, the lower index of those without a point. */
	assert_string_equal(
		truncate_all("self-truncation:tau=0,keep=2", (const char *const[]){"xyzwww", "abdeee", "acdfff"}, 3),
		"R2@2");
}

static void tokens_count_as_often_as_both_have_them(void **state)
{
	(void)state;
	/* c = 1.  aab shares one a with bac and one b: 2; with aaa two: 4 in all.  bac: 2 + 1 = 3, aaa: 2 + 1 = 3 of three tokens.
	 * At 2 (aa, ba, aa) 0 and 2 are not told apart, so c is 3, and the only look with tau = 0 is there. */
	assert_string_equal(
		truncate_all("self-truncation:tau=0", (const char *const[]){"bacq", "aabq", "aaaq"}, 3), "R0@3 R2@3");
}

static void candidates_are_waited_for_until_they_differ(void **state)
{
	struct veto_session *s = prompt_new("self-truncation:tau=0", 2, 0, 100);

	(void)state;
	prompt_open_all(s, 2);
	prompt_spell(s, 0, "abcde");
	assert_string_equal(prompt_round(s), "");
	prompt_spell(s, 1, "abcd");
	assert_string_equal(prompt_round(s), "");
	prompt_spell(s, 1, "f");
	assert_string_equal(prompt_round(s), "R1@5");
	veto_session_free(s);
}

static void who_ends_before_the_others_differ_holds_nobody_up(void **state)
{
	(void)state;
	/* ab is the beginning of abxx: those two never differ, which is known when ab ends.  So c is 1, and ab is spared, because it
	 * has finished. */
	assert_string_equal(
		truncate_all("self-truncation:tau=0", (const char *const[]){"abxx", "ab", "caxx"}, 3), "R2@1");
	/* All the same for ever: nothing is judged. */
	assert_string_equal(truncate_all("self-truncation", (const char *const[]){"abcd", "abcd"}, 2), "");
	/* Only cohorts are compared. */
	assert_string_equal(truncate_all("self-truncation:min_survivors=2", (const char *const[]){"ax", "bx"}, 2), "");
}

static void a_score_above_the_limit_rejects(void **state)
{
	struct veto_session *s = prompt_new("monitor:score=margin,above=1.5", 3, 0, 100);

	(void)state;
	prompt_open_all(s, 3);
	prompt_token(s, 0, 1.5);
	prompt_token(s, 1, 1.6);
	prompt_blank(s, 2);
	assert_string_equal(prompt_round(s), "R1@1");
	prompt_token(s, 0, 9);
	prompt_token(s, 2, 0);
	assert_string_equal(prompt_round(s), "R0@2");
	veto_session_free(s);
}

static void a_reward_is_watched_where_steps_end(void **state)
{
	struct veto_session *s = prompt_new("monitor:above=0.75,shadow=1", 2, 0, 100);
	struct veto_rule rule;
	char why[VETO_WHY_MAX];

	(void)state;
	prompt_open_all(s, 2);
	prompt_push_token(s, 0, 0.9, false);
	prompt_push_token(s, 1, 0.9, true);
	assert_string_equal(prompt_round(s), "(R1@1)");
	assert_int_equal(prompt_state(s, 1), VETO_LIVE);
	veto_session_free(s);
	assert_int_not_equal(veto_rule_parse("monitor:score=entropy,above=1", &rule, why), 0);
	assert_non_null(strstr(why, "score=entropy"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_candidate_that_shares_most_tokens_goes_on),
		cmocka_unit_test(tokens_count_as_often_as_both_have_them),
		cmocka_unit_test(candidates_are_waited_for_until_they_differ),
		cmocka_unit_test(who_ends_before_the_others_differ_holds_nobody_up),
		cmocka_unit_test(a_score_above_the_limit_rejects),
		cmocka_unit_test(a_reward_is_watched_where_steps_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
