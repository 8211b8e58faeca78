/* SPDX-License-Identifier: Apache-2.0 */
/* veto policies: what the policies do, take and come from. */
#include "cli.h"
#include "json.h"

#include <string.h>

static const char help[] =
	"Usage: veto policies [NAME] [--json]\n\n"
	"Lists every policy with its role, or one with its parameters, their ranges and defaults, and the\n"
	"paper it comes from. A rule is written NAME or NAME:key=value,... or stands in a JSON file:\n"
	"{\"policy\": \"NAME\", \"key\": value, ...}.\n\n"
	"  --json   one JSON object a line\n"
	"  --help   this text\n";

static const char *const roles[] = {
	[VETO_REJECTS] = "rejects",
	[VETO_STOPS] = "stops",
	[VETO_SELECTS] = "selects",
};

/* The parameter's fallback as text; empty where there is none. */
static void print_fallback(const struct veto_policy *policy, size_t index, char *text, size_t bytes)
{
	struct veto_values values;

	param_defaults(policy->param, &values);
	*text = 0;
	param_print(&policy->param[index], &values, index, text, bytes);
}

static void print_json(const struct veto_policy *policy)
{
	char text[400];

	printf("{\"policy\":\"%s\",\"role\":\"%s\",\"help\":", policy->name, roles[policy->role]);
	json_write_string(stdout, policy->help);
	printf(",\"source\":");
	json_write_string(stdout, policy->source);
	printf(",\"parameters\":[");
	for (size_t i = 0; policy->param[i].name; i++) {
		const struct veto_param *param = &policy->param[i];

		printf("%s{\"name\":\"%s\",\"help\":", i ? "," : "", param->name);
		json_write_string(stdout, param->help);
		param_range(param, text, sizeof(text));
		printf(",\"values\":");
		json_write_string(stdout, text);
		print_fallback(policy, i, text, sizeof(text));
		printf(",\"default\":");
		if (*text)
			json_write_string(stdout, text);
		else
			printf("null");
		printf(",\"required\":%s,\"list\":%s}", param->is_required ? "true" : "false",
			param->is_list ? "true" : "false");
	}
	printf("]}\n");
}

static void print_whole(const struct veto_policy *policy)
{
	char text[400];

	printf("%s (%s): %s\nSource: %s\n", policy->name, roles[policy->role], policy->help, policy->source);
	for (size_t i = 0; policy->param[i].name; i++) {
		const struct veto_param *param = &policy->param[i];

		print_fallback(policy, i, text, sizeof(text));
		printf("\n  %s%s%s%s\n      %s\n", param->name, *text ? "=" : "", text,
			param->is_required ? " (required)" : "", param->help);
		param_range(param, text, sizeof(text));
		printf("      %s: %s\n", param->is_list ? "a+b+..., each of" : "values", text);
	}
}

static int print_policies(const char *name, bool is_json)
{
	const struct veto_policy *policy;
	bool is_found = false;

	for (size_t i = 0; (policy = veto_policy_at(i)); i++) {
		if (name && strcmp(name, policy->name) != 0)
			continue;
		is_found = true;
		if (is_json)
			print_json(policy);
		else if (name)
			print_whole(policy);
		else
			printf("%-21s %-8s %s\n", policy->name, roles[policy->role], policy->help);
	}
	return is_found ? EXIT_DONE : EXIT_MISUSED;
}

int cmd_policies(int argc, char **argv)
{
	bool is_json = false;
	struct veto_rule rule;
	char why[VETO_WHY_MAX];
	int status;

	if (!read_json_option("policies", help, argc, argv, &is_json, &status))
		return status;
	if (argc - optind > 1)
		return misused("policies", "unexpected argument '%s'", argv[optind + 1]);
	if (print_policies(argv[optind], is_json) == EXIT_MISUSED) {
		veto_rule_parse(argv[optind], &rule, why);
		return misused("policies", "%s", why);
	}
	return close_stdout("policies", EXIT_DONE);
}
