/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the lists of a trace's candidates: their scores, and where their steps end. */
#include "trace_lists.h"
#include "param.h"
#include "trace_members.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define Q20 0x1p20
#define Q31 0x1p31
#define LOGIT VETO_LOGIT_LIMIT
#define LOG_VOCAB 12.5 /* nats, of VETO_VOCAB_MAX tokens, rounded up */
#define RANGE (2 * LOGIT) /* between two logits */
#define LOGP (RANGE + LOG_VOCAB) /* between LSE and a logit */
#define RAW 32768 /* int32 Q16: of heads without a probability */
/* Twice what a server's softmax is off by: so far can an entropy's low end lie below 0. */
#define SERVER (2 * (VETO_VOCAB_MAX * 0x1p-24 + 0x1p-20))
#define TABLE 0.25 /* a table for a quantised engine was seen 0.16 nats off */

const struct trace_list trace_lists[] = {
	{"self_certainty", VETO_SELF_CERTAINTY, Q20, 0, RANGE, TABLE},
	{"entropy", VETO_ENTROPY, Q20, 0, LOG_VOCAB + 1, SERVER}, /* 1: of a server's high ends */
	{"logp", VETO_TOKEN_LOGP, Q20, -LOGP, 0, SERVER},
	{"top1_logp", VETO_TOP1_LOGP, Q20, -LOGP, 0, SERVER},
	{"topk_confidence", VETO_TOPK_CONFIDENCE, Q20, 0, LOGP, SERVER},
	{"margin", VETO_MARGIN, Q20, 0, RANGE, SERVER},
	{"lse", VETO_LSE, Q20, -LOGIT, LOGIT + LOG_VOCAB, SERVER},
	{"mean", VETO_MEAN, Q20, -LOGIT, LOGIT, SERVER},
	{"sc_lower", VETO_SC_LOWER, Q20, 0, RANGE, TABLE},
	{"subset_first", VETO_SUBSET_FIRST, Q31, 0, 1, 1e-6},
	{"subset_mass", VETO_SUBSET_MASS, Q31, 0, 1, 1e-6},
	{"reward", VETO_REWARD, Q31, -RAW, RAW, 0},
	{0},
};

const char *trace_key(enum veto_field field)
{
	const struct trace_list *list = trace_lists;

	while (list->key && list->field != field)
		list++;
	return list->key ? list->key : veto_fields[field].name;
}

static int fail_kind(const struct trace_list *kind, uint32_t index, char *why)
{
	return param_fail(
		-EINVAL, why, "\"%s\" [%u] is no number, null, or pair of numbers that rise", kind->key, index);
}

/* A value, or an end of an interval, of that index. */
static int read_number(const cJSON *item, const struct trace_list *kind, uint32_t index, int64_t *out, char *why)
{
	const double value = cJSON_IsNumber(item) ? item->valuedouble : 0;

	if (!cJSON_IsNumber(item))
		return fail_kind(kind, index, why);
	if (value < kind->low - kind->slack)
		return param_fail(-EINVAL, why, "\"%s\" [%u] is %.9g, below %g", kind->key, index, value, kind->low);
	if (value > kind->high + kind->slack)
		return param_fail(-EINVAL, why, "\"%s\" [%u] is %.9g, above %g", kind->key, index, value, kind->high);
	*out = llrint(value * kind->unit);
	return 0;
}

/* [low, high], whose high end is null if there is none. */
static int read_pair(
	const cJSON *item, const struct trace_list *kind, uint32_t index, struct veto_interval *out, char *why)
{
	const cJSON *low = cJSON_GetArrayItem(item, 0), *high = cJSON_GetArrayItem(item, 1);
	int err = cJSON_GetArraySize(item) == 2 ? read_number(low, kind, index, &out->low, why)
						: fail_kind(kind, index, why);

	if (err)
		return err;
	out->high = INT64_MAX;
	err = cJSON_IsNull(high) ? 0 : read_number(high, kind, index, &out->high, why);
	return err || out->low <= out->high ? err : fail_kind(kind, index, why);
}

/* A number, null, or an interval. */
static int read_value(
	const cJSON *item, const struct trace_list *kind, uint32_t index, struct veto_interval *out, char *why)
{
	int err = 0;

	*out = (struct veto_interval){TRACE_UNKNOWN, TRACE_UNKNOWN};
	if (cJSON_IsArray(item))
		return read_pair(item, kind, index, out, why);
	if (!cJSON_IsNull(item))
		err = read_number(item, kind, index, &out->low, why);
	out->high = out->low;
	return err;
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
		const int err = read_value(item, kind, i, &field[i], why);

		if (err)
			return err;
		i++;
	}
	return 0;
}

/* [position, whether all is right up to there]; *above: the last position is below it. */
static int read_step(const cJSON *step, struct trace_candidate *c, uint32_t *above, char *why)
{
	const cJSON *position = cJSON_GetArrayItem(step, 0), *is_right = cJSON_GetArrayItem(step, 1);
	const double at = cJSON_IsNumber(position) ? position->valuedouble : -1;
	char value[TRACE_QUOTED_MAX];

	if (!(at >= 0 && at < c->tokens) || at != (uint32_t)at || !(cJSON_IsBool(is_right) || cJSON_IsNull(is_right)))
		return param_fail(-EINVAL, why, "\"steps\": %s is no [position below %u, true, false or null]",
			trace_quote(step, value), c->tokens);
	if (at < *above)
		return param_fail(
			-EINVAL, why, "\"steps\": position %u does not lie above %u", (uint32_t)at, *above - 1);
	*above = (uint32_t)at + 1;
	c->ends_step[(uint32_t)at] = true;
	c->has_steps &= cJSON_IsBool(is_right);
	if (cJSON_IsBool(is_right))
		c->so_far[(uint32_t)at] = (int8_t)cJSON_IsTrue(is_right);
	return 0;
}

int trace_read_steps(const cJSON *steps, struct trace_candidate *c, char *why)
{
	const cJSON *step;
	uint32_t above = 0;

	if (steps && !cJSON_IsArray(steps) && !cJSON_IsNull(steps))
		return trace_fail_member(steps, "steps", "no list", why);
	c->ends_step = calloc(c->tokens + 1, sizeof(*c->ends_step));
	c->so_far = malloc(c->tokens + 1);
	if (!c->ends_step || !c->so_far)
		return param_fail(-ENOMEM, why, "out of memory");
	memset(c->so_far, -1, c->tokens + 1);
	c->has_steps = cJSON_IsArray(steps);
	cJSON_ArrayForEach(step, steps)
	{
		const int err = read_step(step, c, &above, why);

		if (err)
			return err;
	}
	if (c->tokens > 0)
		c->ends_step[c->tokens - 1] = true;
	return 0;
}
