/* SPDX-License-Identifier: Apache-2.0 */
/* Finds what a length cap, random rejection and an oracle save of recorded candidates, and at what risk. */
#include "baselines.h"
#include "param.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* --- A length cap --- */

static bool may_vote(const struct trace_candidate *c, uint32_t cap)
{
	return c->is_finished && c->answer && c->tokens <= cap;
}

/* Whether the majority of the candidates that finish within the cap is right; of equal ones the first. */
static bool is_right_within(const struct trace_question *q, uint32_t candidates, uint32_t cap)
{
	uint32_t most = 0;
	bool is_right = false;

	for (uint32_t i = 0; i < candidates; i++) {
		uint32_t votes = 0;
		bool is_this_right = false;

		if (!may_vote(&q->candidate[i], cap))
			continue;
		for (uint32_t j = 0; j < candidates; j++) {
			const struct trace_candidate *c = &q->candidate[j];

			votes += may_vote(c, cap) && c->answer == q->candidate[i].answer;
			is_this_right |= c->is_right && c->answer == q->candidate[i].answer;
		}
		if (votes > most) {
			most = votes;
			is_right = is_this_right;
		}
	}
	return is_right;
}

/* Add what a question does under every cap. */
static void add_caps(
	const struct trace_question *q, uint32_t candidates, const uint32_t *cap, struct sums *sums, uint32_t caps)
{
	uint32_t before = UINT32_MAX;
	bool is_right = false, is_full_right = false;

	for (uint32_t p = 0; p < caps; p++) {
		struct sums *s = &sums[p];
		uint32_t right = 0, lost = 0, voters = 0;

		for (uint32_t i = 0; i < candidates; i++) {
			const struct trace_candidate *c = &q->candidate[i];

			s->full_tokens += c->tokens;
			s->tokens += c->tokens < cap[p] ? c->tokens : cap[p];
			right += c->is_right;
			lost += c->is_right && c->tokens > cap[p];
			voters += may_vote(c, cap[p]);
		}
		if (voters != before)
			is_right = is_right_within(q, candidates, cap[p]);
		before = voters;
		if (p == 0)
			is_full_right = is_right;
		s->questions++;
		s->right += right;
		s->right_rejected += lost;
		s->answerable += right > 0;
		s->lost_shares += right > 0 ? (double)lost / right : 0;
		s->lost_answers += is_full_right && !is_right;
	}
}

static uint32_t longest(const struct trace *trace, const struct evaluation *e)
{
	uint32_t most = 1;

	for (uint32_t i = 0; i < e->sums.questions; i++)
		for (uint32_t j = 0; j < trace->candidates; j++)
			if (e->outcome[i].question->candidate[j].tokens > most)
				most = e->outcome[i].question->candidate[j].tokens;
	return most;
}

static int make_caps(const struct trace *trace, const struct evaluation *e, struct baselines *out, char *why)
{
	const uint32_t most = longest(trace, e), step = (most + BASELINE_POINTS - 2) / (BASELINE_POINTS - 1);
	struct sums *sums = calloc(BASELINE_POINTS, sizeof(*sums));
	uint32_t cap[BASELINE_POINTS];

	if (!sums)
		return param_fail(-ENOMEM, why, "out of memory");
	out->caps = 0;
	for (uint32_t t = most; t > 1; t = t > step ? t - step : 1)
		cap[out->caps++] = t;
	cap[out->caps++] = 1;
	for (uint32_t i = 0; i < e->sums.questions; i++)
		add_caps(e->outcome[i].question, trace->candidates, cap, sums, out->caps);
	for (uint32_t p = 0; p < out->caps; p++) {
		out->cap[p].saved = estimate_of(&sums[p], SAVED);
		for (int r = 0; r < RISKS; r++)
			out->cap[p].risk[r] = risk_of(&sums[p], (enum risk)r);
	}
	free(sums);
	return 0;
}

/* --- Random rejection --- */

/* Expected tokens of a candidate of so many, of which each is the last with chance h. */
static double expected_tokens(uint32_t tokens, double h) { return h > 0 ? -expm1(tokens * log1p(-h)) / h : tokens; }

static struct baseline reject_randomly(const struct trace *trace, const struct evaluation *e, double h)
{
	double tokens = 0, shares = 0, lost = 0;

	for (uint32_t i = 0; i < e->sums.questions; i++) {
		double lost_here = 0;
		uint32_t right = 0;

		for (uint32_t j = 0; j < trace->candidates; j++) {
			const struct trace_candidate *c = &e->outcome[i].question->candidate[j];

			tokens += expected_tokens(c->tokens, h);
			right += c->is_right;
			/* After its last token it has finished. */
			if (c->is_right && c->tokens > 1)
				lost_here += h < 1 ? -expm1((c->tokens - 1) * log1p(-h)) : 1;
		}
		lost += lost_here;
		shares += ratio(lost_here, right);
	}
	return (struct baseline){.saved = e->sums.full_tokens > 0 ? 1 - tokens / (double)e->sums.full_tokens : 0,
		.risk = {ratio(shares, (double)e->sums.answerable), ratio(lost, (double)e->sums.right), NAN}};
}

/* The chance to get as far as the mean length falls in even steps. */
static void make_random(const struct trace *trace, const struct evaluation *e, struct baselines *out)
{
	const double mean = ratio((double)e->sums.full_tokens, (double)e->sums.questions * trace->candidates);

	out->randoms = BASELINE_POINTS / 2;
	for (uint32_t p = 0; p < out->randoms; p++) {
		const double far = 1 - (double)p / (out->randoms - 1);

		out->random[p] = reject_randomly(trace, e, far > 0 ? -expm1(log(far) / fmax(mean, 1)) : 1);
	}
}

/* --- An oracle --- */

static uint32_t tokens_of_oracle(const struct trace_candidate *c, bool *knows_steps)
{
	if (c->is_right || c->tokens == 0)
		return c->tokens;
	if (!c->has_steps) {
		*knows_steps = false;
		return 1;
	}
	for (uint32_t t = 0; t < c->tokens; t++)
		if (c->so_far[t] == 0)
			return t + 1;
	return c->tokens;
}

static void make_oracle(const struct trace *trace, const struct evaluation *e, struct baselines *out)
{
	uint64_t tokens = 0;

	out->oracle_knows_steps = true;
	for (uint32_t i = 0; i < e->sums.questions; i++)
		for (uint32_t j = 0; j < trace->candidates; j++)
			tokens += tokens_of_oracle(&e->outcome[i].question->candidate[j], &out->oracle_knows_steps);
	out->oracle = e->sums.full_tokens > 0 ? 1 - (double)tokens / (double)e->sums.full_tokens : 0;
}

int baselines_make(const struct trace *trace, const struct evaluation *e, struct baselines *out, char *why)
{
	int err = make_caps(trace, e, out, why);

	if (err)
		return err;
	make_random(trace, e, out);
	make_oracle(trace, e, out);
	out->has_risk = e->sums.answerable > 0;
	return 0;
}

double baseline_saved(const struct baseline *curve, uint32_t points, double risk)
{
	const int r = RISK_CANDIDATE;
	uint32_t p = points;

	while (p > 0 && curve[p - 1].risk[r] > risk)
		p--;
	if (p == 0)
		return NAN;
	if (p == points || curve[p - 1].risk[r] >= risk)
		return curve[p - 1].saved;
	return curve[p - 1].saved + (curve[p].saved - curve[p - 1].saved) * (risk - curve[p - 1].risk[r]) /
					    (curve[p].risk[r] - curve[p - 1].risk[r]);
}
