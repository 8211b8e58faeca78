/* SPDX-License-Identifier: Apache-2.0 */
/* Rules and options as text: what is read, what is refused and how that is said. */
#include "check.h"
#include "param.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

static void decimals_become_q20_by_rounding_to_nearest_even(void **state)
{
	static const struct {
		const char *text;
		int64_t q20;
	} cases[] = {
		{"1", 1 << 20},
		{"-0.5", -(1 << 19)},
		{"0.00000047683715820312500", 0}, /* half a unit: to even */
		{"0.00000143051147460937500", 2}, /* one and a half units */
		{"0.95", 996147},
		{"1e-3", 1049},
	};
	int64_t value;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(param_q20(cases[i].text, &value), 0);
		assert_int_equal(value, cases[i].q20);
	}
}

static void what_is_no_number_is_refused(void **state)
{
	static const char *const bad[] = {"", "x", "1x", "nan", "inf", "0x10", "1e30", "1 ", " 1", "--1", "+", "1e"};
	int64_t value = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (param_q20(bad[i], &value) != -EINVAL)
			fail_msg("'%s' was read as a decimal", bad[i]);
		if (param_count(bad[i], &value) != -EINVAL)
			fail_msg("'%s' was read as a count", bad[i]);
	}
	assert_int_equal(param_count("-1", &value), -EINVAL);
	assert_int_equal(param_count("99999999999999999999", &value), -EINVAL);
	assert_int_equal(param_count("1.5", &value), -EINVAL);
	assert_int_equal(value, 77);
}

static void a_rule_keeps_its_values(void **state)
{
	struct veto_rule rule;
	char why[VETO_WHY_MAX];
	char text[512];

	(void)state;
	assert_int_equal(veto_rule_parse("gate:score=margin,keep=0.5,rungs=32+64+128", &rule, why), 0);
	assert_string_equal(rule.policy->name, "gate");
	assert_int_equal(rule.values.value[0][0], VETO_MARGIN);
	assert_int_equal(rule.values.value[1][0], 1 << 19);
	assert_int_equal(rule.values.count[2], 3);
	assert_int_equal(rule.values.value[2][2], 128);
	veto_rule_print(&rule, text, sizeof(text));
	assert_string_equal(text, "gate:score=margin,keep=0.5,rungs=32+64+128,min_survivors=1,shadow=0");
}

static void every_rule_that_is_printed_is_read_back(void **state)
{
	static const char *const rules[] = {"floor:threshold=1.23456", "floor:threshold=130",
		"floor:threshold=-2048+1e-5+1000,rungs=1+2+3", "speculative:budget=4294967296,alpha=0.3",
		"window-floor", "gate:min_survivors=4096,keep=1", "partial-reward:expand=2,shadow=1", "consensus",
		"adaptive-consistency", "esc", "majority", "borda:p=1.7", "best", "weighted:temperature=1024",
		"sharpening", "self-truncation:tau=0.5", "monitor:above=-1.5", "cisc:steps=product",
		"self-evaluate:at=5,ask=Good?", "detect:words=wait|hm,k=8"};
	const struct veto_policy *policy;
	struct veto_rule rule, back;
	char text[512], why[VETO_WHY_MAX];
	size_t seen = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		if (veto_rule_parse(rules[i], &rule, why))
			fail_msg("%s", why);
		assert_true(veto_rule_print(&rule, text, sizeof(text)) < (int)sizeof(text));
		if (veto_rule_parse(text, &back, why))
			fail_msg("%s", why);
		assert_memory_equal(&rule.values, &back.values, sizeof(rule.values));
	}
	for (size_t i = 0; (policy = veto_policy_at(i)); i++)
		for (size_t j = 0; j < sizeof(rules) / sizeof(*rules); j++)
			if (strcspn(rules[j], ":") == strlen(policy->name) &&
				strncmp(rules[j], policy->name, strlen(policy->name)) == 0) {
				seen++;
				break;
			}
	assert_null(veto_policy_at(seen)); /* every policy of the table is among them */
}

