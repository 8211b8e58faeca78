/* SPDX-License-Identifier: Apache-2.0 */
/* Reads members of a trace's objects. */
#include "trace_members.h"
#include "param.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MORE "..."

const char *trace_quote(const cJSON *item, char text[TRACE_QUOTED_MAX])
{
	char *printed;
	size_t bytes = TRACE_QUOTED_MAX - sizeof(MORE);

	if (cJSON_IsNumber(item)) { /* cJSON prints one beyond all doubles as null */
		snprintf(text, TRACE_QUOTED_MAX, "%.15g", item->valuedouble);
		return text;
	}
	printed = cJSON_PrintUnformatted(item);
	if (!printed || strlen(printed) < TRACE_QUOTED_MAX) {
		snprintf(text, TRACE_QUOTED_MAX, "%s", printed ? printed : MORE);
	} else {
		while (bytes > 0 && (printed[bytes] & 0xc0) == 0x80) /* in the middle of a character */
			bytes--;
		snprintf(text, TRACE_QUOTED_MAX, "%.*s" MORE, (int)bytes, printed);
	}
	cJSON_free(printed);
	return text;
}

int trace_fail_member(const cJSON *item, const char *key, const char *wrong, char *why)
{
	char value[TRACE_QUOTED_MAX];

	return item ? param_fail(-EINVAL, why, "\"%s\" is %s, %s", key, trace_quote(item, value), wrong)
		    : param_fail(-EINVAL, why, "\"%s\" is missing", key);
}

int trace_read_count(const cJSON *object, const char *key, uint32_t low, uint32_t high, uint32_t *out, char *why)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
	char wrong[64];

	if (!cJSON_IsNumber(item) || !(item->valuedouble >= low && item->valuedouble <= high) ||
		item->valuedouble != (uint32_t)item->valuedouble) {
		if (low < high)
			snprintf(wrong, sizeof(wrong), "no whole number from %u to %u", low, high);
		else
			snprintf(wrong, sizeof(wrong), "and not %u", low);
		return trace_fail_member(item, key, wrong, why);
	}
	*out = (uint32_t)item->valuedouble;
	return 0;
}

int trace_read_flag(const cJSON *object, const char *key, bool *out, char *why)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	if (!cJSON_IsBool(item))
		return trace_fail_member(item, key, "neither true nor false", why);
	*out = cJSON_IsTrue(item);
	return 0;
}

int trace_copy_text(const cJSON *object, const char *key, char **out, char *why)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
	char *printed;

	if (!item || cJSON_IsNull(item))
		return 0;
	if (!cJSON_IsString(item) && !cJSON_IsObject(item))
		return trace_fail_member(item, key, "neither text nor an object", why);
	printed = cJSON_IsObject(item) ? cJSON_PrintUnformatted(item) : NULL;
	*out = cJSON_IsString(item) ? strdup(item->valuestring) : printed ? strdup(printed) : NULL;
	cJSON_free(printed);
	return *out ? 0 : param_fail(-ENOMEM, why, "out of memory");
}
