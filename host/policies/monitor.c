/* SPDX-License-Identifier: Apache-2.0 */
/* monitor: rejects, or in shadow reports, a candidate whose score rises above a limit. */
#include "param.h"
#include "policy.h"

#include <errno.h>

enum { MONITOR_SCORE, MONITOR_ABOVE, MONITOR_MIN_SURVIVORS, MONITOR_SHADOW };

const struct veto_param monitor_params[] = {
	[MONITOR_SCORE] =
		SCORE_PARAM("score that is watched: a reward where steps end, another at every token", VETO_REWARD),
	[MONITOR_ABOVE] = {.name = "above",
		.help = "reject when the score lies above this",
		.type = VETO_PARAM_Q20,
		.low = -2048 * ONE_Q20,
		.high = 2048 * ONE_Q20,
		.is_required = true},
	[MONITOR_MIN_SURVIVORS] = {.name = "min_survivors",
		.help = "the first so many candidates are never rejected",
		.type = VETO_PARAM_COUNT,
		.low = 0,
		.high = VETO_CANDIDATES_MAX},
	[MONITOR_SHADOW] = SHADOW_PARAM,
	{0},
};

static int check(const struct veto_values *values, char *why)
{
	const struct veto_field_info *field = &veto_fields[values->value[MONITOR_SCORE][0]];

	if (field->sign < 0)
		return param_fail(-EINVAL, why,
			"monitor: score=%s: rules read it negated, so floor is what rejects a high one", field->name);
	return 0;
}

static void take_token(struct board *b, struct rule *r, uint32_t candidate, const struct veto_score *score)
{
	const struct veto_interval value = policy_read(score, r->field);
	const int64_t above = r->rule.values.value[MONITOR_ABOVE][0];

	if (value.low != NO_SCORE && value.low > above && policy_counts(&b->candidate[candidate], r->field) &&
		candidate >= r->min_survivors)
		board_trip(b, r, candidate, value.low, above, b->candidate[candidate].tokens);
}

const struct policy_ops monitor_ops = {
	.check = check,
	.token = take_token,
};
