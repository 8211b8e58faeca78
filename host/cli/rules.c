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

/* The file that a text names, to be freed; NULL with 0: it names none. */
static int read_file(const char *text, char **json, size_t *bytes, char *why)
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
	int err = read_file(text, &json, &bytes, why);

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

static int check_member(void *arg, const char *key, const char *value, char *why)
{
	const struct usage *usage = arg;
	const struct {
		const char *key, *what;
		uint32_t value;
	} members[] = {{"calibrated_candidates", "candidates", usage->candidates},
		{"calibrated_cohort", "candidates a cohort", usage->cohort},
		{"calibrated_max_tokens", "tokens at most", usage->max_tokens}};

	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		if (strcmp(key, members[i].key) == 0 && strtoull(value, NULL, 10) != members[i].value)
			return param_fail(-EINVAL, why, "it was calibrated for %s %s, and there are %u", value,
				members[i].what, members[i].value);
	return 0;
}

int check_calibrated(const char *command, const char *text, const struct usage *usage)
{
	struct json_source source = {.file = text, .first_line = 1, .has_lists = true};
	char *json, why[VETO_WHY_MAX];
	int err = read_file(text, &json, &source.bytes, why);

	source.text = json;
	if (!err && json)
		err = json_object(&source, check_member, (void *)usage, why);
	free(json);
	return err ? misused(command, "--policy %s", why) : EXIT_DONE;
}
