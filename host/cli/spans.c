/* SPDX-License-Identifier: Apache-2.0 */
/* Reads scores of spans of tokens. */
#include "spans.h"

#include <math.h>
#include <string.h>

const int64_t *rule_value(const struct veto_rule *rule, const char *name, uint32_t *count)
{
	const struct veto_param *param = rule->policy->param;

	for (size_t i = 0; param[i].name; i++)
		if (strcmp(param[i].name, name) == 0) {
			if (count)
				*count = rule->values.count[i];
			return rule->values.value[i];
		}
	return NULL;
}

double span_mean(const struct trace_candidate *c, uint32_t field, uint32_t from, uint32_t to)
{
	const double unit = strcmp(veto_fields[field].unit, "q31") == 0 ? 0x1p31 : 0x1p20;
	uint32_t usable = 0;
	double sum = 0;

	for (uint32_t t = from; t < to; t++) {
		const struct veto_interval *v = &c->field[field][t];

		if (v->low == TRACE_UNKNOWN)
			continue;
		usable++;
		sum += ((double)v->low + (double)v->high) / 2;
	}
	return usable == 0 || 2 * usable < to - from ? NAN : veto_fields[field].sign * sum / usable / unit;
}

double span_score(const struct trace_candidate *c, uint32_t field, uint32_t tokens)
{
	if (tokens == 0)
		return NAN;
	return span_mean(c, field, field == VETO_REWARD ? tokens - 1 : 0, tokens);
}
