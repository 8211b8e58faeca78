/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the report of veto evaluate: what was recorded, what policies did with it, and how that compares. */
#include "evaluate_report.h"
#include "param.h"
#include "partial.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NONE "\xe2\x80\x93" /* a cell without a value */
#define TO "\xe2\x80\x93" /* between the ends of an interval */
#define MINUS "\xe2\x88\x92"

const char *policy_key(uint32_t policy, char text[16])
{
	snprintf(text, 16, policy ? "P%u" : "none", policy);
	return text;
}

/* --- Cells --- */

static void cell_key(struct report *r, const struct evaluated *v, uint32_t i)
{
	char key[16];

	report_cell(r, "%s", policy_key(i / v->selects, key));
}

static void cell_percent(struct report *r, double share)
{
	if (isnan(share))
		report_number(r, NONE);
	else
		report_number(r, "%.1f", 100 * share);
}

static void cell_value(struct report *r, double value)
{
	if (isnan(value))
		report_number(r, NONE);
	else
		report_number(r, "%s%.4g", value < 0 ? MINUS : "", fabs(value));
}

/* A share of the sums with its interval. */
static void cell_interval(struct report *r, const struct evaluation *e, int estimate)
{
	report_number(r, "%.1f (%.1f" TO "%.1f)", 100 * estimate_of(&e->sums, estimate), 100 * e->low[estimate],
		100 * e->high[estimate]);
}

static const char *with_sign(double value, char text[32])
{
	snprintf(text, 32, "%s%.1f", value < -0.05 ? MINUS : value > 0.05 ? "+" : "", fabs(value));
	return text;
}

static void cell_difference(struct report *r, const struct evaluation *e, int estimate)
{
	char value[32], low[32], high[32];

	report_number(r, "%s (%s to %s)", with_sign(100 * estimate_of(&e->sums, estimate), value),
		with_sign(100 * e->low[estimate], low), with_sign(100 * e->high[estimate], high));
}

static void header(struct report *r, const char *const *texts, uint32_t columns, const char *const *numbers)
{
	report_row_begin(r);
	for (uint32_t i = 0; i < columns; i++)
		report_cell(r, "%s", texts[i]);
	for (; *numbers; numbers++)
		report_number(r, "%s", *numbers);
	report_row_end(r);
}

/* --- What was recorded --- */

static void write_recording(struct report *r, const struct evaluated *v)
{
	const struct trace *t = v->trace;
	const struct evaluation *e = &v->evaluation[0];
	const char *const texts[][2] = {
		{"Model", t->model}, {"Sampler", t->sampler}, {"Template", t->template}, {"Scores", t->source}};

	report_terms_begin(r);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		report_term(r, texts[i][0], "%s", texts[i][1] ? texts[i][1] : "not stated");
	report_term(r, "Candidates", "%u a question, %u at a time, %u tokens at most", t->candidates, t->cohort,
		t->max_tokens);
	for (uint32_t i = 0; i < v->paths; i++)
		report_term(r, "File", "%s", v->path[i]);
	report_term(r, "Part", "%s%s%s", v->wanted < PARTS ? part_names[v->wanted] : "all questions",
		v->split ? " of the split " : "", v->split ? v->split : "");
	report_term(r, "Questions",
		"%" PRIu64 "; %u more are left out, as some candidate does not say whether it is right",
		e->sums.questions, e->unlabelled);
	report_term(r, "Without a policy", "%" PRIu64 " tokens, %" PRIu64 " of %" PRIu64 " candidates right",
		e->sums.full_tokens, e->sums.right, e->sums.questions * t->candidates);
	report_term(r, "Seed", "%" PRIu64, v->seed);
	report_term(r, "Made by", "veto %s", veto_version());
	report_terms_end(r);
}

static void write_policies(struct report *r, const struct evaluated *v)
{
	char text[VETO_RULES_MAX * 512];

	report_table_begin(r, "policies", "The policies: as they were given, and with all their parameters.");
	header(r, (const char *const[]){"", "policy", "rules"}, 3, (const char *const[]){NULL});
	for (uint32_t i = 0; i < v->count; i += v->selects) {
		setting_print(&v->setting[i], text, sizeof(text));
		report_row_begin(r);
		cell_key(r, v, i);
		report_cell(r, "%s", v->setting[i].policy);
		report_cell(r, "%s", text);
		report_row_end(r);
	}
	report_table_end(r);
}

/* --- What the policies did --- */

