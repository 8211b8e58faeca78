/* SPDX-License-Identifier: Apache-2.0 */
/* The scores of a few candidates as a rule read them, and where it rejected them. */
#include "evaluate_report.h"
#include "plot.h"
#include "spans.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define POINTS 400 /* of a curve, at most */
#define PANEL_WIDTH 470
#define PANEL_HEIGHT 300

enum kind { WRONG_REJECTED, RIGHT_KEPT, RIGHT_REJECTED, WRONG_KEPT, KINDS };

/* A rule, as far as its curve goes. */
struct reading {
	const struct veto_rule *rule;
	uint32_t index; /* in the setting */
	uint32_t field;
	uint32_t window; /* tokens in a mean; 0: all so far */
	const int64_t *rung, *threshold; /* of a floor */
	uint32_t rungs;
};

struct chosen {
	const struct trace_question *question;
	const struct fate *fate; /* [candidates] of the question */
	uint32_t candidate;
};

/* The setting's first rejecting rule with a score; false: it has none. */
static bool read_rule_of(const struct setting *setting, struct reading *out)
{
	for (uint32_t i = 0; i < setting->rules; i++) {
		const struct veto_rule *rule = &setting->rule[i];
		const int64_t *score = rule_value(rule, "score", NULL), *window = rule_value(rule, "window", NULL);

		if (rule->policy->role != VETO_REJECTS || !score)
			continue;
		*out = (struct reading){.rule = rule, .index = i, .field = (uint32_t)*score};
		out->rung = rule_value(rule, "rungs", &out->rungs);
		out->threshold = rule_value(rule, "threshold", NULL);
		if (window && out->rungs == 0)
			out->window = (uint32_t)*window;
		return true;
	}
	return false;
}

/* --- Which candidates --- */

static bool has_rejected(const struct reading *reading, const struct fate *fate, uint32_t candidates)
{
	for (uint32_t i = 0; i < candidates; i++)
		if (fate[i].rejected_at && fate[i].rule == reading->index)
			return true;
	return false;
}

static enum kind kind_of(const struct chosen *c)
{
	const bool is_right = c->question->candidate[c->candidate].is_right;

	if (c->fate[c->candidate].rejected_at > 0)
		return is_right ? RIGHT_REJECTED : WRONG_REJECTED;
	return is_right ? RIGHT_KEPT : WRONG_KEPT;
}

/* Whether one shows more than the one before it, if there is one: a wrong one that was rejected earlier, or one of a
 * question in which the rule rejected somebody, so that its threshold is known. */
static bool is_better(
	const struct reading *reading, uint32_t candidates, const struct chosen *c, const struct chosen *before)
{
	if (!before->question)
		return true;
	if (kind_of(c) == WRONG_REJECTED)
		return c->fate[c->candidate].rejected_at < before->fate[before->candidate].rejected_at;
	return has_rejected(reading, c->fate, candidates) && !has_rejected(reading, before->fate, candidates);
}

/* One of each kind, as far as there are some; returns how many. */
static uint32_t choose(const struct trace *trace, const struct evaluation *e, const struct reading *reading,
	const struct fate *fate, struct chosen out[KINDS])
{
	uint32_t count = 0;

	memset(out, 0, KINDS * sizeof(*out));
	for (uint32_t i = 0; i < e->sums.questions; i++)
		for (uint32_t j = 0; j < trace->candidates; j++) {
			const struct chosen c = {e->outcome[i].question, &fate[(size_t)i * trace->candidates], j};
			const bool is_other_rules = c.fate[j].rejected_at > 0 && c.fate[j].rule != reading->index;
			struct chosen *best = &out[kind_of(&c)];

			if (c.question->candidate[j].tokens == 0 || is_other_rules ||
				!is_better(reading, trace->candidates, &c, best))
				continue;
			count += !best->question;
			*best = c;
		}
	return count;
}

/* --- A curve --- */

static double score_at(const struct reading *reading, const struct trace_candidate *c, uint32_t tokens)
{
	if (reading->window == 0)
		return span_score(c, reading->field, tokens);
	return tokens < reading->window ? NAN : span_mean(c, reading->field, tokens - reading->window, tokens);
}

/* Points of the curve from token `from` to token `to`; returns how many. */
static uint32_t trace_curve(const struct reading *reading, const struct trace_candidate *c, uint32_t from, uint32_t to,
	double x[POINTS], double y[POINTS])
{
	const uint32_t step = c->tokens / (POINTS - 1) + 1;
	uint32_t n = 0;

	for (uint32_t t = from; t <= to && n < POINTS; t = t < to && t + step > to ? to : t + step) {
		x[n] = t;
		y[n++] = score_at(reading, c, t);
	}
	return n;
}

