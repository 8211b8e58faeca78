/* SPDX-License-Identifier: Apache-2.0 */
/* Options written key=value,...: of policies and of device URIs. */
#ifndef VETO_PARAM_H
#define VETO_PARAM_H

#include "veto.h"

#include <locale.h>
#include <stdarg.h>

/* A program that uses the library may write decimals with a comma; between these two calls they have a point. */
locale_t param_plain_locale(void);
void param_restore_locale(locale_t before);

/* Write a message of one line to why[VETO_WHY_MAX], or nowhere if why is NULL. */
void param_say(char *why, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, as an expression whose value is err. */
#define param_fail(err, ...) (param_say(__VA_ARGS__), (err))

/* Every parameter at its fallback. */
void param_defaults(const struct veto_param *table, struct veto_values *out);

/* Set one parameter from text.  `owner` names whose it is, in messages.
 *   -EINVAL  unknown key, not a number, out of range: `why` quotes key and value and says the range */
int param_set(const struct veto_param *table, const char *owner, const char *key, const char *value,
	struct veto_values *out, char *why);

/* Defaults, then "key=value,key=value"; a required parameter that is missing is an error. */
int param_parse(
	const struct veto_param *table, const char *owner, const char *text, struct veto_values *out, char *why);

/* -EINVAL if a required parameter is missing. */
int param_check(const struct veto_param *table, const char *owner, const struct veto_values *values, char *why);

/* -EINVAL if the rule reads a score that is not among these (bit 1u << enum veto_field); `why` ends with what lacks it. */
int param_check_fields(const struct veto_rule *rule, uint32_t fields, const char *lacking, char *why);

/* Append a parameter's value as param_set() reads it; as snprintf does. */
int param_print(
	const struct veto_param *param, const struct veto_values *values, size_t index, char *text, size_t bytes);

/* Describe the values that a parameter takes: "0.05 to 1", "avx2, avx512". */
void param_range(const struct veto_param *param, char *text, size_t bytes);

/* A decimal as Q20: strtod, times 2^20, nearest even.  -EINVAL if text is not a whole finite decimal below 2^40. */
int param_q20(const char *text, int64_t *out);

/* A whole number.  -EINVAL if text is anything else or above INT64_MAX. */
int param_count(const char *text, int64_t *out);

#endif
