/* SPDX-License-Identifier: Apache-2.0 */
/* What a run reports: a line a prompt and a summary, as text or JSON. */
#include "json.h"
#include "run.h"

#include <stdlib.h>
#include <string.h>

void run_outcome_free(struct run_outcome *outcome)
{
	for (uint32_t i = 0; i < outcome->candidates; i++)
		free(outcome->candidate[i].text);
	free(outcome->candidate);
	*outcome = (struct run_outcome){0};
}

static bool is_rejected(const struct run_candidate *c) { return c->has_verdict && c->verdict.kind == VETO_REJECT; }

static bool is_stopped(const struct run_candidate *c) { return c->state == VETO_OUT; }

/* Tokens that the stopped candidates would have written had they been as long as the finished ones of their prompt. */
static double estimate_saved(const struct run_outcome *outcome)
{
	uint64_t finished = 0, tokens = 0;
	double mean, saved = 0;

	for (uint32_t i = 0; i < outcome->candidates; i++) {
		if (outcome->candidate[i].state == VETO_FINISHED) {
			finished++;
			tokens += outcome->candidate[i].tokens;
		}
	}
	if (finished == 0)
		return 0;
	mean = (double)tokens / (double)finished;
	for (uint32_t i = 0; i < outcome->candidates; i++)
		if (is_stopped(&outcome->candidate[i]) && outcome->candidate[i].tokens < mean)
			saved += mean - outcome->candidate[i].tokens;
	return saved;
}

void run_totals_add(struct run_totals *totals, const struct run_outcome *outcome, bool is_answer_known)
{
	totals->prompts++;
	totals->known += is_answer_known;
	totals->right += is_answer_known && outcome->is_right;
	for (uint32_t i = 0; i < outcome->candidates; i++) {
		const struct run_candidate *c = &outcome->candidate[i];

		totals->kept += c->state == VETO_FINISHED && c->votes;
		totals->rejected += is_rejected(c);
		totals->settled += is_stopped(c) && !is_rejected(c);
		if (c->has_verdict)
			totals->by_rule[c->verdict.rule]++;
		totals->cut_off += c->is_cut_off;
		totals->lost += c->state == VETO_GONE || c->state == VETO_LIVE;
		totals->tokens += c->tokens;
		totals->unusable += c->unusable;
	}
	totals->failed_rows += outcome->failed_rows;
	totals->wall_ns += outcome->wall_ns;
	totals->verify_ns += outcome->verify_ns;
	totals->estimated_saved += estimate_saved(outcome);
}

void run_totals_compare(struct run_totals *totals, const struct run_outcome *a, const struct run_outcome *b)
{
	for (uint32_t i = 0; i < a->candidates && i < b->candidates; i++) {
		const struct run_candidate *x = &a->candidate[i], *y = &b->candidate[i];

		if (x->state != VETO_FINISHED || y->state != VETO_FINISHED)
			continue;
		totals->compared++;
		totals->changed += strcmp(x->text, y->text) != 0;
	}
}

static uint64_t sum_tokens(const struct run_outcome *outcome)
{
	uint64_t tokens = 0;

	for (uint32_t i = 0; i < outcome->candidates; i++)
		tokens += outcome->candidate[i].tokens;
	return tokens;
}

static const char *answer_text(const struct run_outcome *outcome)
{
	return outcome->candidate[outcome->choice.candidate].answer;
}

static const char *state_name(const struct run_candidate *c)
{
	if (is_stopped(c))
		return is_rejected(c) ? "rejected" : "settled";
	if (c->state == VETO_FINISHED)
		return c->is_cut_off ? "cut_off" : "finished";
	return c->state == VETO_WAITING ? "waiting" : "stopped";
}

static void print_verdict_json(const struct run_args *args, const struct veto_verdict *v)
{
	printf(",\"verdict\":\"%s\",\"policy\":\"%s\"", v->kind == VETO_REJECT ? "REJECT" : "SETTLED",
		args->rule[v->rule].policy->name);
	printf(",\"at_token\":%u", v->tokens);
	if (v->kind == VETO_REJECT)
		printf(",\"score\":\"%s\",\"score_q20\":%lld,\"threshold_q20\":%lld", veto_fields[v->field].name,
			(long long)v->score, (long long)v->threshold);
}

