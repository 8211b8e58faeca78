/* SPDX-License-Identifier: Apache-2.0 */
/* Rules in JSON, and the JSON that is written. */
#include "check.h"
#include "json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int parse(const char *json, struct veto_rule *rule, char *why)
{
	return veto_rule_parse_json(json, strlen(json), "f.json", rule, why);
}

static void a_rule_in_json_equals_the_same_in_text(void **state)
{
	struct veto_rule json, text;
	char why[VETO_WHY_MAX];

	(void)state;
	assert_int_equal(parse("{\"rungs\": [32, 64],\n \"policy\": \"gate\", \"keep\": 0.7, \"score\": \"margin\"}\n",
				 &json, why),
		0);
	assert_int_equal(veto_rule_parse("gate:keep=0.7,score=margin,rungs=32+64", &text, why), 0);
	assert_ptr_equal(json.policy, text.policy);
	assert_memory_equal(&json.values, &text.values, sizeof(text.values));
	assert_int_equal(parse("{\"policy\":\"floor\",\"threshold\":-2.5}", &json, why), 0);
	assert_int_equal(json.values.value[2][0], -5 * (1 << 19));
	assert_int_equal(parse("{\"policy\":\"speculative\",\"budget\":4294967296}", &json, why), 0);
	assert_int_equal(json.values.value[1][0], 1LL << 32);
	assert_int_equal(parse("{\"policy\":\"gate\",\"shadow\":true}", &json, why), 0);
	assert_int_equal(json.values.value[4][0], 1);
	assert_int_equal(parse("{\"policy\":\"speculative\",\"budget\":1e300}", &json, why), -EINVAL);
	assert_non_null(strstr(why, "budget=1e300"));
}

static void errors_give_line_and_column(void **state)
{
	static const char *const bad[][2] = {
		{"{\"policy\": \"gate\",\n  \"keep\": }", "f.json:2:11: this is not JSON"},
		{"", "f.json:1:1: this is not JSON"},
		{"[1]", "f.json:1:1: a JSON object is expected"},
		{"{\"policy\": \"gate\"}\n x", "f.json:2:2: text after the end"},
		{"{\"keep\": 1}", "f.json:1:1: \"policy\" is missing"},
		{"{\"policy\": \"gat\"}", "f.json:1:2: unknown policy 'gat'"},
		{"{\"policy\": 5}", "f.json:1:2: unknown policy '5'"},
		{"{\"policy\": \"gate\",\n \"score\": \"a,\\\"}{\",\n\t\"keep\": 2}", "f.json:2:2: gate: score=a,\"}{"},
		{"{\"policy\": \"gate\",\n \"rungs\": [1, 2],\n  \"keep\": 2}", "f.json:3:3: gate: keep=2"},
		{"{\"policy\": \"gate\",\n \"keep\": null}", "f.json:2:2: the value of \"keep\" is neither"},
		{"{\"policy\": \"gate\",\n \"keep\": 1,\n \"keep\": 1}", "f.json:3:2: \"keep\" stands there twice"},
		{"{\"policy\": \"ga\\u0000te\"}", "f.json:1:15: a NUL can't stand in a text"},
		{"{\"policy\": \"gate\", \"kep\": 1}", "f.json:1:20: gate: unknown key 'kep'"},
		{"{\"policy\": \"gate\", \"keep\": 7}",
			"f.json:1:20: gate: keep=7: '7' is not a number in the range above 0 to 1"},
		{"{\"policy\": \"gate\", \"keep\": {\"a\": 1}}",
			"the value of \"keep\" is neither text nor number, nor a list"},
		{"{\"policy\": \"gate\", \"rungs\": [[1]]}", "the value of \"rungs\" is neither"},
		{"\n {\"policy\": \"floor\"}", "f.json:2:2: floor: threshold is required"},
		{"{\"policy\": \"gate\", \"rungs\": [3, 2]}", "f.json:1:1: gate: rungs: 2 does not lie above 3"},
	};
	struct veto_rule rule;
	char why[VETO_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(parse(bad[i][0], &rule, why), -EINVAL);
		if (!strstr(why, bad[i][1]))
			fail_msg("%s: '%s' lacks '%s'", bad[i][0], why, bad[i][1]);
	}
}

static void strings_are_written_as_json(void **state)
{
	static const char *const cases[][2] = {
		{"plain", "\"plain\""}, {"a\"b\\c\n", "\"a\\u0022b\\u005cc\\u000a\""},
		{"caf\xc3\xa9 \xf0\x9f\x99\x82", "\"caf\xc3\xa9 \xf0\x9f\x99\x82\""}, {"cut \xc3", "\"cut \\ufffd\""},
		{"\xff\xfe", "\"\\ufffd\\ufffd\""}, {"\xc0\x80", "\"\\ufffd\\ufffd\""}, /* overlong */
		{"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""}, /* surrogate */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *text = NULL;
		size_t bytes;
		FILE *out = open_memstream(&text, &bytes);

		json_write_string(out, cases[i][0]);
		fclose(out);
		assert_string_equal(text, cases[i][1]);
		free(text);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_in_json_equals_the_same_in_text),
		cmocka_unit_test(errors_give_line_and_column),
		cmocka_unit_test(strings_are_written_as_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
