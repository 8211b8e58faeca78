/* SPDX-License-Identifier: Apache-2.0 */
/* Fits a logistic curve to scores, and says how well it predicts. */
#include "reliability.h"
#include "spans.h"

#include <math.h>
#include <stdlib.h>

#define STEPS_MAX 100
#define STEP_LEAST 1e-12
#define SLOPE_MOST 50.0 /* of scores with deviation 1: beyond, right and wrong do not overlap */
#define Z95 1.959963984540054

int reliability_field(const struct setting *setting)
{
	for (uint32_t i = 0; i < setting->rules; i++) {
		const int64_t *score = rule_value(&setting->rule[i], "score", NULL);

		if (setting->rule[i].policy->role == VETO_REJECTS && score)
			return (int)score[0];
	}
	return -1;
}

void wilson(uint64_t count, uint64_t of, double *low, double *high)
{
	const double n = (double)of, p = ratio((double)count, n), z2 = Z95 * Z95;
	const double middle = (p + z2 / (2 * n)) / (1 + z2 / n);
	const double half = Z95 * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n);

	*low = of > 0 ? fmax(0, middle - half) : 0;
	*high = of > 0 ? fmin(1, middle + half) : 1;
}

/* --- The fit --- */

/* Scores and labels of the fit part. */
struct sample {
	double *x; /* [count] */
	bool *is_right; /* [count] */
	uint64_t count, right;
};

static void gather(const struct trace *trace, const enum part *part, uint32_t field, struct sample *s)
{
	for (uint32_t i = 0; i < trace->questions; i++) {
		const struct trace_question *q = &trace->question[i];

		if (part[i] != PART_FIT || !question_is_labelled(trace, q))
			continue;
		for (uint32_t j = 0; j < trace->candidates; j++) {
			const struct trace_candidate *c = &q->candidate[j];
			const double x = span_score(c, field, c->tokens);

			if (isnan(x))
				continue;
			s->x[s->count] = x;
			s->is_right[s->count++] = c->is_right;
			s->right += c->is_right;
		}
	}
}

static double logistic(double z) { return 1 / (1 + exp(-z)); }

/* Take one of Newton's steps for the curve a + b x; returns its size, NAN: there is no such step. */
static double step(const struct sample *s, double *a, double *b)
{
	double ga = 0, gb = 0, haa = 0, hab = 0, hbb = 0, det, da, db;

	for (uint64_t i = 0; i < s->count; i++) {
		const double x = s->x[i], p = logistic(*a + *b * x), w = p * (1 - p);

		ga += s->is_right[i] - p;
		gb += (s->is_right[i] - p) * x;
		haa += w;
		hab += w * x;
		hbb += w * x * x;
	}
	det = haa * hbb - hab * hab;
	if (!(det > 0))
		return NAN;
	da = (hbb * ga - hab * gb) / det;
	db = (haa * gb - hab * ga) / det;
	*a += da;
	*b += db;
	return fabs(da) + fabs(db);
}

/* Bring the scores to mean 0 and deviation 1, fit, and bring the curve back. */
static const char *fit(struct sample *s, struct reliability *out)
{
	double mean = 0, deviation = 0, a = 0, b = 0, size = INFINITY;

	if (s->right == 0 || s->right == s->count)
		return "the fit part lacks right candidates or wrong ones";
	for (uint64_t i = 0; i < s->count; i++)
		mean += s->x[i] / (double)s->count;
	for (uint64_t i = 0; i < s->count; i++)
		deviation += (s->x[i] - mean) * (s->x[i] - mean) / (double)s->count;
	deviation = sqrt(deviation);
	if (!(deviation > 0))
		return "all scores of the fit part are equal";
	for (uint64_t i = 0; i < s->count; i++)
		s->x[i] = (s->x[i] - mean) / deviation;
	for (int i = 0; i < STEPS_MAX && size > STEP_LEAST; i++)
		size = step(s, &a, &b);
	if (!(size < 1e-6) || fabs(b) > SLOPE_MOST)
		return "no curve fits: the scores of right and wrong candidates of the fit part do not overlap";
	out->slope = b / deviation;
	out->at_zero = a - b * mean / deviation;
	return NULL;
}

static const char *fit_part(const struct trace *trace, const enum part *part, uint32_t field, struct reliability *out)
{
	const size_t most = (size_t)trace->questions * trace->candidates;
	struct sample s = {.x = calloc(most, sizeof(*s.x)), .is_right = calloc(most, sizeof(*s.is_right))};
	const char *missing = "out of memory";

	if (s.x && s.is_right) {
		gather(trace, part, field, &s);
		missing = fit(&s, out);
	}
	free(s.x);
	free(s.is_right);
	return missing;
}

/* --- The prediction --- */

static double predict(const struct reliability *r, double score)
{
	return isnan(r->slope) ? fmin(1, fmax(0, score)) : logistic(r->at_zero + r->slope * score);
}

static void add(struct reliability *r, double p, bool is_right)
{
	const int bin = p < 1 ? (int)(p * RELIABILITY_BINS) : RELIABILITY_BINS - 1;

	r->bin[bin].candidates++;
	r->bin[bin].right += is_right;
	r->bin[bin].sum += p;
	r->candidates++;
	r->brier += (p - is_right) * (p - is_right);
}

void reliability_make(const struct trace *trace, const enum part *part, const struct evaluation *e, uint32_t field,
	struct reliability *out)
{
	*out = (struct reliability){.field = field, .at_zero = NAN, .slope = NAN};
	if (field != VETO_REWARD)
		out->missing = part ? fit_part(trace, part, field, out) : "there is no fit part without --split";
	for (uint32_t i = 0; i < e->sums.questions && !out->missing; i++)
		for (uint32_t j = 0; j < trace->candidates; j++) {
			const struct trace_candidate *c = &e->outcome[i].question->candidate[j];
			const double score = span_score(c, field, c->tokens);

			if (isnan(score))
				out->without++;
			else
				add(out, predict(out, score), c->is_right);
		}
	if (!out->missing && out->candidates == 0)
		out->missing = "no candidate has such a score";
	if (out->missing)
		return;
	out->brier /= (double)out->candidates;
	for (int b = 0; b < RELIABILITY_BINS; b++)
		out->ece += fabs(out->bin[b].sum - (double)out->bin[b].right) / (double)out->candidates;
}