static void write_results(struct report *r, const struct evaluated *v)
{
	report_heading(r, "results-of-policies", "What the policies cost and save");
	report_table_begin(r, "results",
		"Shares in %. In brackets intervals of 95 %, by a bootstrap over questions (2,000 resamples); the difference "
		"is from no policy with the same selector, paired by question.");
	header(r, (const char *const[]){"policy", "select"}, 2,
		(const char *const[]){"tokens a question", "longest chain, tokens", "tokens saved", "accuracy",
			"accuracy, difference", NULL});
	for (uint32_t i = 0; i < v->count; i++) {
		const struct evaluation *e = &v->evaluation[i];

		report_row_begin(r);
		cell_key(r, v, i);
		report_cell(r, "%s", v->setting[i].select);
		report_number(r, "%.1f", ratio((double)e->sums.tokens, (double)e->sums.questions));
		report_number(r, "%.1f", ratio((double)e->sums.rounds, (double)e->sums.questions));
		cell_interval(r, e, SAVED);
		cell_interval(r, e, ACCURACY);
		cell_difference(r, e, ACCURACY_DIFFERENCE);
		report_row_end(r);
	}
	report_table_end(r);
	report_pareto(r, v);
}

static void write_risks(struct report *r, const struct evaluated *v)
{
	report_heading(r, "risks-of-policies", "What the policies risk");
	report_table_begin(r, "risks",
		"In %, with intervals of 95 %. Candidates: of a question's right candidates the share that is rejected, mean "
		"over the questions that have one. Pooled: of all right candidates. Answers: questions answered right without "
		"the policy and not with it.");
	header(r, (const char *const[]){"policy", "select"}, 2,
		(const char *const[]){
			"right candidates rejected", "risk of candidates", "risk, pooled", "risk of answers", NULL});
	for (uint32_t i = 0; i < v->count; i++) {
		const struct evaluation *e = &v->evaluation[i];

		report_row_begin(r);
		cell_key(r, v, i);
		report_cell(r, "%s", v->setting[i].select);
		report_number(r, "%" PRIu64 " of %" PRIu64, e->sums.right_rejected, e->sums.right);
		for (int k = 0; k < RISKS; k++)
			cell_interval(r, e, k);
		report_row_end(r);
	}
	report_table_end(r);
}

static void write_baselines(struct report *r, const struct evaluated *v)
{
	report_heading(r, "without-scores", "Beside what needs no score");
	report_table_begin(r, "baselines",
		v->baselines.oracle_knows_steps
			? "Tokens saved (%) by a policy; at its risk of candidates by a cap on the length and by random "
			  "rejection; by an oracle that stops each wrong candidate at the end of its first wrong step. The "
			  "last column is the policy's, of the tokens of candidates that never finish."
			: "Tokens saved (%) by a policy; at its risk of candidates by a cap on the length and by random "
			  "rejection; at most by an oracle, which stops each wrong candidate after its first token (of its "
			  "first wrong step if steps have labels). The last column is the policy's, of the tokens of "
			  "candidates that never finish.");
	header(r, (const char *const[]){"policy"}, 1,
		(const char *const[]){"risk of candidates", "saved", "length cap", "random rejection", "oracle",
			"saved of unfinished", NULL});
	for (uint32_t i = 0; i < v->count; i += v->selects) {
		const struct evaluation *e = &v->evaluation[i];

		report_row_begin(r);
		cell_key(r, v, i);
		cell_percent(r, risk_of(&e->sums, RISK_CANDIDATE));
		cell_interval(r, e, SAVED);
		cell_percent(r, v->comparison[i].saved_cap);
		cell_percent(r, v->comparison[i].saved_random);
		cell_percent(r, v->baselines.oracle);
		cell_percent(r, v->comparison[i].unfinished_saved);
		report_row_end(r);
	}
	report_table_end(r);
	report_risks(r, v);
}

static void write_differences(struct report *r, const struct evaluated *v)
{
	char key[16];

	if (v->count / v->selects < 3)
		return;
	report_heading(r, "between-policies", "The policies beside the first");
	report_table_begin(r, "differences",
		"Tokens more than with the first policy, in points of the tokens without any policy, and questions answered right more "
		"than with it, in points; paired by question, with intervals of 95 %. An interval that holds 0: these questions do not tell the two apart.");
	header(r, (const char *const[]){"policy"}, 1,
		(const char *const[]){"tokens, difference", "accuracy, difference", NULL});
	for (uint32_t i = 2 * v->selects; i < v->count; i += v->selects) {
		report_row_begin(r);
		report_cell(r, "%s " MINUS " P1", policy_key(i / v->selects, key));
		cell_difference(r, &v->evaluation[i], TOKENS_DIFFERENCE);
		cell_difference(r, &v->evaluation[i], ANSWERS_DIFFERENCE);
		report_row_end(r);
	}
	report_table_end(r);
}

