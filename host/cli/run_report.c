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
	free(outcome->shadow);
	free(outcome->past);
	*outcome = (struct run_outcome){0};
}

static void append(struct veto_verdict **list, uint32_t *count, const struct veto_verdict *verdict)
{
	struct veto_verdict *longer = realloc(*list, (*count + 1) * sizeof(*longer));

	if (!longer)
		return;
	*list = longer;
	longer[(*count)++] = *verdict;
}

void run_outcome_add(struct run_outcome *outcome, const struct veto_verdict *verdict)
{
	struct run_candidate *c = &outcome->candidate[verdict->candidate];

	if (verdict->kind == VETO_ASK)
		return;
	if (verdict->is_shadow) {
		append(&outcome->shadow, &outcome->shadows, verdict);
		return;
	}
	outcome->is_settled |= verdict->kind == VETO_SETTLED;
	if (verdict->kind == VETO_COMPLETE) {
		c->is_completed = true;
		return;
	}
	if (verdict->kind != VETO_FORK) {
		c->has_verdict = true;
		c->verdict = *verdict;
		return;
	}
	if (c->has_verdict)
		append(&outcome->past, &outcome->pasts, &c->verdict);
	append(&outcome->past, &outcome->pasts, verdict);
	c->has_verdict = false;
	c->is_fork = true;
}

static bool is_rejected(const struct run_candidate *c) { return c->has_verdict && c->verdict.kind == VETO_REJECT; }

static bool is_stopped(const struct run_candidate *c) { return c->state == VETO_OUT; }

/* Tokens that the stopped candidates would have written had they been as long as the finished ones of their prompt. */
static void estimate_saved(const struct run_outcome *outcome, struct run_totals *totals)
{
	uint64_t finished = 0, tokens = 0;
	double mean;

	for (uint32_t i = 0; i < outcome->candidates; i++) {
		if (outcome->candidate[i].state == VETO_FINISHED) {
			finished++;
			tokens += outcome->candidate[i].tokens;
		}
	}
	totals->inestimable += finished == 0;
	if (finished == 0)
		return;
	mean = (double)tokens / (double)finished;
	for (uint32_t i = 0; i < outcome->candidates; i++)
		if (is_stopped(&outcome->candidate[i]) && outcome->candidate[i].tokens < mean)
			totals->estimated_saved += mean - outcome->candidate[i].tokens;
}

static void add_counts(struct veto_stream_counts *to, const struct veto_stream_counts *from)
{
	to->rows += from->rows;
	to->failed_rows += from->failed_rows;
	to->device_ns += from->device_ns;
	to->states += from->states;
	to->failed_states += from->failed_states;
	to->compared += from->compared;
	to->difference_sum += from->difference_sum;
	if (from->difference_most > to->difference_most)
		to->difference_most = from->difference_most;
}

void run_totals_add(struct run_totals *totals, const struct run_outcome *outcome, bool is_answer_known)
{
	totals->prompts++;
	totals->known += is_answer_known;
	totals->right += is_answer_known && outcome->is_right;
	for (uint32_t i = 0; i < outcome->candidates; i++) {
		const struct run_candidate *c = &outcome->candidate[i];

		totals->kept += c->votes;
		totals->cut_off += c->votes && c->is_cut_off;
		totals->voteless += c->state == VETO_FINISHED && !c->votes;
		totals->rejected += is_rejected(c);
		totals->settled += is_stopped(c) && !is_rejected(c);
		if (c->has_verdict)
			totals->by_rule[c->verdict.rule]++;
		totals->completed += c->is_completed;
		totals->lost += c->state == VETO_GONE;
		totals->stopped += c->state == VETO_LIVE || (outcome->is_stopped && c->state == VETO_WAITING);
		totals->unusable += c->unusable;
	}
	for (uint32_t i = 0; i < outcome->pasts; i++) {
		totals->forked += outcome->past[i].kind == VETO_FORK;
		totals->rejected += outcome->past[i].kind == VETO_REJECT;
		totals->by_rule[outcome->past[i].rule] += outcome->past[i].kind == VETO_REJECT;
	}
	totals->tokens += outcome->tokens;
	totals->questions += outcome->questions;
	totals->think_tokens += outcome->think_tokens;
	add_counts(&totals->counts, &outcome->counts);
	totals->wall_ns += outcome->wall_ns;
	totals->verify_ns += outcome->verify_ns;
	estimate_saved(outcome, totals);
}

