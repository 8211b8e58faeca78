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

static int fail_at(const char *text, const char *at, const char *file, uint32_t line, const char *what, char *why)
{
	uint32_t column = 1;

	for (; text < at; text++) {
		column++;
		if (*text == '\n') {
			line++;
			column = 1;
		}
	}
	return param_fail(-EINVAL, why, "%s:%u:%u: %s", file, line, column, what);
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

static int give_members(const cJSON *object, size_t bytes, const char *file, uint32_t line,
	int (*member)(void *arg, const char *key, const char *value, char *why), void *arg, char *why)
{
	char *value = malloc(bytes + 64);
	const cJSON *item;
	int err = value ? 0 : param_fail(-ENOMEM, why, "%s: out of memory", file);

	if (err)
		return err;
	cJSON_ArrayForEach(item, object)
	{
		err = append_item(value, bytes + 64, item);
		if (err)
			err = param_fail(-EINVAL, why,
				"%s:%u: the value of \"%s\" is neither text, number nor a list of these", file, line,
				item->string);
		else
			err = member(arg, item->string, value, why);
		if (err)
			break;
	}
	free(value);
	return err;
}

int json_object(const char *text, size_t bytes, const char *file, uint32_t first_line,
	int (*member)(void *arg, const char *key, const char *value, char *why), void *arg, char *why)
{
	const char *end = text;
	cJSON *object = cJSON_ParseWithLengthOpts(text, bytes, &end, false);
	int err;

	if (!object)
		return fail_at(text, end, file, first_line, "this is not JSON", why);
	while (end < text + bytes && strchr(" \t\r\n", *end) && *end)
		end++;
	if (end < text + bytes)
		err = fail_at(text, end, file, first_line, "text after the end of the JSON object", why);
	else if (!cJSON_IsObject(object))
		err = fail_at(text, text, file, first_line, "a JSON object is expected", why);
	else
		err = give_members(object, bytes, file, first_line, member, arg, why);
	cJSON_Delete(object);
	return err;
}

struct rule_reader {
	const char *file;
	struct veto_rule rule;
};

static int find_policy(void *arg, const char *key, const char *value, char *why)
{
	struct rule_reader *reader = arg;

	return strcmp(key, "policy") == 0 ? policy_find(value, &reader->rule.policy, why) : 0;
}

static int set_param(void *arg, const char *key, const char *value, char *why)
{
	struct rule_reader *reader = arg;
	char owner[256];

	if (strcmp(key, "policy") == 0)
		return 0;
	snprintf(owner, sizeof(owner), "%s: %s", reader->file, reader->rule.policy->name);
	return param_set(reader->rule.policy->param, owner, key, value, &reader->rule.values, why);
}

int veto_rule_parse_json(const char *json, size_t bytes, const char *file, struct veto_rule *out, char *why)
{
	struct rule_reader reader = {.file = file};
	int err;

	err = json_object(json, bytes, file, 1, find_policy, &reader, why);
	if (!err && !reader.rule.policy)
		err = param_fail(-EINVAL, why, "%s: \"policy\" is missing", file);
	if (err)
		return err;
	param_defaults(reader.rule.policy->param, &reader.rule.values);
	err = json_object(json, bytes, file, 1, set_param, &reader, why);
	if (!err)
		err = param_check(reader.rule.policy->param, file, &reader.rule.values, why);
	if (!err)
		*out = reader.rule;
	return err;
}

/* Bytes of the UTF-8 character at s; 0: none. */
static int utf8_length(const unsigned char *s)
{
	static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
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
	const unsigned char *s = (const unsigned char *)text;

	fputc('"', out);
	while (*s) {
		int length = utf8_length(s);

		if (length == 0) {
			fputs("\\ufffd", out);
			s++;
		} else if (length == 1 && (*s < 0x20 || *s == '"' || *s == '\\' || *s == 0x7f)) {
			fprintf(out, "\\u%04x", *s++);
		} else {
			fwrite(s, 1, (size_t)length, out);
			s += length;
		}
	}
	fputc('"', out);
}
