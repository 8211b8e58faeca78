/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the lists of scores of a trace's candidates. */
#include "trace_lists.h"
#include "param.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define VALUE_MAX 0x1p19 /* of a score, either way */

const struct trace_list trace_lists[] = {{"self_certainty", VETO_SELF_CERTAINTY, 0x1p20},
	{"entropy", VETO_ENTROPY, 0x1p20}, {"logp", VETO_TOKEN_LOGP, 0x1p20}, {"top1_logp", VETO_TOP1_LOGP, 0x1p20},
	{"topk_confidence", VETO_TOPK_CONFIDENCE, 0x1p20}, {"margin", VETO_MARGIN, 0x1p20}, {"lse", VETO_LSE, 0x1p20},
	{"mean", VETO_MEAN, 0x1p20}, {"sc_lower", VETO_SC_LOWER, 0x1p20}, {"subset_first", VETO_SUBSET_FIRST, 0x1p31},
	{"subset_mass", VETO_SUBSET_MASS, 0x1p31}, {"reward", VETO_REWARD, 0x1p31}, {0}};

static bool read_number(const cJSON *item, double unit, int64_t *out)
{
	if (!cJSON_IsNumber(item) || !(fabs(item->valuedouble) <= VALUE_MAX))
		return false;
	*out = llrint(item->valuedouble * unit);
	return true;
}

/* A number, null, or [low, high], whose high end is null if there is none.  False: it is none of these. */
static bool read_value(const cJSON *item, double unit, struct veto_interval *out)
{
	const cJSON *high = cJSON_GetArrayItem(item, 1);

	*out = (struct veto_interval){TRACE_UNKNOWN, TRACE_UNKNOWN};
	if (cJSON_IsNull(item))
		return true;
	if (!cJSON_IsArray(item)) {
		if (!read_number(item, unit, &out->low))
			return false;
		out->high = out->low;
		return true;
	}
	if (cJSON_GetArraySize(item) != 2 || !read_number(cJSON_GetArrayItem(item, 0), unit, &out->low))
		return false;
	if (cJSON_IsNull(high)) {
		out->high = INT64_MAX;
		return true;
	}
	return read_number(high, unit, &out->high) && out->low <= out->high;
}

int trace_read_list(const cJSON *list, const struct trace_list *kind, struct trace_candidate *c, char *why)
{
	const uint32_t values = cJSON_IsArray(list) ? (uint32_t)cJSON_GetArraySize(list) : 0;
	struct veto_interval *field = malloc((c->tokens + 1) * sizeof(*field));
	const cJSON *item;
	uint32_t i = 0;

	c->field[kind->field] = field;
	if (!cJSON_IsArray(list) || values != c->tokens)
		return param_fail(
			-EINVAL, why, "\"%s\" has %u values, and \"tokens\" has %u", kind->key, values, c->tokens);
	if (!field)
		return param_fail(-ENOMEM, why, "out of memory");
	cJSON_ArrayForEach(item, list)
	{
		if (!read_value(item, kind->unit, &field[i]))
			return param_fail(-EINVAL, why, "\"%s\" [%u] is no number, null, or pair of numbers that rise",
				kind->key, i);
		i++;
	}
	return 0;
}