void run_totals_compare(struct run_totals *totals, const struct run_outcome *a, const struct run_outcome *b)
{
	for (uint32_t i = 0; i < a->candidates && i < b->candidates; i++) {
		const struct run_candidate *x = &a->candidate[i], *y = &b->candidate[i];

		if (x->state != VETO_FINISHED || y->state != VETO_FINISHED || x->is_fork)
			continue;
		totals->compared++;
		totals->changed += strcmp(x->text, y->text) != 0;
	}
}

static const char *state_name(const struct run_candidate *c)
{
	if (is_stopped(c))
		return is_rejected(c) ? "rejected" : "settled";
	if (c->state == VETO_FINISHED)
		return c->is_cut_off ? "cut_off" : c->is_completed ? "completed" : "finished";
	if (c->state == VETO_GONE)
		return "lost";
	return c->state == VETO_WAITING ? "waiting" : "stopped";
}

static const char *field_name(uint32_t field) { return field < VETO_FIELDS ? veto_fields[field].name : "points"; }

static void print_verdict_json(const struct run_args *args, const struct veto_verdict *v)
{
	static const char *const kinds[] = {[VETO_REJECT] = "REJECT",
		[VETO_SETTLED] = "SETTLED",
		[VETO_FORK] = "FORK",
		[VETO_COMPLETE] = "COMPLETE"};

	printf("\"verdict\":\"%s\",\"policy\":\"%s\"", kinds[v->kind], args->rule[v->rule].policy->name);
	printf(",\"at_token\":%u", v->tokens);
	if (v->kind == VETO_REJECT)
		printf(",\"score\":\"%s\",\"score_q20\":%lld,\"threshold_q20\":%lld", field_name(v->field),
			(long long)v->score, (long long)v->threshold);
	if (v->kind == VETO_FORK)
		printf(",\"from\":%u", v->from);
}

static void print_verdicts_json(const struct run_args *args, const struct veto_verdict *list, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		printf("%s{\"candidate\":%u,", i ? "," : "", list[i].candidate);
		print_verdict_json(args, &list[i]);
		printf("}");
	}
}