static void print_candidates_json(const struct run_args *args, const struct run_outcome *outcome)
{
	for (uint32_t i = 0; i < outcome->candidates; i++) {
		const struct run_candidate *c = &outcome->candidate[i];

		printf("%s{\"candidate\":%u,\"state\":\"%s\",\"tokens\":%u,\"votes\":%s", i ? "," : "", i,
			state_name(c), c->tokens, c->votes ? "true" : "false");
		if (c->has_verdict)
			print_verdict_json(args, &c->verdict);
		if (c->has_answer) {
			printf(",\"answer\":");
			json_write_string(stdout, c->answer);
		}
		printf(",\"text\":");
		json_write_string(stdout, c->text);
		printf("}");
	}
}

static void print_outcome_json(
	const struct run_args *args, const struct prompt *prompt, const struct run_outcome *outcome)
{
	printf("\"answer\":");
	if (outcome->has_choice)
		json_write_string(stdout, answer_text(outcome));
	else
		printf("null");
	if (prompt->answer)
		printf(",\"right\":%s", outcome->is_right ? "true" : "false");
	printf(",\"settled\":%s,\"tokens\":%llu,\"shadow_verdicts\":%u,\"wall_ns\":%llu,\"scoring_ns\":%llu,\"candidates\":[",
		outcome->is_settled ? "true" : "false", (unsigned long long)sum_tokens(outcome),
		outcome->shadow_verdicts, (unsigned long long)outcome->wall_ns, (unsigned long long)outcome->verify_ns);
	print_candidates_json(args, outcome);
	printf("]");
}

static void print_prompt_json(const struct run_args *args, const struct prompt *prompt,
	const struct run_outcome *outcome, const struct run_outcome *full)
{
	printf("{\"id\":");
	json_write_string(stdout, prompt->id);
	printf(",");
	print_outcome_json(args, prompt, outcome);
	if (full) {
		printf(",\"full\":{");
		print_outcome_json(args, prompt, full);
		printf("}");
	}
	printf("}\n");
}

static void print_brief(const struct prompt *prompt, const struct run_outcome *outcome, const char *label)
{
	struct run_totals sums = {0};

	run_totals_add(&sums, outcome, prompt->answer);
	printf("%s", label);
	if (outcome->has_choice)
		printf("'%s'", answer_text(outcome));
	else
		printf("none");
	printf("; kept %u", sums.kept);
	if (prompt->answer)
		printf(" (%s)", outcome->is_right ? "right" : "wrong");
	if (sums.rejected)
		printf(", rejected %u", sums.rejected);
	if (sums.settled)
		printf(", settled %u", sums.settled);
	if (outcome->shadow_verdicts)
		printf(", in shadow %u", outcome->shadow_verdicts);
	printf(", %llu tokens", (unsigned long long)sums.tokens);
}

static void print_reasons(const struct run_args *args, const struct run_outcome *outcome)
{
	for (uint32_t i = 0; i < outcome->candidates; i++) {
		const struct veto_verdict *v = &outcome->candidate[i].verdict;

		if (!is_rejected(&outcome->candidate[i]))
			continue;
		printf("    candidate %u rejected at token %u by %s: %s%s %.4f, threshold %.4f\n", i, v->tokens,
			args->rule[v->rule].policy->name, veto_fields[v->field].sign < 0 ? "-" : "",
			veto_fields[v->field].name, (double)v->score / 0x1p20, (double)v->threshold / 0x1p20);
	}
}

void run_report_prompt(const struct run_args *args, const struct prompt *prompt, const struct run_outcome *outcome,
	const struct run_outcome *full)
{
	if (args->is_json) {
		print_prompt_json(args, prompt, outcome, full);
	} else {
		printf("%s: ", prompt->id);
		print_brief(prompt, outcome, "answer ");
		if (full)
			print_brief(prompt, full, " | without rejecting: ");
		printf("\n");
		if (args->prompt)
			print_reasons(args, outcome);
	}
	fflush(stdout);
}

