/* SPDX-License-Identifier: Apache-2.0 */
/* Rules in options. */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define JSON_MAX 65536

bool is_policy(const char *text)
{
	const struct veto_policy *policy;
	size_t length = strcspn(text, ":");

	for (size_t i = 0; (policy = veto_policy_at(i)); i++)
		if (strlen(policy->name) == length && strncmp(policy->name, text, length) == 0)
			return true;
	return false;
}

/* A rule from its text, or from the file that the text names. */
static int find_rule(const char *text, struct veto_rule *out, char *why)
{
	char *json;
	FILE *in;
	size_t bytes;
	int err;

	in = is_policy(text) ? NULL : fopen(text, "re");
	if (!in && !is_policy(text) && (strchr(text, '/') || strstr(text, ".json")))
		return param_fail(-EINVAL, why, "can't open '%s': %s", text, strerror(errno));
	if (!in)
		return veto_rule_parse(text, out, why);
	json = malloc(JSON_MAX);
	bytes = json ? fread(json, 1, JSON_MAX, in) : 0;
	fclose(in);
	err = bytes < JSON_MAX ? veto_rule_parse_json(json, bytes, text, out, why)
			       : param_fail(-EINVAL, why, "'%s' is longer than %d bytes", text, JSON_MAX - 1);
	free(json);
	return err;
}

int read_rule(const char *command, const char *option, const char *text, bool selects, struct veto_rule *out)
{
	char why[VETO_WHY_MAX];

	if (find_rule(text, out, why))
		return misused(command, "%s %s: %s", option, text, why);
	if ((out->policy->role == VETO_SELECTS) != selects)
		return misused(command, "%s %s: %s", option, text,
			selects ? "this policy does not select; use --policy" : "this policy selects; use --select");
	return 0;
}
