/* SPDX-License-Identifier: Apache-2.0 */
/* What a head learns from: the ends of recorded steps, each with what its tokens' scores and its state say. */
#include "examples.h"
#include "cli.h"
#include "fx1.h"
#include "hx1.h"
#include "random.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define VALIDATION 0.25 /* share of the questions */
#define REST_LEAST 0.1 /* a wrong step weighs as the share of the candidate that is still to come, or so much */

struct gathering {
	const struct trace *trace;
	const struct examples_wanted *wanted;
	struct examples *out;
	uint32_t room; /* examples */
	int32_t *q; /* [state_cols] */
};

static bool is_labelled(const struct trace *trace, const struct trace_question *q, bool is_of_steps)
{
	for (uint32_t i = 0; i < trace->candidates; i++)
		if (!(is_of_steps ? q->candidate[i].has_steps : q->candidate[i].is_labelled))
			return false;
	return true;
}

/* The list of statistics that the recording has the scores for. */
static void list_statistics(const struct trace *trace, struct examples *out)
{
	const uint32_t fields = trace->fields & statistics_fields();

	for (int kind = 0; kind < STATISTIC_KINDS; kind++)
		for (uint32_t f = 0; f < (STATISTIC_OF_A_SCORE(kind) ? VETO_FIELDS : 1); f++)
			if (!STATISTIC_OF_A_SCORE(kind) || fields >> f & 1)
				out->statistic[out->data.statistics++] =
					(struct statistic){(enum statistic_kind)kind, f};
}

static int check_recording(const struct trace *trace, const struct examples_wanted *wanted, char *why)
{
	if (wanted->has_states && !trace->state_cols)
		return param_fail(-EINVAL, why, "the recording has no hidden states: --features scores needs none");
	if (wanted->has_statistics && !(trace->fields & statistics_fields()))
		return param_fail(-EINVAL, why,
			"the recording has no score of every candidate's tokens: --features hidden needs none");
	return 0;
}

/* --- One example --- */

/* Whether the state is finite; its values as they are. */
static bool take_state(struct gathering *g, const void *state, float *out)
{
	int32_t e;

	if (!hx1_quantise(state, VETO_FP16, g->trace->state_cols, 16, g->q, &e))
		return false;
	for (uint32_t j = 0; j < g->trace->state_cols; j++) {
		uint16_t half;

		memcpy(&half, (const char *)state + 2 * j, 2);
		out[j] = fx1_widen(&half, VETO_FP16, 0);
	}
	return true;
}

static bool take_statistics(const struct examples *e, const struct statistics *all, float *out)
{
	int32_t q16;

	for (uint32_t k = 0; k < e->data.statistics; k++) {
		if (!statistics_value(all, e->statistic[k], &q16))
			return false;
		out[k] = (float)q16 / 0x1p16F;
	}
	return true;
}

static int make_room(struct gathering *g)
{
	struct examples *e = g->out;
	const size_t room = 2 * (size_t)g->room + 1024;
	void *grown[5] = {realloc(e->state, (room * e->data.cols + 1) * sizeof(*e->state))};

	if (grown[0])
		e->state = grown[0];
	grown[1] = realloc(e->statistics, (room * e->data.statistics + 1) * sizeof(*e->statistics));
	if (grown[1])
		e->statistics = grown[1];
	grown[2] = realloc(e->is_right, room * sizeof(*e->is_right));
	if (grown[2])
		e->is_right = grown[2];
	grown[3] = realloc(e->is_validation, room * sizeof(*e->is_validation));
	if (grown[3])
		e->is_validation = grown[3];
	grown[4] = realloc(e->weight, room * sizeof(*e->weight));
	if (grown[4])
		e->weight = grown[4];
	for (int i = 0; i < 5; i++)
		if (!grown[i])
			return -ENOMEM;
	g->room = (uint32_t)room;
	return 0;
}

/* The end of a step at token t, whose state may be NULL. */
static int add_example(struct gathering *g, const struct trace_candidate *c, uint32_t t, const void *state,
	const struct statistics *all, double right_weight)
{
	struct examples *e = g->out;
	const uint32_t at = e->data.examples;
	const bool is_right = g->wanted->is_of_steps ? c->so_far[t] == 1 : c->is_right;

	if (g->wanted->is_of_steps && c->so_far[t] < 0)
		return 0;
	if (at == g->room && make_room(g))
		return -ENOMEM;
	if ((g->wanted->has_states && (!state || !take_state(g, state, e->state + (size_t)at * e->data.cols))) ||
		!take_statistics(e, all, e->statistics + (size_t)at * e->data.statistics)) {
		e->unusable++;
		return 0;
	}
	e->is_right[at] = is_right;
	e->weight[at] = is_right ? right_weight : 1;
	if (!is_right && g->wanted->is_of_steps)
		e->weight[at] = fmax((double)(c->tokens - t - 1) / c->tokens, REST_LEAST);
	e->right += is_right;
	e->data.examples++;
	return 0;
}

