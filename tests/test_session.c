/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: what they refuse, and their memory. */
#include "prompt.h"

#include <errno.h>
#include <string.h>

static void an_open_after_a_rejection_is_refused(void **state)
{
	struct veto_session *s = prompt_new("floor:window=1,threshold=1,min_survivors=0", 1, 0, 10);
	struct veto_event open = {.kind = VETO_OPEN};

	(void)state;
	prompt_open(s, 0);
	prompt_token(s, 0, 0);
	assert_string_equal(prompt_round(s), "R0@1");
	assert_false(veto_session_may_start(s, 0));
	assert_int_equal(veto_session_push(s, &open), -EINVAL);
	prompt_token(s, 0, 9); /* on its way: counted as spent */
	assert_string_equal(prompt_round(s), "");
	assert_int_equal(prompt_state(s, 0), VETO_OUT);
	veto_session_free(s);
}

static void memory_stays_within_the_stated_bound(void **state)
{
	/* Window entries a candidate as the header counts them, for 100 tokens at most. */
	static const struct {
		const char *rules;
		size_t entries;
	} cases[] = {
		{"", 0},
		{"majority", 0},
		{"partial-reward", 1},
		{"floor:threshold=1+2+3,rungs=5+10+20", 0},
		{"floor:threshold=1,window=5000 window-floor:window=2048,warmup=1 gate:rungs=1+2+3+4+5+6+7+8 "
		 "speculative:budget=9 consensus esc adaptive-consistency weighted",
			5000 + 2048 + 8 + 100},
		{"gate gate:rungs=1 gate:rungs=2 gate:rungs=3 gate:rungs=4 gate:rungs=5 gate:rungs=6 gate:rungs=7", 8},
	};
	static const uint32_t candidates[] = {2, 3, 17, 256, 4096};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (size_t j = 0; j < 5; j++) {
			struct veto_session *s = prompt_new(cases[i].rules, candidates[j], 0, 100);
			size_t entries, bytes = veto_session_bytes(s, &entries);

			assert_int_equal(entries, cases[i].entries * candidates[j]);
			if (bytes > VETO_SESSION_FIXED_BYTES + 1024 * candidates[j] + 16 * entries)
				fail_msg("%s, %u candidates: %zu bytes", cases[i].rules, candidates[j], bytes);
			veto_session_free(s);
		}
	}
}

static void counts_out_of_range_are_refused(void **state)
{
	struct veto_session *s = NULL;
	struct veto_rule rule[VETO_RULES_MAX + 1];
	char why[VETO_WHY_MAX];

	(void)state;
	for (int i = 0; i <= VETO_RULES_MAX; i++)
		assert_int_equal(veto_rule_parse("majority", &rule[i], why), 0);
	assert_int_equal(veto_session_new(rule, 1, 0, 0, 10, &s, why), -EINVAL);
	assert_int_equal(veto_session_new(rule, 1, VETO_CANDIDATES_MAX + 1, 0, 10, &s, why), -EINVAL);
	assert_int_equal(veto_session_new(rule, 1, 4, 5, 10, &s, why), -EINVAL);
	assert_string_equal(why, "a cohort of 5: at most the 4 candidates");
	assert_int_equal(veto_session_new(rule, 1, 4, 0, 0, &s, why), -EINVAL);
	assert_int_equal(veto_session_new(rule, 1, 4, 0, VETO_TOKENS_MAX + 1, &s, why), -EINVAL);
	assert_int_equal(veto_session_new(rule, VETO_RULES_MAX + 1, 4, 0, 10, &s, why), -EINVAL);
	assert_int_equal(veto_rule_parse("speculative:budget=1", &rule[0], why), 0);
	assert_int_equal(veto_session_new(rule, 1, VETO_CANDIDATES_MAX, 0, VETO_TOKENS_MAX, &s, why), -EINVAL);
	assert_non_null(strstr(why, "bytes for 4096 candidates of 1048576 tokens"));
	assert_null(s);
}

static void events_that_the_state_does_not_allow_are_refused(void **state)
{
	struct veto_session *s = prompt_new("majority", 2, 0, 2);
	struct veto_event token = {.kind = VETO_TOKEN}, close = {.kind = VETO_CLOSE}, open = {.kind = VETO_OPEN};
	struct veto_event lost = {.kind = VETO_LOST};

	(void)state;
	assert_int_equal(veto_session_push(s, &token), -EINVAL);
	assert_int_equal(veto_session_push(s, &close), -EINVAL);
	assert_int_equal(veto_session_push(s, &open), 0);
	assert_int_equal(veto_session_push(s, &open), -EINVAL);
	assert_int_equal(veto_session_push(s, &token), 0);
	assert_int_equal(veto_session_push(s, &token), 0);
	assert_int_equal(veto_session_push(s, &token), -EINVAL); /* beyond max_tokens */
	assert_int_equal(veto_session_push(s, &close), 0);
	assert_int_equal(veto_session_push(s, &close), -EINVAL);
	assert_int_equal(veto_session_push(s, &lost), -EINVAL);
	lost.candidate = 1;
	assert_int_equal(veto_session_push(s, &lost), 0);
	assert_int_equal(veto_session_push(s, &lost), -EINVAL);
	open.candidate = 2;
	assert_int_equal(veto_session_push(s, &open), -EINVAL);
	veto_session_free(s);
}

static void scores_beyond_the_limit_are_refused(void **state)
{
	struct veto_session *s = prompt_new("majority", 1, 0, 9);
	struct veto_event token = {.kind = VETO_TOKEN, .score = {.has = 1}};

	(void)state;
	prompt_open(s, 0);
	token.score.field[0] = (struct veto_interval){1LL << 40, 1LL << 40};
	assert_int_equal(veto_session_push(s, &token), 0);
	token.score.field[0] = (struct veto_interval){0, (1LL << 40) + 1};
	assert_int_equal(veto_session_push(s, &token), -EINVAL);
	token.score.field[0] = (struct veto_interval){0, INT64_MAX};
	assert_int_equal(veto_session_push(s, &token), 0);
	token.score.field[0] = (struct veto_interval){2, 1};
	assert_int_equal(veto_session_push(s, &token), -EINVAL);
	token.score.field[0] = (struct veto_interval){INT64_MIN, 1};
	assert_int_equal(veto_session_push(s, &token), -EINVAL);
	veto_session_free(s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_open_after_a_rejection_is_refused),
		cmocka_unit_test(memory_stays_within_the_stated_bound),
		cmocka_unit_test(counts_out_of_range_are_refused),
		cmocka_unit_test(events_that_the_state_does_not_allow_are_refused),
		cmocka_unit_test(scores_beyond_the_limit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
