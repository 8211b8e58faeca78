/* SPDX-License-Identifier: Apache-2.0 */
/* veto run: its options, what came of a prompt, and how both are shown. */
#ifndef VETO_RUN_H
#define VETO_RUN_H

#include "answer.h"
#include "cli.h"
#include "llama_source.h"
#include "prompts.h"

#define COHORT_MAX 255 /* sequences that llama.cpp keeps, less the prompt's */

struct run_args {
	const char *model, *device, *rows_path, *journal_path, *head_path, *table_path, *step, *select, *answer_text;
	const char *prompt, *prompts_path; /* one of them */
	struct veto_rule rule[VETO_RULES_MAX]; /* the selecting one is last */
	const char *policy_text[VETO_RULES_MAX]; /* of the others, as given */
	uint32_t rules;
	struct answer_rule answer;
	uint32_t candidates, cohort, max_tokens, threads;
	uint32_t beams, expand; /* of a beam search, else 0 */
	uint64_t seed;
	double temperature, top_p, min_p;
	bool records_states, records_tops; /* in the journal */
	bool is_compared, is_json, wants_help;
};

/* EXIT_DONE, or EXIT_MISUSED having said why. */
int run_args_read(int argc, char **argv, struct run_args *args);

/* How a run's candidates are made, as recordings and policy files state it. */
#define RUN_TEMPLATE(has_template) ((has_template) ? "of the model" : "none")
#define RUN_SOURCE "exact"
#define RUN_SAMPLER_MAX 128
void run_print_sampler(const struct run_args *args, char text[RUN_SAMPLER_MAX]); /* as JSON */
const char *run_model_name(const struct run_args *args);

/* What came of one candidate. */
struct run_candidate {
	enum veto_state state;
	uint32_t tokens, unusable;
	bool votes, is_cut_off; /* it reached max_tokens */
	bool is_fork;
	bool is_completed; /* a rule found it done, and ended it there */
	bool has_verdict;
	struct veto_verdict verdict; /* of a candidate that is out */
	struct veto_score score; /* of its last token */
	bool has_answer;
	char answer[ANSWER_MAX];
	char *text;
};

/* What came of a prompt. */
struct run_outcome {
	struct run_candidate *candidate; /* [candidates] */
	uint32_t candidates;
	bool has_raw_reward; /* the head's is no probability */
	bool is_settled, has_choice, is_right, is_stopped; /* is_stopped: by the user */
	struct veto_choice choice;
	struct veto_verdict *shadow; /* [shadows] what rules with shadow=1 would have done, rule as in args->rule */
	uint32_t shadows;
	struct veto_verdict *past; /* [pasts] what became of slots that forks took since, and the forks */
	uint32_t pasts;
	uint64_t tokens; /* written; a fork's begin behind it */
	uint64_t questions, think_tokens; /* that rules asked, and that were written for it */
	struct veto_stream_counts counts;
	uint64_t wall_ns, verify_ns;
};

void run_outcome_free(struct run_outcome *outcome);
/* Take in a verdict; rule as in args->rule. */
void run_outcome_add(struct run_outcome *outcome, const struct veto_verdict *verdict);

/* Sums over the prompts. */
struct run_totals {
	uint32_t prompts, known, right, kept, rejected, forked, settled, cut_off, voteless, lost, stopped;
	uint32_t by_rule[VETO_RULES_MAX]; /* stopped candidates, as in args->rule */
	uint32_t completed;
	uint64_t questions, think_tokens;
	uint64_t tokens, unusable, wall_ns, verify_ns;
	struct veto_stream_counts counts;
	double estimated_saved; /* tokens */
	uint32_t
		inestimable; /* prompts whose candidates were all stopped: nothing tells how long they would have been */
	uint32_t changed; /* with --compare: finished candidates whose text is another one */
	uint32_t compared; /* of so many */
};

void run_totals_add(struct run_totals *totals, const struct run_outcome *outcome, bool is_answer_known);
/* Count the candidates that finished in both, no forks, and wrote something else. */
void run_totals_compare(struct run_totals *totals, const struct run_outcome *a, const struct run_outcome *b);

/* One line, or one JSON object, for a prompt.  full: what came of it without rejecting, or NULL. */
void run_report_prompt(const struct run_args *args, const struct prompt *prompt, const struct run_outcome *outcome,
	const struct run_outcome *full);
/* The summary.  full: the sums without rejecting, or NULL.  cut: of a prompt that is in neither. */
void run_report_totals(const struct run_args *args, const struct run_totals *totals, const struct run_totals *full,
	const struct run_totals *cut, bool is_interrupted);

/* The live view on a terminal: a line a candidate.  Does nothing where stderr is no terminal. */
struct run_view;
struct run_view *run_view_open(void);
void run_view_draw(
	struct run_view *view, const char *title, const struct run_candidate *candidate, uint32_t candidates);
void run_view_clear(struct run_view *view);
void run_view_close(struct run_view *view);

#endif