static void print_candidates_json(const struct run_args *args, const struct run_outcome *outcome)
{
	for (uint32_t i = 0; i < outcome->candidates; i++) {
		const struct run_candidate *c = &outcome->candidate[i];

		printf("%s{\"candidate\":%u,\"state\":\"%s\",\"tokens\":%u,\"votes\":%s", i ? "," : "", i,
			state_name(c), c->tokens, c->votes ? "true" : "false");
		if (c->has_verdict) {
			printf(",");
			print_verdict_json(args, &c->verdict);
		}
		if (c->score.has >> VETO_REWARD & 1)
			printf(",\"reward_%s\":%lld", outcome->has_raw_reward ? "q16" : "q31",
				(long long)c->score.field[VETO_REWARD].low / (outcome->has_raw_reward ? 1 << 15 : 1));
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
		json_write_string(stdout, outcome->candidate[outcome->choice.candidate].answer);
	else
		printf("null");
	if (prompt->answer)
		printf(",\"right\":%s", outcome->is_right ? "true" : "false");
	printf(",\"settled\":%s,\"tokens\":%llu,\"questions\":%llu,\"think_tokens\":%llu,\"wall_ns\":%llu,\"scoring_ns\":%llu,\"shadow\":[",
		outcome->is_settled ? "true" : "false", (unsigned long long)outcome->tokens,
		(unsigned long long)outcome->questions, (unsigned long long)outcome->think_tokens,
		(unsigned long long)outcome->wall_ns, (unsigned long long)outcome->verify_ns);
	print_verdicts_json(args, outcome->shadow, outcome->shadows);
	if (args->expand) {
		printf("],\"past\":[");
		print_verdicts_json(args, outcome->past, outcome->pasts);
	}
	printf("],\"candidates\":[");
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

/* Text on one line of a terminal, whatever is in it. */
static void print_plain(const char *text)
{
	for (; *text; text++)
		putchar((unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text);
}

static void print_answer(const struct run_outcome *outcome)
{
	if (!outcome->has_choice) {
		printf("none");
		return;
	}
	putchar('\'');
	print_plain(outcome->candidate[outcome->choice.candidate].answer);
	putchar('\'');
}

static void print_brief(const struct prompt *prompt, const struct run_outcome *outcome, const char *label)
{
	struct run_totals sums = {0};

	run_totals_add(&sums, outcome, prompt->answer);
	printf("%s", label);
	print_answer(outcome);
	if (prompt->answer)
		printf(" (%s)", outcome->is_right ? "right" : "wrong");
	printf("; kept %u", sums.kept);
	if (sums.cut_off)
		printf(" (%u cut off)", sums.cut_off);
	if (sums.completed)
		printf(", completed %u", sums.completed);
	if (sums.rejected)
		printf(", rejected %u", sums.rejected);
	if (sums.forked)
		printf(", forked %u", sums.forked);
	if (sums.settled)
		printf(", settled %u", sums.settled);
	if (sums.voteless)
		printf(", without a vote %u", sums.voteless);
	if (sums.stopped)
		printf(", stopped %u", sums.stopped);
	if (sums.lost)
		printf(", lost %u", sums.lost);
	if (outcome->shadows)
		printf(", in shadow %u", outcome->shadows);
	printf(", %llu tokens", (unsigned long long)sums.tokens);
}

static void print_reason(const struct run_args *args, const struct veto_verdict *v)
{
	const bool is_negated = v->field < VETO_FIELDS && veto_fields[v->field].sign < 0;

	if (v->kind == VETO_FORK) {
		printf("    candidate %u forked from %u at token %u\n", v->candidate, v->from, v->tokens);
		return;
	}
	if (v->kind == VETO_COMPLETE) {
		printf("    candidate %u in shadow completed at token %u by %s\n", v->candidate, v->tokens,
			args->rule[v->rule].policy->name);
		return;
	}
	printf("    candidate %u %s at token %u by %s: %s%s %.4f, ", v->candidate,
		v->is_shadow ? "in shadow rejected" : "rejected", v->tokens, args->rule[v->rule].policy->name,
		is_negated ? "-" : "", field_name(v->field), (double)v->score / 0x1p20);
	if (strcmp(args->rule[v->rule].policy->name, "monitor") == 0)
		printf("limit %.4f\n", (double)v->threshold / 0x1p20);
	else if (v->score <= v->threshold)
		printf("threshold %.4f\n", (double)v->threshold / 0x1p20);
	else
		printf("and finished candidates took the places, down to %.4f\n", (double)v->threshold / 0x1p20);
}

static void print_reasons(const struct run_args *args, const struct run_outcome *outcome)
{
	for (uint32_t i = 0; i < outcome->pasts; i++)
		print_reason(args, &outcome->past[i]);
	for (uint32_t i = 0; i < outcome->candidates; i++)
		if (is_rejected(&outcome->candidate[i]))
			print_reason(args, &outcome->candidate[i].verdict);
	for (uint32_t i = 0; i < outcome->shadows; i++)
		print_reason(args, &outcome->shadow[i]);
}

void run_report_prompt(const struct run_args *args, const struct prompt *prompt, const struct run_outcome *outcome,
	const struct run_outcome *full)
{
	if (args->is_json) {
		print_prompt_json(args, prompt, outcome, full);
	} else {
		print_plain(prompt->id);
		printf(": ");
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
	       "\"voteless\":%u,\"stopped\":%u,\"lost\":%u,\"tokens\":%llu,\"tokens_saved_estimate\":%.0f,\"unusable_rows\":%llu,"
	       "\"failed_rows\":%llu,\"wall_s\":%.3f,\"scoring_s\":%.3f,\"scoring_share\":%.5f",
		t->prompts, t->known, t->right, t->kept, t->rejected, t->settled, t->cut_off, t->voteless, t->stopped,
		t->lost, (unsigned long long)t->tokens, t->estimated_saved, (unsigned long long)t->unusable,
		(unsigned long long)t->counts.failed_rows, (double)t->wall_ns / 1e9, (double)t->verify_ns / 1e9,
		percent((double)t->verify_ns, (double)t->wall_ns) / 100);
	if (t->forked)
		printf(",\"forked\":%u", t->forked);
	if (t->counts.states)
		printf(",\"states\":%llu,\"failed_states\":%llu", (unsigned long long)t->counts.states,
			(unsigned long long)t->counts.failed_states);
	if (t->counts.compared)
		printf(",\"table_compared\":%llu,\"table_difference_mean_nats\":%.6f,\"table_difference_most_nats\":%.6f",
			(unsigned long long)t->counts.compared,
			(double)t->counts.difference_sum / 0x1p20 / (double)t->counts.compared,
			(double)t->counts.difference_most / 0x1p20);
}

static void print_counts(const struct run_totals *t)
{
	printf("%u prompt%s, %u candidates kept", t->prompts, t->prompts == 1 ? "" : "s", t->kept);
	if (t->cut_off)
		printf(" (%u cut off)", t->cut_off);
	printf(", %u rejected, %u settled", t->rejected, t->settled);
	if (t->forked)
		printf(", %u forked", t->forked);
	if (t->voteless)
		printf(", %u finished without a vote", t->voteless);
	if (t->lost)
		printf(", %u lost", t->lost);
	if (t->stopped)
		printf(", %u stopped by you", t->stopped);
	printf("\n");
}

static void print_states(const struct veto_stream_counts *c)
{
	if (c->states)
		printf("  hidden states       %llu scored\n", (unsigned long long)c->states);
	if (c->compared)
		printf("  self-certainty      by the table %.4f nats a token away from that of the logits in the mean, %.4f at "
		       "most, of %llu tokens\n",
			(double)c->difference_sum / 0x1p20 / (double)c->compared, (double)c->difference_most / 0x1p20,
			(unsigned long long)c->compared);
}

static void print_totals(const struct run_args *args, const struct run_totals *t, const char *label)
{
	char rule[1024];

	printf("%s", label);
	print_counts(t);
	for (uint32_t i = 0; i < args->rules; i++)
		if (t->by_rule[i] && veto_rule_print(&args->rule[i], rule, sizeof(rule)) > 0)
			printf("  %-8s by rule    %u: %s\n",
				args->rule[i].policy->role == VETO_REJECTS ? "rejected" : "settled", t->by_rule[i],
				rule);
	printf("  tokens generated    %llu\n", (unsigned long long)t->tokens);
	if (t->questions)
		printf("  questions asked     %llu, and %llu tokens written for them\n",
			(unsigned long long)t->questions, (unsigned long long)t->think_tokens);
	if (t->known)
		printf("  right answers       %u of %u (%.1f %%)\n", t->right, t->known, percent(t->right, t->known));
	print_states(&t->counts);
	printf("  wall time           %.2f s, of it scoring and deciding %.3f s (%.2f %%)\n", (double)t->wall_ns / 1e9,
		(double)t->verify_ns / 1e9, percent((double)t->verify_ns, (double)t->wall_ns));
}

/* What stopping saved cannot be known without generating the rest. */
static void print_estimate(const struct run_totals *t)
{
	if (t->rejected + t->settled == 0) {
		printf("  tokens saved        0\n");
		return;
	}
	printf("  tokens saved        about %.0f (an estimate: stopped candidates at the mean length of the finished ones of "
	       "their prompt",
		t->estimated_saved);
	if (t->inestimable)
		printf(", without %u prompt%s of which none finished", t->inestimable, t->inestimable == 1 ? "" : "s");
	printf("; --compare measures)\n");
}

static void print_comparison(const struct run_totals *t, const struct run_totals *full, const struct run_totals *cut)
{
	printf("tokens saved by rejecting: %lld of %llu (%.1f %%)\n", (long long)(full->tokens - t->tokens),
		(unsigned long long)full->tokens,
		percent((double)full->tokens - (double)t->tokens, (double)full->tokens));
	printf("texts of candidates finished in both that differ (the engine's arithmetic depends on the batch): %u of %u\n",
		t->changed, t->compared);
	if (cut->tokens)
		printf("besides, the prompt that was interrupted: %llu tokens in %.2f s\n",
			(unsigned long long)cut->tokens, (double)cut->wall_ns / 1e9);
}

static void print_summary_json(const struct run_totals *totals, const struct run_totals *full,
	const struct run_totals *cut, bool is_interrupted)
{
	printf("{\"summary\":{");
	print_totals_json(totals);
	if (full) {
		printf(",\"tokens_saved\":%lld,\"finished_in_both\":%u,\"text_changed\":%u,\"full\":{",
			(long long)(full->tokens - totals->tokens), totals->compared, totals->changed);
		print_totals_json(full);
		printf("},\"interrupted_tokens\":%llu", (unsigned long long)cut->tokens);
	}
	printf(",\"interrupted\":%s}}\n", is_interrupted ? "true" : "false");
}

void run_report_totals(const struct run_args *args, const struct run_totals *totals, const struct run_totals *full,
	const struct run_totals *cut, bool is_interrupted)
{
	if (args->is_json) {
		print_summary_json(totals, full, cut, is_interrupted);
		return;
	}
	if (is_interrupted)
		printf("interrupted: what follows is the work so far\n");
	print_totals(args, totals, full ? "rejecting: " : "");
	if (!full) {
		print_estimate(totals);
		return;
	}
	print_totals(args, full, "without rejecting: ");
	print_comparison(totals, full, cut);
}
