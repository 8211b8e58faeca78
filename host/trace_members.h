/* SPDX-License-Identifier: Apache-2.0 */
/* Members of a trace's objects, and what is said of bad ones. */
#ifndef VETO_TRACE_MEMBERS_H
#define VETO_TRACE_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

struct cJSON;

/* A value's JSON, cut short, in text, which is returned; for messages. */
#define TRACE_QUOTED_MAX 48
const char *trace_quote(const struct cJSON *item, char text[TRACE_QUOTED_MAX]);

/* Say that a member is missing (item NULL), or quote it and say what it is not: "no list".  Returns -EINVAL. */
int trace_fail_member(const struct cJSON *item, const char *key, const char *wrong, char *why);

/* A whole number.  -EINVAL: it is missing, or none from low to high */
int trace_read_count(
	const struct cJSON *object, const char *key, uint32_t low, uint32_t high, uint32_t *out, char *why);

/* -EINVAL: it is missing, or neither true nor false */
int trace_read_flag(const struct cJSON *object, const char *key, bool *out, char *why);

/* A member's text, or of an object its JSON, to be freed; *out stays where there is none, or null.  -EINVAL, -ENOMEM */
int trace_copy_text(const struct cJSON *object, const char *key, char **out, char *why);

#endif