static double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

static void print_totals_json(const struct run_totals *t)
{
	printf("\"prompts\":%u,\"known_answers\":%u,\"right\":%u,\"kept\":%u,\"rejected\":%u,\"settled\":%u,\"cut_off\":%u,"
	       "\"stopped\":%u,\"tokens\":%llu,\"tokens_saved_estimate\":%.0f,\"unusable_rows\":%llu,\"failed_rows\":%llu,"
	       "\"wall_s\":%.3f,\"scoring_s\":%.3f,\"scoring_share\":%.5f",
		t->prompts, t->known, t->right, t->kept, t->rejected, t->settled, t->cut_off, t->lost,
		(unsigned long long)t->tokens, t->estimated_saved, (unsigned long long)t->unusable,
		(unsigned long long)t->failed_rows, (double)t->wall_ns / 1e9, (double)t->verify_ns / 1e9,
		percent((double)t->verify_ns, (double)t->wall_ns) / 100);
}

static void print_totals(const struct run_args *args, const struct run_totals *t, const char *label)
{
	char rule[160];

	printf("%s%u prompts, %u candidates kept, %u rejected, %u settled", label, t->prompts, t->kept, t->rejected,
		t->settled);
	if (t->cut_off)
		printf(", %u cut off", t->cut_off);
	if (t->lost)
		printf(", %u stopped by you", t->lost);
	printf("\n");
	for (uint32_t i = 0; i < args->rules; i++)
		if (t->by_rule[i] && veto_rule_print(&args->rule[i], rule, sizeof(rule)) > 0)
			printf("  %-8s by rule    %u: %s\n",
				args->rule[i].policy->role == VETO_REJECTS ? "rejected" : "settled", t->by_rule[i],
				rule);
	printf("  tokens generated    %llu\n", (unsigned long long)t->tokens);
	if (t->known)
		printf("  right answers       %u of %u (%.1f %%)\n", t->right, t->known, percent(t->right, t->known));
	printf("  wall time           %.2f s, of it scoring and deciding %.3f s (%.2f %%)\n", (double)t->wall_ns / 1e9,
		(double)t->verify_ns / 1e9, percent((double)t->verify_ns, (double)t->wall_ns));
}

static void print_saved(const struct run_totals *t, const struct run_totals *full)
{
	if (!full && t->rejected + t->settled > 0)
		printf("  tokens saved        about %.0f (an estimate: stopped candidates at the mean length of the finished ones of "
		       "their prompt; --compare measures)\n",
			t->estimated_saved);
	else if (!full)
		printf("  tokens saved        0\n");
	else
		printf("tokens saved by rejecting: %lld of %llu (%.1f %%)\n", (long long)(full->tokens - t->tokens),
			(unsigned long long)full->tokens,
			percent((double)full->tokens - (double)t->tokens, (double)full->tokens));
}

void run_report_totals(const struct run_args *args, const struct run_totals *totals, const struct run_totals *full,
	bool is_interrupted)
{
	if (args->is_json) {
		printf("{\"summary\":{");
		print_totals_json(totals);
		if (full) {
			printf(",\"tokens_saved\":%lld,\"finished_in_both\":%u,\"text_changed\":%u,\"full\":{",
				(long long)(full->tokens - totals->tokens), totals->compared, totals->changed);
			print_totals_json(full);
			printf("}");
		}
		printf(",\"interrupted\":%s}}\n", is_interrupted ? "true" : "false");
		return;
	}
	if (is_interrupted)
		printf("interrupted: what follows is the work so far\n");
	print_totals(args, totals, full ? "rejecting: " : "");
	if (full)
		print_totals(args, full, "without rejecting: ");
	print_saved(totals, full);
	if (full)
		printf("texts of candidates finished in both that differ (the engine's arithmetic depends on the batch): %u of %u\n",
			totals->changed, totals->compared);
}
