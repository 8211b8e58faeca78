/* SPDX-License-Identifier: Apache-2.0 */
/* Prints a policy file: its rule, and what it was calibrated for. */
#include "calibrated.h"
#include "map.h"

#include <string.h>

/* What the members of a calibration mean; those that are not here are texts that speak for themselves. */
static const struct {
	const char *key, *value, *meaning; /* value NULL: any */
	bool is_number;
} members[] = {
	{"risk", "candidate", "the chance that a right candidate of a question is rejected", false},
	{"risk", "pooled", "the share of all right candidates that are rejected", false},
	{"risk", "answer", "the share of questions that lose their right answer", false},
	{"alpha", NULL, "the risk that is allowed", true},
	{"delta", NULL, "the chance that it is higher nevertheless", true},
	{"lists", NULL, "policies that were tried with these questions", true},
	{"pvalue", "wsr", "the test, of Waudby-Smith and Ramdas", false},
	{"pvalue", "hb", "the test, of Hoeffding and Bentkus", false},
	{"units", NULL, "questions that count", true},
	{"seed", NULL, "of the split and of the order of questions", true},
	{"candidates", NULL, "of a question", true},
	{"cohort", NULL, "candidates that are written at once", true},
	{"max_tokens", NULL, "of a candidate", true},
	{"fingerprint", NULL, "of the model", false},
	{"template", NULL, "what prompts are put into", false},
	{"source", NULL, "of the scores", false},
	{"step", NULL, "text that ends one", false},
	{"answer", NULL, "where it stands", false},
	{"head", NULL, "checksum of the head that gives the rewards", false},
	{"select", NULL, "how the answer is chosen", false},
	{"beside", NULL, "other rules in force", false},
};

struct printing {
	bool is_json;
	uint32_t members; /* so far */
};

/* A line of a rule, aligned with those of its calibration. */
static void print_wide(const char *key, const char *value)
{
	printf("%-13s ", key);
	inspect_print(value, SIZE_MAX);
	putchar('\n');
}

/* Which member it is; its count: none. */
#define MEMBERS (sizeof(members) / sizeof(*members))
static size_t find_member(const char *key, const char *value)
{
	size_t i = 0;

	while (i < MEMBERS &&
		(strcmp(members[i].key, key) != 0 || (members[i].value && strcmp(members[i].value, value) != 0)))
		i++;
	return i;
}

static void print_member(const char *key, const char *value)
{
	const size_t i = find_member(key, value);
	const int width = (int)strlen(key);

	printf("  ");
	inspect_print(key, SIZE_MAX);
	printf("%*s", width < 11 ? 12 - width : 1, "");
	inspect_print(value, SIZE_MAX);
	printf(i < MEMBERS ? " (%s)\n" : "\n", i < MEMBERS ? members[i].meaning : "");
}

static void print_member_json(const char *key, const char *value)
{
	const size_t i = find_member(key, value);

	json_write_string(stdout, key);
	putchar(':');
	if (i < MEMBERS && members[i].is_number)
		printf("%s", value);
	else
		json_write_string(stdout, value);
}

static int print_calibrated(void *arg, const char *key, const char *value, char *why)
{
	struct printing *p = arg;

	(void)why;
	if (strncmp(key, JSON_CALIBRATED, strlen(JSON_CALIBRATED)) != 0)
		return 0;
	key += strlen(JSON_CALIBRATED);
	if (p->is_json)
		printf("%s", p->members ? "," : "{");
	else
		printf("%s", p->members ? "" : "calibrated\n");
	p->members++;
	(p->is_json ? print_member_json : print_member)(key, value);
	return 0;
}

static void print_value(const struct veto_param *param, const char *text)
{
	if (param->type == VETO_PARAM_COUNT || param->type == VETO_PARAM_Q20 || param->type == VETO_PARAM_RATIO)
		printf("%s", text);
	else
		json_write_string(stdout, text);
}

static void print_param_json(const struct veto_param *param, char *text)
{
	const char *separator = "[";

	printf("\"%s\":", param->name);
	if (!param->is_list) {
		print_value(param, text);
		return;
	}
	for (char *one; (one = strsep(&text, "+")); separator = ",") {
		printf("%s", separator);
		print_value(param, one);
	}
	putchar(']');
}

static void print_rule(const struct veto_rule *rule, bool is_json)
{
	const struct veto_param *param = rule->policy->param;
	const char *separator = "";
	char text[1024];

	if (is_json)
		printf("{\"kind\":\"policy\",\"policy\":\"%s\",\"parameters\":{", rule->policy->name);
	else
		print_wide("policy", rule->policy->name);
	for (size_t i = 0; param[i].name; i++) {
		if (rule->values.count[i] == 0)
			continue;
		param_print(&param[i], &rule->values, i, text, sizeof(text));
		if (!is_json) {
			print_wide(param[i].name, text);
			continue;
		}
		printf("%s", separator);
		print_param_json(&param[i], text);
		separator = ",";
	}
	printf("%s", is_json ? "},\"calibrated\":" : "");
}

/* What follows the members of the calibration. */
static void print_state(enum calibrated_state state, bool is_json)
{
	if (is_json)
		printf(state == CALIBRATED_NOT ? "null}\n" : "},\"intact\":%s}\n",
			state == CALIBRATED_INTACT ? "true" : "false");
	else if (state == CALIBRATED_NOT)
		print_wide("calibrated", "no");
	else if (state == CALIBRATED_CHANGED)
		print_wide("changed", "since it was calibrated: it promises nothing, and --policy refuses it");
}

/* The rule is printed once the whole file is known to be good. */
int inspect_policy(const char *path, bool is_json)
{
	struct printing printing = {.is_json = is_json};
	struct json_source source = {.file = path, .first_line = 1, .has_lists = true};
	enum calibrated_state state;
	struct veto_rule rule;
	struct map map;
	char why[VETO_WHY_MAX];
	int err = map_open(path, &map, why);

	if (err)
		return misused("inspect", "%s", why);
	source.text = map.data;
	source.bytes = map.bytes;
	err = veto_rule_parse_json(source.text, source.bytes, path, &rule, why);
	if (!err)
		err = calibrated_find_state(&source, &state, why);
	if (!err) {
		print_rule(&rule, is_json);
		err = json_object(&source, print_calibrated, &printing, why);
	}
	map_close(&map);
	if (err)
		return misused("inspect", "%s", why);
	print_state(state, is_json);
	return close_stdout("inspect", EXIT_DONE);
}
