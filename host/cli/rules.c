/* SPDX-License-Identifier: Apache-2.0 */
/* Rules in options. */
#include "cli.h"
#include "json.h"

#include <errno.h>
#include <math.h>
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

/* A sampler's settings, those that are not given as they are then. */
struct sampler {
	double temperature, top_p, min_p;
	char others[256];
};

static int take_setting(void *arg, const char *key, const char *value, char *why)
{
	struct sampler *s = arg;
	const size_t used = strlen(s->others);

	(void)why;
	if (strcmp(key, "temperature") == 0)
		s->temperature = strtod(value, NULL);
	else if (strcmp(key, "top_p") == 0)
		s->top_p = strtod(value, NULL);
	else if (strcmp(key, "min_p") == 0)
		s->min_p = strtod(value, NULL);
	else
		snprintf(s->others + used, sizeof(s->others) - used, "%s=%s;", key, value);
	return 0;
}

static bool read_sampler(const char *json, struct sampler *out)
{
	const struct json_source source = {.text = json, .bytes = strlen(json), .file = "sampler", .first_line = 1};

	*out = (struct sampler){.temperature = 1, .top_p = 1};
	return json_object(&source, take_setting, out, NULL) == 0;
}

/* As texts, or as what the objects say. */
static bool is_same_sampler(const char *a, const char *b)
{
	struct sampler x, y;

	if (strcmp(a, b) == 0)
		return true;
	return read_sampler(a, &x) && read_sampler(b, &y) && fabs(x.temperature - y.temperature) < 1e-9 &&
	       fabs(x.top_p - y.top_p) < 1e-9 && fabs(x.min_p - y.min_p) < 1e-9 && strcmp(x.others, y.others) == 0;
}

/* What a policy file says of its calibration, against how it is used. */
struct checking {
	const struct usage *usage;
	bool is_calibrated;
	bool has_text[USAGE_TEXTS];
	char *model; /* compared only where there is no fingerprint */
	bool is_of_answers, has_other_select; /* the risk is that of answers, and so of a selector */
};

const char *const usage_names[USAGE_TEXTS] = {
	"model", "fingerprint", "sampler", "template", "source", "head", "select"};

static int check_text(struct checking *c, enum usage_text which, const char *value, char *why)
{
	const char *used = c->usage->text[which];

	c->has_text[which] = true;
	if (which == USAGE_MODEL) {
		free(c->model);
		c->model = strdup(value);
		return c->model ? 0 : param_fail(-ENOMEM, why, "out of memory");
	}
	if (which == USAGE_SELECT) {
		c->has_other_select = used && strcmp(used, value) != 0;
		return 0;
	}
	if (!used || (which == USAGE_SAMPLER ? is_same_sampler(used, value) : strcmp(used, value) == 0))
		return 0;
	return param_fail(-EINVAL, why, "it was calibrated for the %s %.150s, and this is %.150s", usage_names[which],
		value, *used ? used : "none");
}

static int check_member(void *arg, const char *key, const char *value, char *why)
{
	struct checking *c = arg;
	const struct {
		const char *key, *what;
		uint32_t value;
	} members[] = {{"calibrated_candidates", "candidates", c->usage->candidates},
		{"calibrated_cohort", "candidates a cohort", c->usage->cohort},
		{"calibrated_max_tokens", "tokens at most", c->usage->max_tokens}};

	c->is_calibrated |= strcmp(key, "calibrated_alpha") == 0;
	c->is_of_answers |= strcmp(key, "calibrated_risk") == 0 && strcmp(value, "answer") == 0;
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		if (strcmp(key, members[i].key) == 0 && strtoull(value, NULL, 10) != members[i].value)
			return param_fail(-EINVAL, why, "it was calibrated for %s %s, and there are %u", value,
				members[i].what, members[i].value);
	for (int i = 0; i < USAGE_TEXTS; i++)
		if (strncmp(key, "calibrated_", 11) == 0 && strcmp(key + 11, usage_names[i]) == 0)
			return check_text(c, (enum usage_text)i, value, why);
	return 0;
}

/* What is left once all members are read: the model by its name, and what can't be compared. */
static int check_rest(const char *command, const char *text, const struct checking *c)
{
	const char *used = c->usage->text[USAGE_MODEL];
	const bool is_known = c->has_text[USAGE_FINGERPRINT] && c->usage->text[USAGE_FINGERPRINT];

	if (c->is_calibrated && !is_known && c->model && used && strcmp(c->model, used) != 0)
		return misused(command, "--policy %s: it was calibrated for the model %s, and this is %s", text,
			c->model, used);
	if (c->is_of_answers && c->has_other_select)
		return misused(command,
			"--policy %s: its risk of answers was calibrated with another selector than --select %s", text,
			c->usage->text[USAGE_SELECT]);
	for (int i = USAGE_SAMPLER; i < USAGE_HEAD && c->is_calibrated; i++)
		if (!c->has_text[i] && c->usage->text[i])
			say(command, "warning: %s does not say for which %s it was calibrated", text, usage_names[i]);
	return EXIT_DONE;
}

int check_calibrated(const char *command, const char *text, const struct usage *usage)
{
	struct json_source source = {.file = text, .first_line = 1, .has_lists = true};
	struct checking checking = {.usage = usage};
	char *json, why[VETO_WHY_MAX];
	int status, err = read_file(text, &json, &source.bytes, why);

	source.text = json;
	if (!err && json)
		err = json_object(&source, check_member, &checking, why);
	status = err ? misused(command, "--policy %s", why) : check_rest(command, text, &checking);
	free(checking.model);
	free(json);
	return status;
}
