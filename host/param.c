/* SPDX-License-Identifier: Apache-2.0 */
/* Options written key=value,...: of policies and of device URIs. */
#include "param.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define Q20_ONE (1 << 20)

void param_say(char *why, const char *format, ...)
{
	va_list args;

	if (why) {
		va_start(args, format);
		vsnprintf(why, VETO_WHY_MAX, format, args);
		va_end(args);
		for (; *why; why++)
			if ((unsigned char)*why < ' ' || *why == 0x7f)
				*why = ' ';
	}
}

locale_t param_plain_locale(void)
{
	locale_t plain = newlocale(LC_NUMERIC_MASK, "C", NULL);

	return plain ? uselocale(plain) : NULL;
}

void param_restore_locale(locale_t before)
{
	if (before)
		freelocale(uselocale(before));
}

int param_q20(const char *text, int64_t *out)
{
	char *end;
	double value;

	if (strspn(text, "+-.0123456789eE") != strlen(text))
		return -EINVAL;
	value = strtod(text, &end) * Q20_ONE;
	if (end == text || *end || !(fabs(value) < 0x1p40))
		return -EINVAL;
	*out = llrint(value);
	return 0;
}

int param_count(const char *text, int64_t *out)
{
	char *end;
	long long value;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (*end || errno)
		return -EINVAL;
	*out = value;
	return 0;
}

static int choice_find(const char *const *choices, const char *text, int64_t *out)
{
	for (int64_t i = 0; choices[i]; i++) {
		if (strcmp(choices[i], text) == 0) {
			*out = i;
			return 0;
		}
	}
	return -EINVAL;
}

static int read_one(const struct veto_param *param, const char *text, int64_t *out)
{
	int64_t value = 0;
	int err;

	switch (param->type) {
	case VETO_PARAM_COUNT:
		err = param_count(text, &value);
		break;
	case VETO_PARAM_FIELD:
		value = veto_field_find(text);
		err = value < 0 ? -EINVAL : 0;
		break;
	case VETO_PARAM_CHOICE:
		err = choice_find(param->choices, text, &value);
		break;
	default:
		err = param_q20(text, &value);
	}
	if (err)
		return err;
	if (param->type != VETO_PARAM_FIELD && param->type != VETO_PARAM_CHOICE &&
		(value < param->low || value > param->high))
		return -EINVAL;
	*out = value;
	return 0;
}

static void print_names(const char *const *names, char *text, size_t bytes)
{
	size_t used = 0;

	for (size_t i = 0; names[i] && used < bytes; i++)
		used += (size_t)snprintf(text + used, bytes - used, "%s%s", i ? ", " : "", names[i]);
}

void param_range(const struct veto_param *param, char *text, size_t bytes)
{
	const char *names[VETO_FIELDS + 1] = {0};

	if (param->type == VETO_PARAM_COUNT) {
		snprintf(text, bytes, "%lld to %lld", (long long)param->low, (long long)param->high);
	} else if (param->type == VETO_PARAM_CHOICE) {
		print_names(param->choices, text, bytes);
	} else if (param->type == VETO_PARAM_FIELD) {
		for (int i = 0; i < VETO_FIELDS; i++)
			names[i] = veto_fields[i].name;
		print_names(names, text, bytes);
	} else if (param->type == VETO_PARAM_TEXT) {
		snprintf(text, bytes, "text");
	} else if (param->low == 1) {
		snprintf(text, bytes, "above 0 to %.7g", (double)param->high / Q20_ONE);
	} else {
		snprintf(text, bytes, "%.7g to %.7g", (double)param->low / Q20_ONE, (double)param->high / Q20_ONE);
	}
}

static int find(const struct veto_param *table, const char *key)
{
	for (int i = 0; table[i].name; i++)
		if (strcmp(table[i].name, key) == 0)
			return i;
	return -ENOENT;
}

static int fail_unknown(const struct veto_param *table, const char *owner, const char *key, char *why)
{
	const char *names[VETO_PARAMS_MAX + 1] = {0};
	char known[256] = "none";

	for (int i = 0; table[i].name; i++)
		names[i] = table[i].name;
	if (names[0])
		print_names(names, known, sizeof(known));
	return param_fail(-EINVAL, why, "%s: unknown key '%s'; known keys: %s", owner, key, known);
}

static const char *const wanted[] = {
	[VETO_PARAM_COUNT] = "a whole number in the range",
	[VETO_PARAM_Q20] = "a number in the range",
	[VETO_PARAM_RATIO] = "a number in the range",
	[VETO_PARAM_FIELD] = "one of:",
	[VETO_PARAM_CHOICE] = "one of:",
};

static int set_text(
	const char *owner, const char *key, const char *value, int index, struct veto_values *out, char *why)
{
	if (!*value || strlen(value) >= sizeof(out->text))
		return param_fail(
			-EINVAL, why, "%s: %s=%s: 1 to %zu characters", owner, key, value, sizeof(out->text) - 1);
	snprintf(out->text, sizeof(out->text), "%s", value);
	out->count[index] = 1;
	return 0;
}

int param_set(const struct veto_param *table, const char *owner, const char *key, const char *value,
	struct veto_values *out, char *why)
{
	int index = find(table, key);
	int64_t list[VETO_LIST_MAX] = {0};
	char range[256], copy[256];
	uint32_t count = 0;
	char *rest = copy;