/* The program's own locale writes decimals with a comma. */
static void decimals_have_a_point_whatever_the_locale(void **state)
{
	static const char json[] = "{\"policy\": \"gate\", \"keep\": 0.3}";
	struct veto_rule rule, back;
	char text[512];

	(void)state;
	assert_non_null(setlocale(LC_NUMERIC, "comma")); /* made beside this test, which finds it in LOCPATH */
	snprintf(text, sizeof(text), "%.1f", 0.5);
	assert_string_equal(text, "0,5");
	assert_int_equal(veto_rule_parse_json(json, strlen(json), "f.json", &rule, NULL), 0);
	assert_true(veto_rule_print(&rule, text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "keep=0.3,"));
	assert_int_equal(veto_rule_parse(text, &back, NULL), 0);
	assert_memory_equal(&rule.values, &back.values, sizeof(rule.values));
	snprintf(text, sizeof(text), "%.1f", 0.5);
	assert_string_equal(text, "0,5"); /* and the program still has its own */
	setlocale(LC_NUMERIC, "C");
}

static void errors_quote_key_value_and_range(void **state)
{
	static const char *const bad[][2] = {
		{"flor", "unknown policy 'flor'; known policies: floor, window-floor"},
		{"", "unknown policy ''"},
		{"gate:kep=1", "gate: unknown key 'kep'; known keys: score, keep, rungs, min_survivors, shadow"},
		{"gate:keep=2", "gate: keep=2: '2' is not a number in the range above 0 to 1"},
		{"gate:keep=x", "gate: keep=x: 'x' is not a number in the range "},
		{"gate:rungs=5+x", "gate: rungs=5+x: 'x' is not a whole number in the range 1 to 1048576"},
		{"gate:rungs=", "gate: rungs=: '' is not a whole number in the range"},
		{"gate:rungs=1+2+3+4+5+6+7+8+9", "more than 8 values"},
		{"gate:score=speed", "'speed' is not one of: self_certainty, entropy"},
		{"gate:min_survivors=4097", "'4097' is not a whole number in the range 0 to 4096"},
		{"gate:keep=1.0000010", "'1.0000010' is not a number"},
		{"gate:keep=0.5,keep=0.9", "gate: keep is given twice"},
		{"gate:ke\nep=1", "gate: unknown key 'ke ep'"}, /* on one line */
		{"gate:keep", "gate: 'keep' is not key=value"},
		{"gate:keep=0.5,", "gate: '' is not key=value"},
		{"speculative", "speculative: budget is required"},
		{"consensus:weight=both", "'both' is not one of: score, none"},
		{"majority:x=1", "unknown key 'x'; known keys: none"},
	};
	struct veto_rule rule;
	char why[VETO_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(veto_rule_parse(bad[i][0], &rule, why), -EINVAL);
		if (!strstr(why, bad[i][1]))
			fail_msg("%s: '%s' lacks '%s'", bad[i][0], why, bad[i][1]);
	}
	assert_int_equal(veto_rule_parse("nonsense", &rule, NULL), -EINVAL);
}

static void printing_stops_at_the_end_of_the_buffer(void **state)
{
	struct veto_rule rule;
	char text[512], small[512];
	int length;

	(void)state;
	assert_int_equal(veto_rule_parse("gate:rungs=1+2+3", &rule, NULL), 0);
	length = veto_rule_print(&rule, text, sizeof(text));
	for (size_t bytes = 1; bytes < (size_t)length; bytes++) {
		memset(small, '#', sizeof(small));
		assert_int_equal(veto_rule_print(&rule, small, bytes), length);
		assert_memory_equal(small, text, bytes - 1);
		assert_int_equal(small[bytes], '#');
	}
}

static void an_unknown_device_lists_the_known_ones(void **state)
{
	struct veto_device *dev;
	char why[VETO_WHY_MAX];

	(void)state;
	assert_int_equal(veto_device_open("gpu:", &dev, why), -EINVAL);
	assert_ptr_equal(strstr(why, "unknown device 'gpu:'; known devices: cpu:"), why); /* and others of this build */
	assert_int_equal(veto_device_open("cpu", &dev, why), -EINVAL);
	assert_int_equal(veto_device_open("cpu:isa=mmx", &dev, why), -EINVAL);
	assert_string_equal(why, "cpu:isa=mmx: isa=mmx: 'mmx' is not one of: best, portable, avx2, avx512");
	assert_int_equal(veto_device_open("cpu:threads=1000", &dev, why), -EINVAL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(decimals_become_q20_by_rounding_to_nearest_even),
		cmocka_unit_test(what_is_no_number_is_refused),
		cmocka_unit_test(a_rule_keeps_its_values),
		cmocka_unit_test(every_rule_that_is_printed_is_read_back),
		cmocka_unit_test(decimals_have_a_point_whatever_the_locale),
		cmocka_unit_test(errors_quote_key_value_and_range),
		cmocka_unit_test(printing_stops_at_the_end_of_the_buffer),
		cmocka_unit_test(an_unknown_device_lists_the_known_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
