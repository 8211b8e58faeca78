/* SPDX-License-Identifier: Apache-2.0 */
/* Compares settings with baselines and with each other, and prints it. */
#include "comparison.h"

#include <math.h>
#include <stdio.h>

void comparison_make(const struct trace *trace, const enum part *part, const struct setting *setting,
	const struct evaluation *e, const struct baselines *b, bool has_reference, struct comparison *out)
{
	const double risk = risk_of(&e->sums, RISK_CANDIDATE);

	*out = (struct comparison){.saved_cap = NAN,
		.saved_random = NAN,
		.unfinished_saved = NAN,
		.field = reliability_field(setting),
		.has_reference = has_reference};
	if (b->has_risk) {
		out->saved_cap = baseline_saved(b->cap, b->caps, risk);
		out->saved_random = baseline_saved(b->random, b->randoms, risk);
	}
	if (e->sums.unfinished_full > 0)
		out->unfinished_saved = 1 - (double)e->sums.unfinished / (double)e->sums.unfinished_full;
	if (out->field >= 0)
		reliability_make(trace, part, e, (uint32_t)out->field, &out->reliability);
}

static void print_member(const char *name, double value)
{
	if (isnan(value))
		printf(",\"%s\":null", name);
	else
		printf(",\"%s\":%.6f", name, value);
}

static void print_estimate(const char *name, const struct evaluation *e, int estimate, bool is_known)
{
	char low[32], high[32];

	snprintf(low, sizeof(low), "%s_low", name);
	snprintf(high, sizeof(high), "%s_high", name);
	print_member(name, is_known ? estimate_of(&e->sums, estimate) : NAN);
	print_member(low, is_known ? e->low[estimate] : NAN);
	print_member(high, is_known ? e->high[estimate] : NAN);
}

void comparison_print_json(const struct comparison *c, const struct evaluation *e, const struct baselines *b)
{
	const bool has_score = c->field >= 0 && !c->reliability.missing;

	print_member("saved_cap", c->saved_cap);
	print_member("saved_random", c->saved_random);
	print_member("saved_oracle", b->oracle);
	printf(",\"oracle\":\"%s\"", b->oracle_knows_steps ? "steps" : "first-token");
	print_member("unfinished_saved", c->unfinished_saved);
	print_estimate("accuracy_difference", e, ACCURACY_DIFFERENCE, true);
	print_estimate("tokens_difference", e, TOKENS_DIFFERENCE, c->has_reference);
	print_estimate("answers_difference", e, ANSWERS_DIFFERENCE, c->has_reference);
	if (c->field >= 0)
		printf(",\"score\":\"%s\"", veto_fields[c->field].name);
	else
		printf(",\"score\":null");
	print_member("brier", has_score ? c->reliability.brier : NAN);
	print_member("ece", has_score ? c->reliability.ece : NAN);
}

/* A share in percent, or what there is instead. */
static const char *percent(char text[16], double share)
{
	if (isnan(share))
		return "none";
	snprintf(text, 16, "%.1f %%", 100 * share);
	return text;
}

void comparison_print_text(const struct comparison *c, const struct evaluation *e, const struct baselines *b)
{
	char cap[16], random[16], oracle[16], unfinished[16];

	printf("  difference  accuracy %+.1f points (%+.1f to %+.1f)", 100 * estimate_of(&e->sums, ACCURACY_DIFFERENCE),
		100 * e->low[ACCURACY_DIFFERENCE], 100 * e->high[ACCURACY_DIFFERENCE]);
	if (c->has_reference)
		printf("; from the first policy tokens %+.1f (%+.1f to %+.1f), accuracy %+.1f (%+.1f to %+.1f)",
			100 * estimate_of(&e->sums, TOKENS_DIFFERENCE), 100 * e->low[TOKENS_DIFFERENCE],
			100 * e->high[TOKENS_DIFFERENCE], 100 * estimate_of(&e->sums, ANSWERS_DIFFERENCE),
			100 * e->low[ANSWERS_DIFFERENCE], 100 * e->high[ANSWERS_DIFFERENCE]);
	printf("\n  baselines   at this risk of candidates a length cap saves %s, random rejection %s; an oracle %s%s\n",
		percent(cap, c->saved_cap), percent(random, c->saved_random), percent(oracle, b->oracle),
		b->oracle_knows_steps ? "" : " (at most: steps have no labels)");
	printf("  unfinished  %s saved of the tokens of candidates that never finish\n",
		percent(unfinished, c->unfinished_saved));
	if (c->field >= 0 && c->reliability.missing)
		printf("  reliability of %s: none: %s\n", veto_fields[c->field].name, c->reliability.missing);
	else if (c->field >= 0)
		printf("  reliability of %s: Brier %.4f, ECE %.4f over %llu candidates\n", veto_fields[c->field].name,
			c->reliability.brier, c->reliability.ece, (unsigned long long)c->reliability.candidates);
}