/* Calls found() with each threshold that the rule had for this question: at so many tokens, 0: everywhere. */
static void find_thresholds(const struct trace *trace, const struct reading *reading, const struct chosen *c,
	void (*found)(void *arg, uint32_t at, double threshold), void *arg)
{
	if (reading->threshold) {
		for (uint32_t i = 0; i < (reading->rungs ? reading->rungs : 1); i++)
			found(arg, reading->rungs ? (uint32_t)reading->rung[i] : 0,
				(double)reading->threshold[i] / 0x1p20);
		return;
	}
	for (uint32_t i = 0; i < trace->candidates; i++) {
		const struct fate *f = &c->fate[i];
		bool is_new = f->rejected_at > 0 && f->rule == reading->index;

		for (uint32_t j = 0; j < i; j++)
			is_new &= c->fate[j].threshold != f->threshold || c->fate[j].rejected_at == 0;
		if (is_new)
			found(arg, reading->window ? 0 : f->rejected_at, f->threshold);
	}
}

static void include(void *axis, uint32_t at, double threshold)
{
	(void)at;
	plot_include(axis, threshold);
}

static void draw_threshold(void *plot, uint32_t at, double threshold)
{
	struct plot *p = plot;
	const double half = 0.04 * (p->x.high - p->x.low);

	if (at == 0)
		plot_level(p, threshold, NULL, 2, PLOT_DASHED);
	else if (at <= p->x.high)
		plot_whiskers(p, at, fmax(p->x.low, at - half), fmin(p->x.high, at + half), threshold, NAN, NAN, 2);
}

static void name_score(const struct reading *reading, char text[128])
{
	const char *name = veto_fields[reading->field].name, *sign = veto_fields[reading->field].sign < 0 ? "-" : "";

	if (reading->window > 0)
		snprintf(text, 128, "%s%s, mean of the last %u tokens (nats)", sign, name, reading->window);
	else if (reading->field == VETO_REWARD)
		snprintf(text, 128, "%s as of that token", name);
	else
		snprintf(text, 128, "%s%s, mean of all tokens so far (nats)", sign, name);
}

static void draw_curve(
	struct report *r, const struct trace *trace, const struct reading *reading, const struct chosen *c)
{
	const struct trace_candidate *candidate = &c->question->candidate[c->candidate];
	const struct fate *fate = &c->fate[c->candidate];
	char score[128], title[128], what[256];
	struct plot_axis x = {what, 0, candidate->tokens, false, true}, y = {score, 1, 0, false, false};
	static double xs[2][POINTS], ys[2][POINTS];
	const uint32_t at = fate->rejected_at, end = at ? at : candidate->tokens,
		       n = trace_curve(reading, candidate, 1, end, xs[0], ys[0]),
		       rest = trace_curve(reading, candidate, end, candidate->tokens, xs[1], ys[1]);
	const struct plot_entry entry[] = {{"score", 1, PLOT_SHAPES, true, PLOT_SOLID},
		{"threshold", 2, PLOT_SHAPES, true, reading->window ? PLOT_DASHED : PLOT_SOLID},
		{"not written any more", 7, PLOT_SHAPES, true, PLOT_DOTTED}};
	struct plot p;

	name_score(reading, score);
	snprintf(what, sizeof(what), "tokens of candidate %u of %s", c->candidate, c->question->id);
	snprintf(title, sizeof(title), at ? "%s, rejected after %u of %u tokens" : "%s, kept",
		candidate->is_right ? "Right" : "Wrong", at, candidate->tokens);
	for (uint32_t i = 0; i < n; i++)
		plot_include(&y, ys[0][i]);
	for (uint32_t i = 0; i < rest; i++)
		plot_include(&y, ys[1][i]);
	find_thresholds(trace, reading, c, include, &y);
	plot_begin(&p, r->out, PANEL_WIDTH, PANEL_HEIGHT, title, x, y, entry, at ? 3 : 2);
	find_thresholds(trace, reading, c, draw_threshold, &p);
	plot_line(&p, xs[1], ys[1], at ? rest : 0, 7, PLOT_DOTTED);
	plot_line(&p, xs[0], ys[0], n, 1, PLOT_SOLID);
	if (at)
		plot_marker(&p, at, fate->score, 0, PLOT_CROSS, "rejected here");
	plot_end(&p);
}

void report_curves(struct report *r, const struct evaluated *v, uint32_t index, const struct fate *fate)
{
	struct reading reading;
	struct chosen chosen[KINDS];
	char key[16];

	if (!read_rule_of(&v->setting[index], &reading))
		return;
	if (choose(v->trace, &v->evaluation[index], &reading, fate, chosen) == 0)
		return;
	report_heading(r, "scores-of-candidates", "A few candidates");
	report_figure_begin(r, "curves", true);
	for (int k = 0; k < KINDS; k++)
		if (chosen[k].question)
			draw_curve(r, v->trace, &reading, &chosen[k]);
	report_figure_end(r,
		"The score of candidates as %s (%s) read it, token by token: the rule rejects one whose curve lies below the "
		"threshold where it looks, at the cross. Shown are the wrong candidate that was rejected first, and the "
		"first ones of the other kinds, as far as there are some%s.",
		policy_key(index / v->selects, key), reading.rule->policy->name,
		reading.threshold ? "" : "; a threshold is known where the rule rejected a candidate of the question");
}
