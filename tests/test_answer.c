/* SPDX-License-Identifier: Apache-2.0 */
/* Answers in candidates' texts. */
#include "answer.h"
#include "check.h"

#include <errno.h>
#include <string.h>

static void answers_are_found_and_brought_to_one_form(void **state)
{
	static const char *const cases[][3] = {
		{"last-number", "2 and 3 make 1,005.50 dollars.", "1005.5"},
		{"last-number", "It is -7", "-7"},
		{"last-number", "x = +4.00.", "4"},
		{"last-number", "100", "100"},
		{"last-number", "none here", NULL},
		{"last-number", "a range of 3-5", "5"},
		{"last-number", "minus -5 it is", "-5"},
		{"last-number", "one of 1,2,3", "3"},
		{"last-number", "1,234,567.0", "1234567"},
		{"last-number", "so it costs $5.", "5"},
		{"last-line", "it costs\n$5.", "5"},
		{"last-line", "first\n The last. \n\n", "the last"},
		{"last-line", "  \n ", NULL},
		{"boxed", "so \\boxed{1} or \\boxed{\\frac{1}{2}} is it", "\\frac{1}{2}"},
		{"boxed", "\\boxed{open", NULL},
		{"letter", "A says: the answer is (C).", "c"},
		{"letter", "ABC abc", NULL},
		{"regex:answer is ([a-z]+)", "the answer is red; no, the answer is blue", "blue"},
		{"regex:[0-9]+ apples", "3 apples and 4 apples", "4 apples"},
		{"regex:([A-Za-z]+)[.!]?$", "The capital\nof France is Paris.", "paris"},
		{"regex:x*", "ab", NULL},
		{"regex:^([a-z])", "abc", "a"}, /* what is left after a match is not the start of a line */
		{"regex:(x)|y", "x y", "y"},
	};
	struct answer_rule rule;
	char out[ANSWER_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(answer_rule_parse(cases[i][0], &rule, NULL), 0);
		if (cases[i][2]) {
			assert_int_equal(answer_find(&rule, cases[i][1], out), 0);
			assert_string_equal(out, cases[i][2]);
		} else {
			assert_int_equal(answer_find(&rule, cases[i][1], out), -ENOENT);
		}
		answer_rule_free(&rule);
	}
}

static void equal_answers_have_equal_keys(void **state)
{
	char a[ANSWER_MAX], b[ANSWER_MAX];

	(void)state;
	answer_normalise(" \"Paris.\" ", a);
	answer_normalise("paris", b);
	assert_string_equal(a, b);
	assert_true(answer_key(a) == answer_key(b));
	assert_true(answer_key("paris") != answer_key("london"));
	assert_true(answer_key("") != 0);
}

static void a_long_answer_is_cut(void **state)
{
	char text[2 * ANSWER_MAX], out[ANSWER_MAX];
	struct answer_rule rule;

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	assert_int_equal(answer_rule_parse("last-line", &rule, NULL), 0);
	assert_int_equal(answer_find(&rule, text, out), 0);
	assert_int_equal(strlen(out), ANSWER_MAX - 1);
	answer_rule_free(&rule);
}

static void an_unknown_rule_is_refused(void **state)
{
	struct answer_rule rule;
	char why[512];

	(void)state;
	assert_int_equal(answer_rule_parse("first-word", &rule, why), -EINVAL);
	assert_non_null(strstr(why, "--answer first-word: expected last-number, last-line"));
	assert_int_equal(answer_rule_parse("regex:(", &rule, why), -EINVAL);
	assert_non_null(strstr(why, "--answer regex:(: "));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_found_and_brought_to_one_form),
		cmocka_unit_test(equal_answers_have_equal_keys),
		cmocka_unit_test(a_long_answer_is_cut),
		cmocka_unit_test(an_unknown_rule_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
