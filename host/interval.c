/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds a row's scores from its likeliest tokens. */
#include "interval.h"

#include <math.h>
#include <string.h>

#define UNKNOWN_BELOW (-85.0) /* nats: what servers fill in, or an fp32 probability that is no longer normal */
#define SAME_LOGP 2e-6 /* nats: so near to the last listed token, the sampled one may be listed */

/* Sums over the known tokens, and what is left for the others. */
struct tail {
	double known, tokens; /* how many are known, and how many are not */
	double p, logp, plogp; /* sums of p, log p and p |log p| */
	double most; /* no unknown token has more */
	double r, low, high; /* of all unknown tokens together: as it is, and with the errors */
};

double interval_server_error(uint32_t vocab) { return vocab * 0x1p-24 + 0x1p-20; }

static void add(struct tail *t, double logp)
{
	t->known++;
	t->p += exp(logp);
	t->logp += logp;
	t->plogp += exp(logp) * fabs(logp);
}

static bool is_known(double logp) { return logp >= UNKNOWN_BELOW; }

/* False: no token is known. */
static bool find_tail(const struct interval_row *row, struct tail *t)
{
	double least = NAN, spread;

	*t = (struct tail){0};
	for (uint32_t i = 0; i < row->listed && t->known < row->vocab; i++)
		if (is_known(row->logp[i])) {
			least = row->logp[i];
			add(t, least);
		}
	if (isnan(least))
		return false;
	if (is_known(row->sampled) && row->sampled < least - SAME_LOGP && t->known < row->vocab)
		add(t, row->sampled);
	t->tokens = row->vocab - t->known;
	t->most = exp(least) * (1 + 2 * row->error);
	t->r = 1 - t->p;
	spread = 2 * row->error + t->known * 0x1p-50;
	t->high = fmin(fmin(fmax(t->r, 0) + spread, t->tokens * t->most), 1);
	t->low = fmax(t->r - spread, 0);
	return true;
}

static double xlogx(double x) { return x > 0 ? x * log(x) : 0; }

/* The least entropy that unknown tokens of r together can have: as few of them as may be. */
static double least_entropy(const struct tail *t, double r)
{
	const double full = floor(r / t->most);

	return t->most >= exp(-1) ? 0 : -full * xlogx(t->most) - xlogx(r - full * t->most);
}

static int64_t q20(double nats, double (*outward)(double))
{
	return (int64_t)outward(fmin(fmax(nats, -0x1p19), 0x1p19) * 0x1p20);
}

static void set(struct veto_score *score, enum veto_field field, int64_t low, int64_t high)
{
	score->has |= 1u << field;
	score->field[field] = (struct veto_interval){low, high};
}

static void set_rounded(struct veto_score *score, enum veto_field field, double nats)
{
	set(score, field, q20(nats, nearbyint), q20(nats, nearbyint));
}

static void bound_whole(const struct interval_row *row, const struct tail *t, struct veto_score *out)
{
	const double n = t->tokens, vocab = row->vocab, out_by = 2 * row->error * (1 + t->plogp);
	const double spread = fmin(t->high, n / exp(1));
	double certainty = -log(vocab) - (t->logp + t->known * row->error) / vocab;
	double low = t->plogp, high = low;

	if (n > 0) {
		certainty -= n / vocab * log(t->high / n);
		low += fmin(least_entropy(t, t->low), least_entropy(t, t->high));
		high += spread * log(n / spread);
	}
	set(out, VETO_SELF_CERTAINTY, q20(certainty, floor), INT64_MAX);
	set(out, VETO_SC_LOWER, q20(certainty, floor), q20(certainty, floor));
	set(out, VETO_ENTROPY, q20(low - out_by, floor), q20(high + out_by, ceil));
}

void interval_score(const struct interval_row *row, struct veto_score *out)
{
	struct tail t;
	double sum = 0;

	memset(out, 0, sizeof(*out));
	if (is_known(row->sampled))
		set_rounded(out, VETO_TOKEN_LOGP, row->sampled);
	if (row->listed > 0 && is_known(row->logp[0]))
		set_rounded(out, VETO_TOP1_LOGP, row->logp[0]);
	if (row->listed > 1 && is_known(row->logp[1]))
		set_rounded(out, VETO_MARGIN, (double)row->logp[0] - (double)row->logp[1]);
	for (uint32_t i = 0; i < row->listed; i++)
		sum += is_known(row->logp[i]) ? (double)row->logp[i] : NAN;
	if (row->listed >= INTERVAL_CONFIDENCE_TOKENS && !isnan(sum))
		set_rounded(out, VETO_TOPK_CONFIDENCE, -sum / row->listed);
	if (row->vocab > 0 && find_tail(row, &t))
		bound_whole(row, &t, out);
}

struct interval_p interval_probability(const struct interval_row *row, double logp)
{
	struct tail t;

	if (is_known(logp))
		return (struct interval_p){exp(logp - row->error), fmin(exp(logp + row->error), 1)};
	return (struct interval_p){0, find_tail(row, &t) ? fmin(t.most, t.high) : 1};
}
