/* SPDX-License-Identifier: Apache-2.0 */
/* Rewards of recorded candidates: by the reference, in the order of their tokens. */
#include "trace_rewards.h"
#include "param.h"
#include "trace_lists.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Room for the widest layer's values. */
struct room {
	int32_t q[VETO_STATE_MAX], z[VETO_STATE_MAX];
};

static int check_head(const struct trace *t, const struct veto_head *head, char *why)
{
	const uint32_t lacking = head_reads_fields(head) & ~t->fields;
	const struct veto_head_info *info = veto_head_info(head);

	if (info->kind != VETO_HEAD_DENSE)
		return param_fail(-EINVAL, why, "a table gives no rewards");
	for (int f = 0; f < VETO_FIELDS; f++)
		if (lacking >> f & 1)
			return param_fail(-EINVAL, why,
				"it counts on %s, and the recording has no such score of every candidate (\"%s\" in a trace)",
				veto_fields[f].name, trace_key((enum veto_field)f));
	if (info->cols && !t->state_cols)
		return param_fail(-EINVAL, why, "it reads hidden states, and the recording has none");
	if (info->cols && info->cols != t->state_cols)
		return param_fail(-EINVAL, why, "it reads states of %u values, and those of the recording have %u",
			info->cols, t->state_cols);
	return 0;
}

/* The outputs of a state; false: it is bad. */
static bool score_state(const struct veto_head *head, const void *state, struct room *room, int32_t *q16)
{
	const struct veto_rows rows = {.kind = VETO_HIDDEN,
		.format = VETO_FP16,
		.rows = 1,
		.cols = head->info.cols,
		.stride_bytes = head->info.cols * sizeof(uint16_t),
		.data = state};
	struct head_result result;
	struct veto_score score;

	head_score(head, &rows, 0, room->q, room->z, &result);
	head_finish(head, &rows, 0, &result, &score, q16);
	return score.flags == 0;
}

/* false: a step ends where there is no state, at *token. */
static bool add_rewards(struct trace_candidate *c, const struct veto_head *head, struct room *room, uint32_t *token)
{
	struct veto_interval *reward = c->field[VETO_REWARD];
	struct statistics statistics = {.tokens = 0};
	struct head_steps steps = {.steps = 0}, ahead;
	const bool reads_states = head_reads_states(head);
	uint32_t at = 0;

	for (uint32_t t = 0; t < c->tokens; t++) {
		const bool has_state = at < c->states && c->state_token[at] == t;
		int32_t q16[VETO_HEAD_OUTPUTS_MAX] = {0};
		struct veto_score score;

		reward[t] = (struct veto_interval){TRACE_UNKNOWN, TRACE_UNKNOWN};
		trace_score(c, t, &score);
		statistics_add(&statistics, &score, c->ends_step[t]);
		*token = t;
		if (reads_states && c->ends_step[t] && !has_state)
			return false;
		at += has_state;
		if (reads_states && (!has_state || !score_state(head, c->state[at - 1], room, q16)))
			continue;
		if (!head_add_statistics(head, &statistics, q16))
			continue;
		ahead = steps;
		reward[t].low = reward[t].high = head_add_step(head, &ahead, q16);
		if (c->ends_step[t])
			steps = ahead;
	}
	return true;
}

void trace_mark_learned(struct trace *t, const struct veto_head *head)
{
	for (uint32_t i = 0; i < t->questions; i++)
		t->question[i].is_learned = head_knows_question(head, t->question[i].text);
	t->is_head_known = true;
}

int trace_add_rewards(struct trace *t, const struct veto_head *head, char *why)
{
	struct room *room = malloc(sizeof(*room));
	int err = room ? check_head(t, head, why) : param_fail(-ENOMEM, why, "out of memory");
	uint32_t token;

	for (uint32_t i = 0; i < t->questions && !err; i++)
		for (uint32_t j = 0; j < t->candidates && !err; j++) {
			struct trace_candidate *c = &t->question[i].candidate[j];

			if (!c->field[VETO_REWARD])
				c->field[VETO_REWARD] = malloc((c->tokens + 1) * sizeof(*c->field[VETO_REWARD]));
			if (!c->field[VETO_REWARD])
				err = param_fail(-ENOMEM, why, "out of memory");
			else if (!add_rewards(c, head, room, &token))
				err = param_fail(-EINVAL, why,
					"it reads hidden states, and candidate %u of '%s' has none at token %u, where a step ends",
					j, t->question[i].id, token);
		}
	if (!err) {
		trace_mark_learned(t, head);
		t->fields |= 1u << VETO_REWARD;
		t->has_gaps = head_reads_states(head);
	}
	free(room);
	return err;
}