/* --- Reliability --- */

/* Whether an earlier policy reads the same score. */
static bool is_repeated(const struct evaluated *v, uint32_t i)
{
	for (uint32_t j = 0; j < i; j += v->selects)
		if (v->comparison[j].field == v->comparison[i].field)
			return true;
	return false;
}

static void write_reliabilities(struct report *r, const struct evaluated *v)
{
	report_table_begin(r, "scores",
		"Brier score: the mean square of predicted chance less outcome, lower is better. ECE: how far predicted and "
		"seen shares lie apart, mean over ten bins of equal width, weighted by candidates.");
	header(r, (const char *const[]){"score", "missing"}, 2,
		(const char *const[]){
			"candidates", "without a score", "log-odds at score 0", "slope", "Brier", "ECE", NULL});
	for (uint32_t i = 0; i < v->count; i += v->selects) {
		const struct reliability *of = &v->comparison[i].reliability;

		if (v->comparison[i].field < 0 || is_repeated(v, i))
			continue;
		report_row_begin(r);
		report_cell(r, "%s", veto_fields[of->field].name);
		report_cell(r, "%s", of->missing ? of->missing : "");
		report_number(r, "%" PRIu64, of->candidates);
		report_number(r, "%" PRIu64, of->without);
		cell_value(r, of->at_zero);
		cell_value(r, of->slope);
		cell_value(r, of->missing ? NAN : of->brier);
		cell_value(r, of->missing ? NAN : of->ece);
		report_row_end(r);
	}
	report_table_end(r);
}

/* What the diagrams show, in numbers. */
static void write_bins(struct report *r, const struct evaluated *v)
{
	report_table_begin(
		r, "bins", "The diagrams in numbers: bins of predicted chances that hold any candidate; shares in %.");
	header(r, (const char *const[]){"score", "bin"}, 2,
		(const char *const[]){"candidates", "predicted, mean", "right", NULL});
	for (uint32_t i = 0; i < v->count; i += v->selects)
		for (int b = 0; b < RELIABILITY_BINS; b++) {
			const struct reliability_bin *bin = &v->comparison[i].reliability.bin[b];
			const double n = (double)bin->candidates;
			double low, high;

			if (v->comparison[i].field < 0 || is_repeated(v, i) || bin->candidates == 0)
				continue;
			wilson(bin->right, bin->candidates, &low, &high);
			report_row_begin(r);
			report_cell(r, "%s", veto_fields[v->comparison[i].field].name);
			report_cell(r, "%d" TO "%d", b * 100 / RELIABILITY_BINS, (b + 1) * 100 / RELIABILITY_BINS);
			report_number(r, "%" PRIu64, bin->candidates);
			cell_percent(r, bin->sum / n);
			report_number(r, "%.1f (%.1f" TO "%.1f)", 100 * (double)bin->right / n, 100 * low, 100 * high);
			report_row_end(r);
		}
	report_table_end(r);
}

static void write_reliability(struct report *r, const struct evaluated *v)
{
	bool is_any = false, has_plot = false;

	for (uint32_t i = 0; i < v->count; i += v->selects) {
		is_any |= v->comparison[i].field >= 0;
		has_plot |= v->comparison[i].field >= 0 && !v->comparison[i].reliability.missing;
	}
	if (!is_any)
		return;
	report_heading(r, "reliability-of-scores", "What the scores say of a whole candidate");
	report_paragraph(r,
		"A logistic curve turns the mean of a candidate's scores into a chance to be right; it is fitted on the fit "
		"part%s. A reward is a chance already, and its last value is taken as it is.",
		v->wanted == PART_TEST || v->wanted == PART_CALIBRATE
			? ", and tried on other questions"
			: ", which is among the questions it is tried on here: a report of the test part says more");
	write_reliabilities(r, v);
	if (!has_plot)
		return;
	report_figure_begin(r, "reliability", true);
	for (uint32_t i = 0; i < v->count; i += v->selects)
		if (v->comparison[i].field >= 0 && !v->comparison[i].reliability.missing && !is_repeated(v, i))
			report_diagram(r, &v->comparison[i].reliability);
	report_figure_end(r,
		"On the dashed line the predicted chance is the share that was right; beside each mark the number of its "
		"candidates. Lines are Wilson's intervals of 95 %%, too short where candidates of a question are alike.");
	write_bins(r, v);
}

/* --- The bound, and curves --- */