static int add_candidate(struct gathering *g, const struct trace_candidate *c, double right_weight)
{
	struct statistics all = {.tokens = 0};
	uint32_t at = 0;
	int err = 0;

	for (uint32_t t = 0; t < c->tokens && !err; t++) {
		const bool has_state = at < c->states && c->state_token[at] == t;
		struct veto_score score;

		trace_score(c, t, &score);
		statistics_add(&all, &score, c->ends_step[t]);
		if (c->ends_step[t])
			err = add_example(g, c, t, has_state ? c->state[at] : NULL, &all, right_weight);
		at += has_state;
	}
	return err;
}

/* A right candidate weighs as rejecting it would count: as its share of the question's right ones. */
static int add_question(struct gathering *g, const struct trace_question *q, bool is_validation)
{
	const uint32_t first = g->out->data.examples;
	uint32_t right = 0;
	int err = 0;

	for (uint32_t i = 0; i < g->trace->candidates; i++)
		right += q->candidate[i].is_right;
	for (uint32_t i = 0; i < g->trace->candidates && !err; i++)
		err = add_candidate(g, &q->candidate[i], 1.0 / (right > 0 ? right : 1));
	for (uint32_t i = first; i < g->out->data.examples; i++)
		g->out->is_validation[i] = is_validation;
	g->out->questions++;
	g->out->validation_questions += is_validation;
	return err;
}

/* --- All of them --- */

/* Which questions are of the part and labelled; returns how many, in order[]. */
static uint32_t find_questions(const struct gathering *g, const enum part *part, uint32_t *order)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < g->trace->questions; i++) {
		if (part && part[i] != PART_FIT)
			continue;
		if (is_labelled(g->trace, &g->trace->question[i], g->wanted->is_of_steps))
			order[count++] = i;
		else
			g->out->unlabelled++;
	}
	return count;
}

/* Draw the validation share; questions of the same text are in it together. */
static void draw_validation(const struct gathering *g, const uint32_t *order, uint32_t count, bool *is_validation)
{
	const uint32_t wanted = (uint32_t)(VALIDATION * count + 0.5);
	uint64_t seed = g->wanted->seed;

	for (uint32_t drawn = 0; drawn < wanted;) {
		const uint32_t first = random_below(&seed, count);

		for (uint32_t i = 0; i < count && !is_validation[first]; i++)
			if (g->trace->question[order[i]].text == g->trace->question[order[first]].text && i != first) {
				is_validation[i] = true;
				drawn++;
			}
		drawn += !is_validation[first];
		is_validation[first] = true;
	}
}

/* The weights of each class become 1 in the mean, so that its share stays what it was. */
static void balance(struct examples *e)
{
	double sum[2] = {0};
	const uint32_t count[2] = {e->data.examples - e->right, e->right};

	for (uint32_t i = 0; i < e->data.examples; i++)
		sum[e->is_right[i]] += e->weight[i];
	for (uint32_t i = 0; i < e->data.examples; i++)
		e->weight[i] *= count[e->is_right[i]] / sum[e->is_right[i]];
}

static int gather(struct gathering *g, const enum part *part, uint32_t *order, bool *is_validation, char *why)
{
	struct examples *e = g->out;
	const uint32_t count = find_questions(g, part, order);
	int err = 0;

	if (count == 0)
		return param_fail(-EINVAL, why, "the fit part has no question whose candidates all have %s",
			g->wanted->is_of_steps ? "\"steps\"" : "\"correct\"");
	draw_validation(g, order, count, is_validation);
	for (uint32_t i = 0; i < count && !err; i++)
		err = add_question(g, &g->trace->question[order[i]], is_validation[i]);
	if (err)
		return param_fail(err, why, "out of memory");
	if (e->right == 0 || e->right == e->data.examples)
		return param_fail(-EINVAL, why,
			"the fit part has %u ends of steps that are right and %u that are wrong, and both are "
			"needed",
			e->right, e->data.examples - e->right);
	balance(e);
	e->data.state = e->state;
	e->data.statistic = e->statistics;
	e->data.is_right = e->is_right;
	e->data.is_validation = e->is_validation;
	e->data.weight = e->weight;
	return 0;
}

int examples_make(const struct trace *trace, const enum part *part, const struct examples_wanted *wanted,
	struct examples *out, char *why)
{
	struct gathering g = {.trace = trace, .wanted = wanted, .out = out};
	uint32_t *order = NULL;
	bool *is_validation = NULL;
	int err = check_recording(trace, wanted, why);

	*out = (struct examples){.questions = 0};
	if (err)
		return err;
	out->data.cols = wanted->has_states ? trace->state_cols : 0;
	if (wanted->has_statistics)
		list_statistics(trace, out);
	order = calloc(trace->questions, sizeof(*order));
	is_validation = calloc(trace->questions, sizeof(*is_validation));
	g.q = calloc((size_t)trace->state_cols + 1, sizeof(*g.q));
	err = order && is_validation && g.q ? gather(&g, part, order, is_validation, why)
					    : param_fail(-ENOMEM, why, "out of memory");
	free(g.q);
	free(is_validation);
	free(order);
	if (err)
		examples_free(out);
	return err;
}

void examples_free(struct examples *e)
{
	free(e->weight);
	free(e->is_validation);
	free(e->is_right);
	free(e->statistics);
	free(e->state);
	*e = (struct examples){.questions = 0};
}
