/* SPDX-License-Identifier: Apache-2.0 */
/* Rules in options. */
#include "cli.h"
#include "json.h"

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

int rule_file_read(const char *text, char **json, size_t *bytes, char *why)
{
	FILE *in = is_policy(text) ? NULL : fopen(text, "re");

	*json = NULL;
	if (!in && !is_policy(text) && (strchr(text, '/') || strstr(text, ".json")))
		return param_fail(-EINVAL, why, "can't open '%s': %s", text, strerror(errno));
	if (!in)
		return 0;
	*json = malloc(JSON_MAX);
	*bytes = *json ? fread(*json, 1, JSON_MAX, in) : JSON_MAX;
	fclose(in);
	if (*bytes < JSON_MAX)
		return 0;
	free(*json);
	*json = NULL;
	return param_fail(-EINVAL, why, "'%s' is longer than %d bytes", text, JSON_MAX - 1);
}

/* A rule from its text, or from the file that the text names. */
static int find_rule(const char *text, struct veto_rule *out, char *why)
{
	char *json;
	size_t bytes;
	int err = rule_file_read(text, &json, &bytes, why);

	if (!err)
		err = json ? veto_rule_parse_json(json, bytes, text, out, why) : veto_rule_parse(text, out, why);
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

bool rule_reads_reward(const struct veto_rule *rule)
{
	for (size_t i = 0; rule->policy->param[i].name; i++)
		if (rule->policy->param[i].type == VETO_PARAM_FIELD && rule->values.value[i][0] == VETO_REWARD)
			return true;
	return false;
}

size_t rules_print(const struct veto_rule *rule, uint32_t rules, char *text, size_t bytes)
{
	size_t used = (size_t)snprintf(text, bytes, "%s", rules > 0 ? "" : "none");

	for (uint32_t i = 0; i < rules && used < bytes; i++) {
		used += (size_t)snprintf(text + used, bytes - used, "%s", i ? VETO_RULES_JOINED : "");
		if (used < bytes)
			used += (size_t)veto_rule_print(&rule[i], text + used, bytes - used);
	}
	return used;
}

void rule_prefer_reward(const char *text, struct veto_rule *rule)
{
	const struct veto_param *param = rule->policy->param;

	if (strncmp(text, "gate", 4) != 0 || !is_policy(text) || strstr(text, "score="))
		return;
	for (size_t i = 0; param[i].name; i++)
		if (strcmp(param[i].name, "score") == 0)
			rule->values.value[i][0] = VETO_REWARD;
}

uint32_t rules_split(char *texts, char *out[VETO_RULES_MAX])
{
	uint32_t count = 0;

	while (count < VETO_RULES_MAX) {
		char *end = strstr(texts, VETO_RULES_JOINED);

		out[count++] = texts;
		if (!end)
			break;
		*end = 0;
		texts = end + strlen(VETO_RULES_JOINED);
	}
	return count;
}