	if (index < 0)
		return fail_unknown(table, owner, key, why);
	if (table[index].type == VETO_PARAM_TEXT)
		return set_text(owner, key, value, index, out, why);
	param_range(&table[index], range, sizeof(range));
	if (snprintf(copy, sizeof(copy), "%s", value) >= (int)sizeof(copy))
		return param_fail(
			-EINVAL, why, "%s: %s: the value is longer than %zu characters", owner, key, sizeof(copy) - 1);
	for (char *one; (one = table[index].is_list ? strsep(&rest, "+") : rest); count++) {
		if (count == VETO_LIST_MAX)
			return param_fail(
				-EINVAL, why, "%s: %s=%s: more than %d values", owner, key, value, VETO_LIST_MAX);
		if (read_one(&table[index], one, &list[count]))
			return param_fail(-EINVAL, why, "%s: %s=%s: '%s' is not %s %s", owner, key, value, one,
				wanted[table[index].type], range);
		if (!table[index].is_list)
			rest = NULL;
	}
	memcpy(out->value[index], list, sizeof(list));
	out->count[index] = count;
	return 0;
}

void param_defaults(const struct veto_param *table, struct veto_values *out)
{
	memset(out, 0, sizeof(*out));
	for (int i = 0; table[i].name; i++) {
		out->value[i][0] = table[i].fallback;
		out->count[i] = !table[i].is_required && table[i].type != VETO_PARAM_TEXT &&
				(table[i].fallback || !(table[i].is_list || table[i].low > 0));
	}
}

int param_check(const struct veto_param *table, const char *owner, const struct veto_values *values, char *why)
{
	for (int i = 0; table[i].name; i++)
		if (table[i].is_required && values->count[i] == 0)
			return param_fail(-EINVAL, why, "%s: %s is required: %s", owner, table[i].name, table[i].help);
	return 0;
}

int param_parse(const struct veto_param *table, const char *owner, const char *text, struct veto_values *out, char *why)
{
	struct veto_values values;
	const char *seen[VETO_PARAMS_MAX];
	uint32_t keys = 0;
	char copy[512];
	char *rest = copy;
	int err;

	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return param_fail(-EINVAL, why, "%s: more than %zu characters of options", owner, sizeof(copy) - 1);
	param_defaults(table, &values);
	while (*text && rest) {
		char *key = strsep(&rest, ",");
		char *value = strchr(key, '=');

		if (!value)
			return param_fail(-EINVAL, why, "%s: '%s' is not key=value", owner, key);
		*value++ = 0;
		err = param_set(table, owner, key, value, &values, why);
		if (err)
			return err;
		for (uint32_t i = 0; i < keys; i++)
			if (strcmp(seen[i], key) == 0)
				return param_fail(-EINVAL, why, "%s: %s is given twice", owner, key);
		seen[keys++] = key;
	}
	err = param_check(table, owner, &values, why);
	if (err)
		return err;
	*out = values;
	return 0;
}

static int print_one(const struct veto_param *param, int64_t value, char *text, size_t bytes)
{
	switch (param->type) {
	case VETO_PARAM_COUNT:
		return snprintf(text, bytes, "%lld", (long long)value);
	case VETO_PARAM_FIELD:
		return snprintf(text, bytes, "%s", veto_fields[value].name);
	case VETO_PARAM_CHOICE:
		return snprintf(text, bytes, "%s", param->choices[value]);
	default:
		/* Not 1e+02: a list has its plus signs between the values.  A fraction needs digits enough to be written out. */
		if (value % Q20_ONE == 0)
			return snprintf(text, bytes, "%lld", (long long)(value / Q20_ONE));
		for (int digits = 1;; digits++) {
			int length = snprintf(text, bytes, "%.*g", digits, (double)value / Q20_ONE);
			char copy[40];
			int64_t back;

			snprintf(copy, sizeof(copy), "%.*g", digits, (double)value / Q20_ONE);
			if (digits == 17 || (param_q20(copy, &back) == 0 && back == value))
				return length;
		}
	}
}

int param_check_fields(const struct veto_rule *rule, uint32_t fields, const char *lacking, char *why)
{
	const struct veto_param *param = rule->policy->param;

	for (size_t i = 0; param[i].name; i++)
		if (param[i].type == VETO_PARAM_FIELD && !(fields >> rule->values.value[i][0] & 1))
			return param_fail(-EINVAL, why, "%s: %s=%s: %s", rule->policy->name, param[i].name,
				veto_fields[rule->values.value[i][0]].name, lacking);
	return 0;
}

int param_print(
	const struct veto_param *param, const struct veto_values *values, size_t index, char *text, size_t bytes)
{
	int used = 0;

	if (param->type == VETO_PARAM_TEXT)
		return snprintf(text, bytes, "%s", values->text);
	for (uint32_t i = 0; i < values->count[index]; i++) {
		size_t at = (size_t)used < bytes ? (size_t)used : bytes;

		if (i > 0) {
			used += snprintf(text + at, bytes - at, "+");
			at = (size_t)used < bytes ? (size_t)used : bytes;
		}
		used += print_one(param, values->value[index][i], text + at, bytes - at);
	}
	return used;
}
