/* SPDX-License-Identifier: Apache-2.0 */
/* floor, window-floor and speculative, where the score they read is a reward. */
#include "prompt.h"

#include <stdio.h>
#include <string.h>

/* A reward speaks of the steps so far: it counts where one ends, and nowhere else. */
static void floor_reads_rewards_at_the_ends_of_steps(void **state)
{
	struct veto_session *s = prompt_new("floor:score=reward,threshold=0.5,min_survivors=0", 2, 0, 100);

	(void)state;
	prompt_open_all(s, 2);
	prompt_push_token(s, 0, 0.1, false);
	prompt_push_token(s, 1, 0.1, false);
	assert_string_equal(prompt_round(s), "");
	prompt_push_token(s, 0, 0.5, true);
	prompt_push_token(s, 1, 0.4999, true);
	assert_string_equal(prompt_round(s), "R1@2");
	prompt_push_token(s, 0, 0.1, false);
	assert_string_equal(prompt_round(s), "");
	veto_session_free(s);
}

static void windows_of_rewards_count_steps(void **state)
{
	struct veto_session *s = prompt_new("floor:score=reward,window=2,threshold=0.5,min_survivors=0 "
					    "window-floor:score=reward,window=2,warmup=1,keep=1",
		3, 0, 100);
	const double first[] = {0.5, 0.9, 0.1, 0.7, 0.7}, second[] = {0.6, 0.2, 0.3, 0.1, 0.1};

	(void)state;
	prompt_open(s, 0);
	for (int i = 0; i < 5; i++)
		prompt_push_token(s, 0, first[i], i != 2);
	prompt_close(s, 0, 7);
	assert_string_equal(prompt_round(s), "");
	/* The warm-up's lowest window is 0.7, of its first two steps; the second candidate's first is 0.45. */
	prompt_open(s, 1);
	prompt_open(s, 2);
	for (int i = 0; i < 3; i++) {
		prompt_push_token(s, 1, second[i], i != 1);
		prompt_push_token(s, 2, i == 1 ? 0 : 0.65, i != 1);
		assert_string_equal(prompt_round(s), i == 2 ? "R1@3 R2@3" : "");
	}
	veto_session_free(s);
}

/* 16 tokens, or one step, unless it is given; a list of rungs goes without. */
static void a_floor_has_the_window_of_its_score(void **state)
{
	static const char *const cases[][2] = {{"floor:threshold=1", "window=16,"},
		{"floor:threshold=1,score=reward", "window=1,"},
		{"floor:window=3,threshold=1,score=reward", "window=3,"}};
	struct veto_rule rule, json;
	char text[256], why[VETO_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (veto_rule_parse(cases[i][0], &rule, why))
			fail_msg("%s", why);
		veto_rule_print(&rule, text, sizeof(text));
		if (!strstr(text, cases[i][1]))
			fail_msg("%s is %s", cases[i][0], text);
	}
	snprintf(text, sizeof(text), "{\"policy\": \"floor\", \"threshold\": 1, \"score\": \"reward\"}");
	assert_int_equal(veto_rule_parse_json(text, strlen(text), "x", &json, why), 0);
	assert_int_equal(veto_rule_parse(cases[1][0], &rule, why), 0);
	assert_memory_equal(&rule, &json, sizeof(rule));
}

/* Of a reward the last step's counts, wherever the rung comes to lie. */
static void speculative_ranks_by_the_last_steps_reward(void **state)
{
	struct veto_session *s = prompt_new("speculative:score=reward,budget=5", 2, 0, 100);
	const double reward[2][3] = {{0.3, 0.9, 0.9}, {0.4, 0.1, 0.1}};

	(void)state;
	prompt_open_all(s, 2);
	for (int t = 0; t < 3; t++) {
		for (uint32_t i = 0; i < 2; i++)
			prompt_push_token(s, i, reward[i][t], t == 0);
		assert_string_equal(prompt_round(s), t == 2 ? "R0@3" : "");
	}
	veto_session_free(s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(floor_reads_rewards_at_the_ends_of_steps),
		cmocka_unit_test(windows_of_rewards_count_steps),
		cmocka_unit_test(a_floor_has_the_window_of_its_score),
		cmocka_unit_test(speculative_ranks_by_the_last_steps_reward),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
