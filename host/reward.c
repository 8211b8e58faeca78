/* SPDX-License-Identifier: Apache-2.0 */
/* From what a device finds out about a hidden state to its scores. */
#include "head.h"

#include <string.h>

#define LOGP_MOST 1048 /* 0.001 nats in Q20: FX1's may be a few units above 0, and are taken as they are */

int64_t head_offset_q20(const struct veto_head *head, const struct veto_rows *rows, uint32_t i)
{
	return head_has_token(rows, i) ? rows->token_logp_q20[i] + hx1_log_count(head->info.vocab) : 0;
}

bool head_has_token(const struct veto_rows *rows, uint32_t i)
{
	return rows->token[i] != VETO_NO_TOKEN && rows->token_logp_q20[i] <= LOGP_MOST &&
	       rows->token_logp_q20[i] >= -(1024LL << 20);
}

static void score_dense(const struct veto_head *head, int32_t *q, int32_t *z, struct head_result *out)
{
	const struct hx1_layer *last = &head->layer[head->info.layers - 1];

	for (uint32_t i = 0; head->output == HEAD_DISTANCE && i < last->cols; i++)
		out->squares += (uint64_t)((int64_t)q[i] * q[i]);
	if (head->info.layers == 2) {
		hx1_dense(&head->layer[0], q, out->e, z);
		hx1_between(z, head->layer[0].rows, q, &out->e);
	}
	for (uint32_t o = 0; o < last->rows; o++) {
		const int64_t acc = hx1_row_sum(last, o, q);

		out->z[o] =
			head->output == HEAD_DISTANCE ? hx1_part(last, o, acc) : hx1_dense_end(last, o, acc, out->e);
	}
}

void head_score(const struct veto_head *head, const struct veto_rows *rows, uint32_t i, int32_t *q, int32_t *z,
	struct head_result *out)
{
	const void *state = (const char *)rows->data + i * rows->stride_bytes;
	const bool is_table = head->info.kind == VETO_HEAD_SCH;

	memset(out, 0, sizeof(*out));
	out->is_bad = !hx1_quantise(state, rows->format, rows->cols, is_table ? 24 : 16, q, &out->e);
	if (out->is_bad)
		return;
	if (!is_table) {
		score_dense(head, q, z, out);
	} else if (head_has_token(rows, i)) {
		const size_t token = rows->token[i], at = token * head->info.cols;

		out->sc_q20 =
			hx1_table_end(hx1_table_sum(q, rows->cols, head->hi + at, head->lo ? head->lo + at : NULL),
				out->e, head->f[token], head->c[token], head_offset_q20(head, rows, i));
	}
}

/* The reward of a head's outputs, Q31, and its logarithm. */
static int64_t reward(const struct veto_head *head, const int32_t *q16, int64_t *log_q20)
{
	const int32_t pair[] = {0, q16[0]};
	uint32_t p[VETO_HEAD_OUTPUTS_MAX];
	int64_t lp[VETO_HEAD_OUTPUTS_MAX];

	switch (head->output) {
	case HEAD_SOFTMAX:
		hx1_softmax(q16, head->info.outputs, p, lp);
		*log_q20 = lp[head->class[0]];
		return head->classes == 1 ? p[head->class[0]] : hx1_both(p[head->class[0]], p[head->class[1]]);
	case HEAD_SIGMOID:
		hx1_softmax(pair, 2, p, lp);
		*log_q20 = lp[1];
		return p[1];
	default:
		return (int64_t)q16[0] * (head->output == HEAD_DISTANCE ? -(1 << 15) : 1 << 15);
	}
}

static void set(struct veto_score *score, enum veto_field field, int64_t value)
{
	score->has = 1u << field;
	score->field[field] = (struct veto_interval){value, value};
}

void head_finish(const struct veto_head *head, const struct veto_rows *rows, uint32_t i,
	const struct head_result *result, struct veto_score *score, int32_t *q16)
{
	int32_t distance;
	const int32_t *outputs = result->z;
	int64_t log_q20;

	memset(score, 0, sizeof(*score));
	if (q16)
		memset(q16, 0, head->info.outputs * sizeof(*q16));
	if (result->is_bad) {
		score->flags = VETO_BAD_STATE;
		return;
	}
	if (head->info.kind == VETO_HEAD_SCH) {
		if (head_has_token(rows, i))
			set(score, VETO_SELF_CERTAINTY, result->sc_q20);
		return;
	}
	if (head->output == HEAD_DISTANCE) {
		distance = hx1_distance_end(result->z, head->layer[0].rows, result->squares, result->e);
		outputs = &distance;
	}
	if (head->info.statistics == 0)
		set(score, VETO_REWARD, reward(head, outputs, &log_q20));
	if (q16)
		memcpy(q16, outputs, head->info.outputs * sizeof(*q16));
}

bool head_reads_states(const struct veto_head *head) { return head->info.layers > 0; }

uint32_t head_reads_fields(const struct veto_head *head)
{
	uint32_t fields = 0;

	for (uint32_t i = 0; i < head->info.statistics; i++)
		if (STATISTIC_OF_A_SCORE(head->statistic[i].kind))
			fields |= 1u << head->statistic[i].field;
	return fields;
}

bool head_add_statistics(const struct veto_head *head, const struct statistics *all, int32_t *q16)
{
	const struct hx1_layer layer = {1, head->info.statistics, VETO_INT16, head->weighing, &head->weighing_scale};
	int32_t value[STATISTICS_MAX], z;

	for (uint32_t i = 0; i < head->info.statistics; i++)
		if (!statistics_value(all, head->statistic[i], &value[i]))
			return false;
	if (head->info.statistics == 0)
		return true;
	/* A value of Q16 is one of step 2 with E = -2. */
	hx1_dense(&layer, value, -2, &z);
	*q16 = hx1_add(*q16, z);
	return true;
}

int64_t head_add_step(const struct veto_head *head, struct head_steps *steps, const int32_t *q16)
{
	const bool is_first = steps->steps++ == 0;
	int64_t log_q20 = 0, value = reward(head, q16, &log_q20);

	switch (head->aggregation) {
	case HEAD_MEAN:
		return (steps->value += value) / (int64_t)steps->steps;
	case HEAD_PRODUCT:
		return steps->value = is_first ? value : (steps->value * value + (1 << 30)) >> 31;
	case HEAD_MIN:
		return steps->value = is_first || value < steps->value ? value : steps->value;
	case HEAD_GEOMETRIC_MEAN:
		return hx1_exp((steps->log_sum += log_q20) / (int64_t)steps->steps);
	case HEAD_MAX_POOL:
		for (uint32_t o = 0; o < head->info.outputs; o++)
			if (is_first || q16[o] > steps->most[o])
				steps->most[o] = q16[o];
		return reward(head, steps->most, &log_q20);
	default:
		return value;
	}
}
