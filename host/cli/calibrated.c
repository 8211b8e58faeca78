/* SPDX-License-Identifier: Apache-2.0 */
/* Compares what a policy file was calibrated for with how it is used. */
#include "calibrated.h"
#include "hash.h"
#include "spans.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (VETO_RULES_MAX * 512)
#define CHECKSUM_MAX 17

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
	bool has_text[USAGE_TEXTS];
	char *model; /* compared only where there is no fingerprint */
	char *beside; /* the rules that it was calibrated with */
	bool is_of_answers, has_other_select; /* the risk is that of answers, and so of a selector */
};

const char *const usage_names[USAGE_TEXTS] = {
	"model", "fingerprint", "sampler", "template", "source", "step", "answer", "head", "select"};

/* Members that say how it was calibrated, and hold for any use. */
static const char *const notes[] = {"alpha", "delta", "lists", "pvalue", "units", "seed", "checksum"};

static int keep(const char *value, char **out, char *why)
{
	free(*out);
	*out = strdup(value);
	return *out ? 0 : param_fail(-ENOMEM, why, "out of memory");
}

/* As JSON, in which a line break can be seen. */
static const char *quoted(const char *text, char out[64])
{
	FILE *memory = fmemopen(out, 64, "w");

	if (memory) {
		json_write_string(memory, text);
		fclose(memory);
	}
	return out;
}

static int check_text(struct checking *c, enum usage_text which, const char *value, char *why)
{
	const char *used = c->usage->text[which];

	c->has_text[which] = true;
	if (which == USAGE_MODEL)
		return keep(value, &c->model, why);
	if (which == USAGE_SELECT) {
		c->has_other_select = used && strcmp(used, value) != 0;
		return 0;
	}
	if (!used || (which == USAGE_SAMPLER ? is_same_sampler(used, value) : strcmp(used, value) == 0))
		return 0;
	if (which == USAGE_STEP)
		return param_fail(-EINVAL, why, "it was calibrated for steps that end with %s, and these end with %s",
			quoted(value, (char[64]){0}), quoted(used, (char[64]){0}));
	return param_fail(-EINVAL, why, "it was calibrated for the %s %.150s, and this is %.150s", usage_names[which],
		value, *used ? used : "none");
}

static int check_member(void *arg, const char *key, const char *value, char *why)
{
	struct checking *c = arg;
	const struct {
		const char *key, *what;
		uint32_t value;
	} counts[] = {{"candidates", "candidates", c->usage->candidates},
		{"cohort", "candidates a cohort", c->usage->cohort},
		{"max_tokens", "tokens at most", c->usage->max_tokens}};
	const char *name = key + strlen(JSON_CALIBRATED);

	if (strncmp(key, JSON_CALIBRATED, strlen(JSON_CALIBRATED)) != 0)
		return 0;
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		if (strcmp(name, counts[i].key) == 0)
			return strtoull(value, NULL, 10) == counts[i].value
				       ? 0
				       : param_fail(-EINVAL, why, "it was calibrated for %s %s, and there are %u",
						 value, counts[i].what, counts[i].value);
	for (int i = 0; i < USAGE_TEXTS; i++)
		if (strcmp(name, usage_names[i]) == 0)
			return check_text(c, (enum usage_text)i, value, why);
	for (size_t i = 0; i < sizeof(notes) / sizeof(*notes); i++)
		if (strcmp(name, notes[i]) == 0)
			return 0;
	if (strcmp(name, "beside") == 0)
		return keep(value, &c->beside, why);
	if (strcmp(name, "risk") != 0)
		return param_fail(-EINVAL, why, "'%s' is not known, and so can't be checked", key);
	c->is_of_answers = strcmp(value, "answer") == 0;
	return 0;
}

/* --- Other rules --- */

static bool stops_something(const struct veto_rule *rule)
{
	const int64_t *shadow = rule_value(rule, "shadow", NULL);

	return rule->policy->role != VETO_SELECTS && !(shadow && *shadow);
}

/* The rules beside rule[own], joined: what it was calibrated with. */
static void print_beside(const struct veto_rule *rule, uint32_t rules, uint32_t own, char *text, size_t bytes)
{
	struct veto_rule others[VETO_RULES_MAX];
	uint32_t count = 0;

	for (uint32_t i = 0; i < rules; i++)
		if (i != own && stops_something(&rule[i]))
			others[count++] = rule[i];
	rules_print(others, count, text, bytes);
}

static bool is_among(const char *text, char *const *list, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (strcmp(list[i], text) == 0)
			return true;
	return false;
}

