/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON that the programs read and write; the one file that sees cJSON. */
#include "json.h"
#include "param.h"
#include "policy.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* what stands at `at` in the source. */
static int fail_at(const struct json_source *source, const char *at, const char *what, int err, char *why)
{
	uint32_t line = source->first_line, column = 1;

	for (const char *s = source->text; s < at; s++) {
		column++;
		if (*s == '\n') {
			line++;
			column = 1;
		}
	}
	return param_fail(err, why, "%s:%u:%u: %s", source->file, line, column, what);
}

int json_fail(const struct json_source *source, const char *what, char *why)
{
	return fail_at(source, source->text + strspn(source->text, " \t\r\n"), what, -EINVAL, why);
}

/* Where the object's key of that index stands; the text is known to be JSON. */
static const char *find_key(const struct json_source *source, uint32_t index)
{
	bool is_key = false;
	int depth = 0;

	for (const char *s = source->text; s < source->text + source->bytes; s++) {
		if (*s == '"') {
			if (is_key && depth == 1 && index-- == 0)
				return s;
			is_key = false;
			for (s++; *s != '"'; s++)
				s += *s == '\\';
		} else if (*s == '{' || *s == '[') {
			depth++;
			is_key = true;
		} else if (*s == '}' || *s == ']') {
			depth--;
		} else if (*s == ',') {
			is_key = true;
		}
	}
	return source->text;
}

/* A NUL, plain or escaped; NULL: there is none. */
static const char *find_nul(const struct json_source *source)
{
	const char *end = source->text + source->bytes;

	for (const char *s = source->text; s < end; s++) {
		if (*s == 0 || (*s == '\\' && end - s > 5 && strncmp(s, "\\u0000", 6) == 0))
			return s;
		s += *s == '\\';
	}
	return NULL;
}

static int append(char *text, size_t bytes, size_t *used, const char *more)
{
	size_t length = strlen(more);

	if (*used + length >= bytes)
		return -EINVAL;
	memcpy(text + *used, more, length + 1);
	*used += length;
	return 0;
}

static int append_value(char *text, size_t bytes, size_t *used, const cJSON *item)
{
	char number[40], *plus;

	if (cJSON_IsString(item))
		return append(text, bytes, used, item->valuestring);
	if (cJSON_IsBool(item))
		return append(text, bytes, used, cJSON_IsTrue(item) ? "true" : "false");
	if (!cJSON_IsNumber(item))
		return -EINVAL;
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(number, sizeof(number), "%.*g", digits, item->valuedouble);
		if (strtod(number, NULL) == item->valuedouble)
			break;
	}
	if (fabs(item->valuedouble) < 0x1p53 && item->valuedouble == trunc(item->valuedouble))
		snprintf(number, sizeof(number), "%lld", (long long)item->valuedouble);
	plus = strchr(number, '+'); /* which would part the values of a list */
	if (plus)
		memmove(plus, plus + 1, strlen(plus));
	return append(text, bytes, used, number);
}

static int append_item(char *text, size_t bytes, const cJSON *item)
{
	const cJSON *element;
	size_t used = 0;
	int err = 0;

	*text = 0;
	if (!cJSON_IsArray(item))
		return append_value(text, bytes, &used, item);
	cJSON_ArrayForEach(element, item)
	{
		if (used > 0)
			err = append(text, bytes, &used, "+");
		if (!err)
			err = append_value(text, bytes, &used, element);
		if (err)
			return err;
	}
	return 0;
}

static int give_members(const struct json_source *source, const cJSON *object,
	int (*member)(void *arg, const char *key, const char *value, char *why), void *arg, char *why)
{
	char *value = malloc(source->bytes + 64);
	char what[VETO_WHY_MAX] = "";
	uint32_t index = 0;
	const cJSON *item;
	int err = 0;

	if (!value)
		return param_fail(-ENOMEM, why, "%s: out of memory", source->file);
	cJSON_ArrayForEach(item, object)
	{
		if (cJSON_GetObjectItemCaseSensitive(object, item->string) != item)
			err = param_fail(-EINVAL, what, "\"%s\" stands there twice", item->string);
		else if ((cJSON_IsArray(item) && !source->has_lists) || append_item(value, source->bytes + 64, item))
			err = param_fail(-EINVAL, what, "the value of \"%s\" is neither text nor number%s",
				item->string, source->has_lists ? ", nor a list of these" : "");
		else
			err = member(arg, item->string, value, what);
		if (err)
			break;
		index++;
	}
	free(value);
	return err ? fail_at(source, find_key(source, index), what, err, why) : 0;
}