static void write_partial(struct report *r, const struct partial *p, const char *key)
{
	report_row_begin(r);
	report_cell(r, "%s", key);
	report_cell(r, "%s", p->missing ? p->missing : veto_fields[p->field].name);
	report_number(r, "%u", p->rung);
	if (p->missing) {
		for (int i = 0; i < 7; i++)
			report_number(r, NONE);
	} else {
		report_number(r, "%.1f", p->compared);
		cell_value(r, p->gap);
		cell_value(r, p->sigma);
		if (!p->is_rank)
			report_number(r, "not of a floor");
		else
			report_number(r, "%.3g%s", p->bound, p->bound >= 1 ? ", vacuous" : "");
		cell_value(r, p->is_rank ? p->mean_bound : NAN);
		cell_value(r, p->correlation);
		cell_value(r, p->expected);
	}
	report_number(r, "%" PRIu64 " of %" PRIu64, p->best_rejected, p->played);
	report_row_end(r);
}

static void begin_partials(struct report *r)
{
	report_heading(r, "partial-scores", "What a beginning says of the whole");
	report_paragraph(r,
		"A rule with rungs judges candidates by partial scores, of their tokens up to the rung; the final score is of all "
		"tokens. If what the partial scores lack is independent noise of deviation sigma, the candidate with the best "
		"final score is overtaken at the rung with a chance of at most (n " MINUS " 1) exp(" MINUS "gap^2 / (4 "
		"sigma^2)), where n candidates are compared and gap is how far the best is ahead of the second (arXiv "
		"2508.01969; a union over the others). Gap and sigma are estimated on the fit part: the deviation of partial "
		"less final scores. A bound of 1 or more is vacuous: it says nothing.");
	report_table_begin(r, "bound",
		"The bound of the mean gap, and that of each question's own gap (1 at most), on average, beside the share of "
		"questions of this report whose best candidate the rule rejected at the rung. The correlation of partial with "
		"final scores stands beside sqrt(rung / mean length), that of scores whose tokens are independent.");
	header(r, (const char *const[]){"policy", "score"}, 2,
		(const char *const[]){"rung", "n", "gap", "sigma", "bound", "bound, by question", "correlation",
			"expected", "best rejected", NULL});
}

/* What setting i did with every candidate, [questions][candidates]; NULL: `why` says what failed. */
static struct fate *find_fates(const struct evaluated *v, uint32_t i, int *err, char *why)
{
	const struct evaluation *e = &v->evaluation[i];
	struct fate *fate = calloc(e->sums.questions * v->trace->candidates + 1, sizeof(*fate));
	struct played played;

	*err = fate ? 0 : param_fail(-ENOMEM, why, "out of memory");
	for (uint32_t q = 0; q < e->sums.questions && !*err; q++)
		*err = recorded_play(v->trace, e->outcome[q].question, v->setting[i].rule, v->setting[i].rules, &played,
			&fate[(size_t)q * v->trace->candidates], why);
	if (*err) {
		free(fate);
		return NULL;
	}
	return fate;
}

static int write_partials(struct report *r, const struct evaluated *v, char *why)
{
	bool is_open = false;
	int err = 0;

	for (uint32_t i = 0; i < v->count && !err; i += v->selects) {
		struct partial partial[VETO_LIST_MAX];
		uint32_t rule;
		const uint32_t rungs = partial_rungs(&v->setting[i], &rule, partial);
		struct fate *fate = rungs ? find_fates(v, i, &err, why) : NULL;
		char key[16];

		for (uint32_t k = 0; fate && k < rungs && !err; k++) {
			err = partial_make(v->trace, v->part, &v->evaluation[i], fate, rule, &partial[k], why);
			if (err)
				break;
			if (!is_open)
				begin_partials(r);
			is_open = true;
			write_partial(r, &partial[k], policy_key(i / v->selects, key));
		}
		free(fate);
	}
	if (is_open)
		report_table_end(r);
	return err;
}

static int write_curves(struct report *r, const struct evaluated *v, char *why)
{
	uint32_t i = 0;
	struct fate *fate;
	int err;

	while (i < v->count && v->comparison[i].field < 0)
		i += v->selects;
	if (i >= v->count)
		return 0;
	fate = find_fates(v, i, &err, why);
	if (err)
		return err;
	report_curves(r, v, i, fate);
	free(fate);
	return 0;
}

int evaluate_report(struct report *r, const struct evaluated *v, char *why)
{
	int err;

	report_begin(r, "Policies on recorded candidates");
	write_recording(r, v);
	write_policies(r, v);
	write_results(r, v);
	write_risks(r, v);
	write_baselines(r, v);
	write_differences(r, v);
	write_reliability(r, v);
	err = write_partials(r, v, why);
	if (!err)
		err = write_curves(r, v, why);
	report_end(r);
	return err;
}
