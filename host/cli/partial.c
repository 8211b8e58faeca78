/* SPDX-License-Identifier: Apache-2.0 */
/* Estimates how well partial scores order candidates. */
#include "partial.h"
#include "param.h"
#include "spans.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

uint32_t partial_rungs(const struct setting *setting, uint32_t *rule, struct partial *out)
{
	for (uint32_t i = 0; i < setting->rules; i++) {
		const struct veto_rule *r = &setting->rule[i];
		uint32_t rungs;
		const int64_t *rung = rule_value(r, "rungs", &rungs), *score = rule_value(r, "score", NULL);

		if (r->policy->role != VETO_REJECTS || !rung || !score || rungs == 0)
			continue;
		*rule = i;
		for (uint32_t k = 0; k < rungs; k++)
			out[k] = (struct partial){.field = (uint32_t)*score,
				.rung = (uint32_t)rung[k],
				.is_rank = strcmp(r->policy->name, "gate") == 0};
		return rungs;
	}
	return 0;
}

/* --- A group: the candidates of a cohort that have as many tokens as the rung --- */

struct member {
	uint32_t index; /* of the candidate */
	double partial, final;
};

/* Those of the cohort that starts at `first`, the best before the others; returns how many. */
static uint32_t gather(const struct trace *trace, const struct trace_question *q, uint32_t first,
	const struct partial *p, struct member *out)
{
	uint32_t n = 0;

	for (uint32_t i = first; i < trace->candidates && i - first < trace->cohort; i++) {
		const struct trace_candidate *c = &q->candidate[i];
		struct member m = {.index = i};

		if (c->tokens < p->rung)
			continue;
		m.partial = span_score(c, p->field, p->rung);
		m.final = span_score(c, p->field, c->tokens);
		if (isnan(m.partial) || isnan(m.final))
			continue;
		out[n++] = m;
		if (m.final > out[0].final) {
			out[n - 1] = out[0];
			out[0] = m;
		}
	}
	return n;
}

static double second(const struct member *member, uint32_t n)
{
	double most = -INFINITY;

	for (uint32_t i = 1; i < n; i++)
		most = fmax(most, member[i].final);
	return most;
}

/* --- The fit part --- */

/* Sums over members, and what each group needs for its bound. */
struct gathered {
	double n, partial, final, partial2, final2, product, difference, difference2, length;
	double *gap; /* [groups] */
	uint32_t *members; /* [groups] */
	uint64_t groups;
};

static void add_group(struct gathered *g, const struct trace_question *q, const struct member *member, uint32_t n)
{
	g->gap[g->groups] = member[0].final - second(member, n);
	g->members[g->groups++] = n;
	for (uint32_t i = 0; i < n; i++) {
		const double a = member[i].partial, b = member[i].final;

		g->n++;
		g->partial += a;
		g->final += b;
		g->partial2 += a * a;
		g->final2 += b * b;
		g->product += a * b;
		g->difference += a - b;
		g->difference2 += (a - b) * (a - b);
		g->length += q->candidate[member[i].index].tokens;
	}
}

static double bound_of(double others, double gap, double sigma)
{
	return others * exp(-gap * gap / (4 * sigma * sigma));
}

static void estimate(const struct gathered *g, struct partial *p)
{
	const double n = g->n,
		     spread = (g->partial2 - g->partial * g->partial / n) * (g->final2 - g->final * g->final / n);

	p->groups = g->groups;
	p->compared = n / (double)g->groups;
	for (uint64_t i = 0; i < g->groups; i++)
		p->gap += g->gap[i] / (double)g->groups;
	p->sigma = sqrt(fmax(0, g->difference2 - g->difference * g->difference / n) / (n - 1));
	p->bound = bound_of(p->compared - 1, p->gap, p->sigma);
	for (uint64_t i = 0; i < g->groups; i++)
		p->mean_bound += fmin(1, bound_of(g->members[i] - 1, g->gap[i], p->sigma)) / (double)g->groups;
	p->correlation = spread > 0 ? (g->product - g->partial * g->final / n) / sqrt(spread) : NAN;
	p->expected = sqrt(p->rung / (g->length / n));
}

static void fit(
	const struct trace *trace, const enum part *part, struct member *member, struct gathered *g, struct partial *p)
{
	for (uint32_t i = 0; i < trace->questions; i++)
		for (uint32_t first = 0; first < trace->candidates && part[i] == PART_FIT; first += trace->cohort) {
			const uint32_t n = gather(trace, &trace->question[i], first, p, member);

			if (n >= 2)
				add_group(g, &trace->question[i], member, n);
		}
	if (g->groups == 0)
		p->missing = "no cohort of the fit part has two candidates as long as that";
	else
		estimate(g, p);
	if (!p->missing && !(p->sigma > 0))
		p->missing = "partial and final scores are the same";
}

/* --- The part that is reported --- */

static void count_rejected(const struct trace *trace, const struct evaluation *e, const struct fate *fate,
	uint32_t rule, struct member *member, struct partial *p)
{
	for (uint32_t i = 0; i < e->sums.questions; i++)
		for (uint32_t first = 0; first < trace->candidates; first += trace->cohort) {
			const uint32_t n = gather(trace, e->outcome[i].question, first, p, member);
			const struct fate *best;

			if (n < 2)
				continue;
			best = &fate[(size_t)i * trace->candidates + member[0].index];
			p->played++;
			p->best_rejected += best->rejected_at == p->rung && best->rule == rule;
		}
}

int partial_make(const struct trace *trace, const enum part *part, const struct evaluation *e, const struct fate *fate,
	uint32_t rule, struct partial *p, char *why)
{
	const size_t groups = (size_t)trace->questions * ((trace->candidates + trace->cohort - 1) / trace->cohort);
	struct member *member = calloc(trace->cohort, sizeof(*member));
	struct gathered g = {.gap = calloc(groups, sizeof(*g.gap)), .members = calloc(groups, sizeof(*g.members))};
	const bool is_there = member && g.gap && g.members;

	if (is_there && part)
		fit(trace, part, member, &g, p);
	else
		p->missing = "there is no fit part without --split";
	if (is_there)
		count_rejected(trace, e, fate, rule, member, p);
	free(member);
	free(g.gap);
	free(g.members);
	return is_there ? 0 : param_fail(-ENOMEM, why, "out of memory");
}