int json_object(const struct json_source *source,
	int (*member)(void *arg, const char *key, const char *value, char *why), void *arg, char *why)
{
	const char *end = source->text, *limit = source->text + source->bytes, *nul = find_nul(source);
	cJSON *object;
	int err;

	if (nul)
		return fail_at(source, nul, "a NUL can't stand in a text", -EINVAL, why);
	object = cJSON_ParseWithLengthOpts(source->text, source->bytes, &end, false);
	if (!object)
		return fail_at(source, end, "this is not JSON", -EINVAL, why);
	while (end < limit && strchr(" \t\r\n", *end))
		end++;
	if (end < limit)
		err = fail_at(source, end, "text after the end of the JSON object", -EINVAL, why);
	else if (!cJSON_IsObject(object))
		err = json_fail(source, "a JSON object is expected", why);
	else
		err = give_members(source, object, member, arg, why);
	cJSON_Delete(object);
	return err;
}

static int find_policy(void *arg, const char *key, const char *value, char *why)
{
	struct veto_rule *rule = arg;

	return strcmp(key, "policy") == 0 ? policy_find(value, &rule->policy, why) : 0;
}

static int set_param(void *arg, const char *key, const char *value, char *why)
{
	struct veto_rule *rule = arg;

	if (strcmp(key, "policy") == 0 || strncmp(key, JSON_CALIBRATED, strlen(JSON_CALIBRATED)) == 0)
		return 0;
	if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0)
		value = *value == 't' ? "1" : "0";
	return param_set(rule->policy->param, rule->policy->name, key, value, &rule->values, why);
}

static int parse_rule(const struct json_source *source, struct veto_rule *out, char *why)
{
	struct veto_rule rule = {.policy = NULL};
	char what[VETO_WHY_MAX];
	int err;

	err = json_object(source, find_policy, &rule, why);
	if (err)
		return err;
	if (!rule.policy)
		return json_fail(source, "\"policy\" is missing", why);
	param_defaults(rule.policy->param, &rule.values);
	err = json_object(source, set_param, &rule, why);
	if (err)
		return err;
	if (param_check(rule.policy->param, rule.policy->name, &rule.values, what) || policy_check(&rule, what))
		return json_fail(source, what, why);
	policy_complete(&rule);
	*out = rule;
	return 0;
}

int veto_rule_parse_json(const char *json, size_t bytes, const char *file, struct veto_rule *out, char *why)
{
	struct json_source source = {json, bytes, file, 1, true};
	locale_t before = param_plain_locale();
	int err = parse_rule(&source, out, why);

	param_restore_locale(before);
	return err;
}

int json_utf8_length(const char *text)
{
	static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *s = (const unsigned char *)text;
	int length = *s < 0x80 ? 1 : *s >> 5 == 6 ? 2 : *s >> 4 == 14 ? 3 : *s >> 3 == 30 ? 4 : 0;
	uint32_t code = length > 1 ? *s & (0xffu >> (length + 1)) : *s;

	for (int i = 1; i < length; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		code = code << 6 | (s[i] & 63);
	}
	if (length > 1 && (code < lowest[length] || code > 0x10ffff || code >> 11 == 0x1b))
		return 0;
	return length;
}

void json_write_string(FILE *out, const char *text)
{
	fputc('"', out);
	while (*text) {
		const int length = json_utf8_length(text);

		if (length == 0) {
			fputs("\\ufffd", out);
			text++;
		} else if (length == 1 && (*text < 0x20 || *text == '"' || *text == '\\' || *text == 0x7f)) {
			fprintf(out, "\\u%04x", (unsigned)*text++);
		} else {
			fwrite(text, 1, (size_t)length, out);
			text += length;
		}
	}
	fputc('"', out);
}
