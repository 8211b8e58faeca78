/* SPDX-License-Identifier: Apache-2.0 */
/* Recordings as a server that lists only the likeliest tokens would have given them. */
#include "cli.h"
#include "interval.h"
#include "recorded.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The scores of a token from what is listed. */
static void score_token(const struct trace *t, const struct trace_candidate *c, uint32_t token, uint32_t k,
	double error, struct veto_score *out)
{
	const struct veto_interval *sampled = c->field[VETO_TOKEN_LOGP] ? &c->field[VETO_TOKEN_LOGP][token] : NULL;
	float logp[VETO_TOP_MAX];
	const struct interval_row row = {
		.logp = logp,
		.listed = k,
		.sampled = sampled && sampled->low != TRACE_UNKNOWN ? (double)sampled->low * 0x1p-20 : (double)NAN,
		.vocab = t->vocab,
		.error = error,
	};

	memcpy(logp, (const char *)c->top + (size_t)token * t->tops * sizeof(float), k * sizeof(float));
	interval_score(&row, out);
}

static int replace_scores(const struct trace *t, struct trace_candidate *c, uint32_t k, double error, uint32_t wanted)
{
	struct veto_interval *field[VETO_FIELDS] = {NULL};
	bool fits = true;

	for (int f = 0; f < VETO_FIELDS; f++) {
		field[f] = wanted >> f & 1 ? malloc((c->tokens + 1) * sizeof(*field[f])) : NULL;
		fits &= !(wanted >> f & 1) || field[f];
	}
	for (uint32_t i = 0; i < c->tokens && fits; i++) {
		struct veto_score score;

		score_token(t, c, i, k, error, &score);
		for (int f = 0; f < VETO_FIELDS; f++)
			if (field[f] && score.has >> f & 1)
				field[f][i] = score.field[f];
			else if (field[f])
				field[f][i] = (struct veto_interval){TRACE_UNKNOWN, TRACE_UNKNOWN};
	}
	for (int f = 0; f < VETO_FIELDS; f++) {
		free(fits ? c->field[f] : field[f]);
		if (fits)
			c->field[f] = field[f];
	}
	return fits ? 0 : -1;
}

/* The scores that a list of k gives. */
static uint32_t fields_of(const struct trace *t, uint32_t k)
{
	return (t->fields & 1u << VETO_TOKEN_LOGP) | 1u << VETO_TOP1_LOGP | (k > 1 ? 1u << VETO_MARGIN : 0) |
	       (k >= INTERVAL_CONFIDENCE_TOKENS ? 1u << VETO_TOPK_CONFIDENCE : 0) |
	       (t->vocab ? 1u << VETO_SELF_CERTAINTY | 1u << VETO_SC_LOWER | 1u << VETO_ENTROPY : 0);
}

int recorded_as(const char *command, const char *text, struct trace *t)
{
	const double error = t->vocab ? interval_server_error(t->vocab) : INTERVAL_ERROR;
	char *source;
	int64_t k;

	if (!text)
		return EXIT_DONE;
	k = trace_listed(text);
	if (k == 0)
		return misused(command, "--as '%s': expected top-k:K", text);
	if (k > t->tops)
		return misused(command, "--as %s: the recording lists the %u likeliest tokens%s", text, t->tops,
			t->tops ? "" : "; veto run --record top lists 20");
	t->fields = fields_of(t, (uint32_t)k);
	for (uint32_t i = 0; i < t->questions * t->candidates; i++) {
		struct trace_candidate *c = &t->question[i / t->candidates].candidate[i % t->candidates];

		if (!c->top && c->tokens > 0)
			return misused(command, "--as %s: candidate %u of '%s' has no likeliest tokens", text,
				i % t->candidates, t->question[i / t->candidates].id);
		if (replace_scores(t, c, (uint32_t)k, error, t->fields))
			return failed(command, "out of memory");
	}
	source = strdup(text);
	if (!source)
		return failed(command, "out of memory");
	free(t->source);
	t->source = source;
	return EXIT_DONE;
}