/* Another rule that rejects adds to the risk, and one that stops changes answers; a rule that is missing left more to reject. */
static int check_beside(const char *command, const char *text, const struct checking *c, uint32_t own)
{
	const struct usage *usage = c->usage;
	char all[TEXT_MAX], one[TEXT_MAX], *stated[VETO_RULES_MAX], *used[VETO_RULES_MAX];
	const uint32_t count = strcmp(c->beside, "none") == 0 ? 0 : rules_split(c->beside, stated);
	uint32_t others;

	print_beside(usage->rule, usage->rules, own, all, sizeof(all));
	others = rules_split(all, used);
	for (uint32_t i = 0; i < count; i++)
		if (!is_among(stated[i], used, others))
			return misused(command,
				"--policy %s: its risk was calibrated with %s beside it, and that is not in force",
				text, stated[i]);
	for (uint32_t i = 0; i < usage->rules; i++) {
		if (i == own || !stops_something(&usage->rule[i]) ||
			(usage->rule[i].policy->role == VETO_STOPS && !c->is_of_answers))
			continue;
		veto_rule_print(&usage->rule[i], one, sizeof(one));
		if (!is_among(one, stated, count))
			return misused(command,
				"--policy %s: its risk was calibrated without %s beside it, and that is in force", text,
				one);
	}
	return EXIT_DONE;
}

/* --- The whole --- */

struct sum {
	uint64_t hash;
	char stated[CHECKSUM_MAX + 1]; /* empty: it states none; one more, so that a longer one is another */
	bool is_calibrated;
};

static int add_member(void *arg, const char *key, const char *value, char *why)
{
	struct sum *sum = arg;

	(void)why;
	sum->is_calibrated |= strncmp(key, JSON_CALIBRATED, strlen(JSON_CALIBRATED)) == 0;
	if (strcmp(key, JSON_CALIBRATED "checksum") == 0) {
		snprintf(sum->stated, sizeof(sum->stated), "%s", value);
		return 0;
	}
	sum->hash = hash_bytes(sum->hash, key, strlen(key) + 1);
	sum->hash = hash_bytes(sum->hash, value, strlen(value) + 1);
	return 0;
}

/* The checksum of all members but itself, whatever the blanks between them. */
static int find_sum(const struct json_source *source, struct sum *sum, char found[CHECKSUM_MAX], char *why)
{
	int err;

	*sum = (struct sum){.hash = HASH_START};
	err = json_object(source, add_member, sum, why);
	snprintf(found, CHECKSUM_MAX, "%016" PRIx64, sum->hash);
	return err;
}

int calibrated_find_state(const struct json_source *source, enum calibrated_state *out, char *why)
{
	struct sum sum;
	char found[CHECKSUM_MAX];
	const int err = find_sum(source, &sum, found, why);

	if (!err)
		*out = !sum.is_calibrated		? CALIBRATED_NOT
		       : strcmp(sum.stated, found) == 0 ? CALIBRATED_INTACT
							: CALIBRATED_CHANGED;
	return err;
}

/* What is left once all members are read: the model by its name, and what can't be compared. */
static int check_rest(const char *command, const char *text, const struct checking *c, uint32_t own)
{
	const char *used = c->usage->text[USAGE_MODEL];
	const bool is_known = c->has_text[USAGE_FINGERPRINT] && c->usage->text[USAGE_FINGERPRINT];

	if (!is_known && c->model && used && strcmp(c->model, used) != 0)
		return misused(command, "--policy %s: it was calibrated for the model %s, and this is %s", text,
			c->model, used);
	if (c->is_of_answers && c->has_other_select)
		return misused(command,
			"--policy %s: its risk of answers was calibrated with another selector than --select %s", text,
			c->usage->text[USAGE_SELECT]);
	for (int i = USAGE_SAMPLER; i < USAGE_HEAD; i++)
		if (!c->has_text[i] && c->usage->text[i])
			say(command, "warning: %s does not say for which %s it was calibrated", text, usage_names[i]);
	return check_beside(command, text, c, own);
}

/* A file that says nothing of a calibration holds for any use. */
static int check_file(const char *command, const char *text, const struct json_source *source,
	const struct usage *usage, uint32_t own)
{
	struct checking checking = {.usage = usage, .beside = strdup("none")};
	enum calibrated_state state = CALIBRATED_NOT;
	char why[VETO_WHY_MAX];
	int status = EXIT_DONE, err = checking.beside ? 0 : param_fail(-ENOMEM, why, "out of memory");

	if (!err)
		err = calibrated_find_state(source, &state, why);
	if (!err && state == CALIBRATED_CHANGED)
		err = param_fail(-EINVAL, why,
			"%s: it is not as calibrate wrote it; without its members " JSON_CALIBRATED
			"* it is a policy that promises nothing",
			text);
	if (!err && state == CALIBRATED_INTACT)
		err = json_object(source, check_member, &checking, why);
	if (!err && state == CALIBRATED_INTACT)
		status = check_rest(command, text, &checking, own);
	free(checking.model);
	free(checking.beside);
	return err ? misused(command, "--policy %s", why) : status;
}

int calibrated_check(const char *command, const char *text, const struct usage *usage, uint32_t own)
{
	struct json_source source = {.file = text, .first_line = 1, .has_lists = true};
	char *json, why[VETO_WHY_MAX];
	int status = EXIT_DONE;

	if (rule_file_read(text, &json, &source.bytes, why))
		return misused(command, "--policy %s", why);
	source.text = json;
	if (json)
		status = check_file(command, text, &source, usage, own);
	free(json);
	return status;
}

/* --- Writing --- */

static void write_member(const char *name, const char *text, FILE *out)
{
	fprintf(out, ",\n\t\"" JSON_CALIBRATED "%s\": ", name);
	json_write_string(out, text);
}

/* The rule's parameters. */
static void write_rule(const struct veto_rule *rule, FILE *out)
{
	char text[TEXT_MAX], *rest = text, *pair;

	veto_rule_print(rule, text, sizeof(text));
	fprintf(out, "{\n\t\"policy\": \"%s\"", strsep(&rest, ":"));
	while ((pair = strsep(&rest, ","))) {
		char *value = strchr(pair, '=');
		bool is_list;

		*value++ = 0;
		is_list = strchr(value, '+') != NULL;
		fprintf(out, ",\n\t\"%s\": %s", pair, is_list ? "[" : "");
		for (char *one; (one = strsep(&value, "+"));)
			fprintf(out, strspn(one, "-0123456789.e") == strlen(one) ? "%s%s" : "\"%s\"%s", one,
				value ? ", " : "");
		fprintf(out, "%s", is_list ? "]" : "");
	}
}

/* How it was calibrated, and for what; what is not known is left out. */
static void write_members(const struct usage *usage, uint32_t own, const struct calibrated *how, FILE *out)
{
	bool has_reward = false;
	char beside[TEXT_MAX];

	write_member("risk", how->risk, out);
	fprintf(out,
		",\n\t\"" JSON_CALIBRATED "alpha\": %g,\n\t\"" JSON_CALIBRATED "delta\": %g,\n\t\"" JSON_CALIBRATED
		"lists\": %" PRId64,
		how->alpha, how->delta, how->lists);
	write_member("pvalue", how->pvalue, out);
	fprintf(out,
		",\n\t\"" JSON_CALIBRATED "units\": %u,\n\t\"" JSON_CALIBRATED "seed\": %" PRIu64
		",\n\t\"" JSON_CALIBRATED "candidates\": %u,\n\t\"" JSON_CALIBRATED
		"cohort\": %u,\n\t\"" JSON_CALIBRATED "max_tokens\": %u",
		how->units, how->seed, usage->candidates, usage->cohort, usage->max_tokens);
	for (uint32_t i = 0; i < usage->rules; i++)
		has_reward |= rule_reads_reward(&usage->rule[i]);
	for (int i = 0; i < USAGE_TEXTS; i++)
		if (usage->text[i] && (i != USAGE_HEAD || has_reward))
			write_member(usage_names[i], usage->text[i], out);
	print_beside(usage->rule, usage->rules, own, beside, sizeof(beside));
	write_member("beside", beside, out);
	fprintf(out, "}");
}

int calibrated_write(
	const char *command, const char *path, const struct usage *usage, uint32_t own, const struct calibrated *how)
{
	struct json_source source = {.file = path, .first_line = 1, .has_lists = true};
	char *json = NULL, checksum[CHECKSUM_MAX], why[VETO_WHY_MAX] = "out of memory";
	FILE *text = open_memstream(&json, &source.bytes), *out;
	struct sum sum;
	int err = text ? 0 : -ENOMEM;

	if (!err) {
		write_rule(&usage->rule[own], text);
		write_members(usage, own, how, text);
		err = fclose(text);
	}
	source.text = json;
	if (!err)
		err = find_sum(&source, &sum, checksum, why);
	out = err ? NULL : fopen(path, "we");
	if (out)
		fprintf(out, "%.*s,\n\t\"" JSON_CALIBRATED "checksum\": \"%s\"\n}\n", (int)source.bytes - 1, json,
			checksum);
	free(json);
	if (err)
		return failed(command, "%s", why);
	return !out || fclose(out) ? failed(command, "can't write '%s': %m", path) : EXIT_DONE;
}
