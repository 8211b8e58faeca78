/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy sees of a session, and what it implements. */
#ifndef VETO_POLICY_H
#define VETO_POLICY_H

#include "veto.h"

#define NEVER UINT32_MAX /* a token index: no such token */
#define NO_SCORE INT64_MIN /* the low end of a missing score */
#define NO_BOUND INT64_MAX /* the high end of an interval without one */
#define ONE_Q20 (1LL << 20)

/* Sums of a score over tokens, oriented so that higher is more confident. */
struct sums {
	int64_t low, high;
	uint32_t usable; /* tokens in the sums */
	uint32_t unbounded; /* of these, those without an upper bound: not in high */
};

/* What a rule knows of a candidate. */
struct cell {
	struct sums sums;
	int64_t lowest; /* window-floor: mean of the lowest full window so far; NO_SCORE before */
	int64_t score, threshold; /* of the verdict */
	uint32_t token; /* of the verdict, real, shadow or spared; NEVER: none */
	uint32_t asked, question; /* the last question and at how many tokens; asked 0: none */
	bool is_ask_pending, is_completed, is_complete_pending; /* verdicts that the caller has not read */
	uint32_t looked; /* partial-reward: at so many tokens in this step; 0: not yet */
	uint32_t filled; /* floor, window-floor: entries that went through the window */
	bool is_tripped; /* an own-path rule's verdict, not yet made */
	bool is_shadow_pending; /* a verdict that the caller has not read */
};

struct candidate {
	uint64_t answer;
	enum veto_state state;
	uint32_t tokens, unusable;
	uint32_t token; /* the last one's id, or VETO_NO_TOKEN */
	uint32_t marks; /* of the last one */
	uint32_t same; /* the first candidate that closed with this answer: a name for it */
	uint32_t out_token; /* of the first verdict that put it out or spared it; NEVER: none */
	uint32_t trip_token, trip_rule; /* of an own-path rule's verdict, made at the end of the round */
	uint32_t step_start; /* tokens before its step */
	uint32_t from, fork_rule; /* of the last fork that made it */
	struct veto_verdict pending; /* REJECT or SETTLED */
	bool is_pending, is_fork_pending; /* the caller has not read that verdict, or the fork's */
	bool ends_step; /* its last token does */
	bool is_held; /* a beam that waits for the others */
	bool is_protected; /* a warm-up candidate */
	bool has_vote; /* finished, and no rule took its vote */
	bool is_new; /* finished in this round */
};

/* A rule in a session. */
struct rule {
	struct veto_rule rule;
	const struct policy *policy;
	uint32_t index; /* the caller's */
	uint32_t field, min_survivors; /* the parameters score and min_survivors; 0 without */
	bool is_shadow; /* the parameter shadow */
	uint32_t entries; /* window entries a candidate */
	struct veto_interval *window; /* [candidates][entries] */
	struct cell *cell; /* [candidates] */
	uint32_t *rung; /* [cohorts] rank rules: how far the rungs are judged; partial-reward: 1 once the step is */
	int64_t threshold; /* window-floor: frozen after the warm-up */
	bool is_frozen, has_threshold; /* window-floor */
	uint64_t streak_answer; /* esc: of the window being filled */
	uint32_t streak, window_filled;
};

struct board {
	uint32_t candidates, cohort, max_tokens;
	struct candidate *candidate; /* [candidates] */
	int64_t *scratch; /* [candidates] for whoever runs */
	struct veto_interval *ranking; /* [cohort] scores at a rung */
	int64_t *tally; /* [candidates] votes by candidate.same */
	bool is_settled;
	uint32_t rules;
	struct rule rule[VETO_RULES_MAX]; /* in an order of their own, whatever the caller's */
};

/* Parameters that several policies have; the session knows them by these names. */
#define SCORE_PARAM(what, field)                                                                                       \
	{                                                                                                              \
		.name = "score", .help = what, .type = VETO_PARAM_FIELD, .fallback = field                             \
	}
#define MIN_SURVIVORS_PARAM(what)                                                                                      \
	{                                                                                                              \
		.name = "min_survivors", .help = what, .type = VETO_PARAM_COUNT, .fallback = 1, .low = 0,              \
		.high = VETO_CANDIDATES_MAX                                                                            \
	}
#define SHADOW_PARAM                                                                                                   \
	{                                                                                                              \
		.name = "shadow", .help = "1: report verdicts and stop nothing", .type = VETO_PARAM_COUNT, .low = 0,   \
		.high = 1                                                                                              \
	}

/* A policy's code; NULL: nothing to do. */
struct policy_ops {
	void (*complete)(struct veto_values *values); /* what is not given and follows from the others */
	int (*check)(const struct veto_values *values, char *why); /* parameters against each other */
	int (*fit)(const struct veto_values *values, uint32_t candidates, char *why); /* and against the candidates */
	uint32_t (*entries)(const struct veto_values *values, uint32_t max_tokens);
	void (*start)(struct board *b, struct rule *r); /* before any event */
	void (*token)(struct board *b, struct rule *r, uint32_t candidate, const struct veto_score *score);
	void (*freeze)(struct board *b, struct rule *r); /* at the end of a round, before any verdict */
	/* Rank rules: the next rung of the cohort that starts at `first`, no later than `frontier`; NEVER: none.  And judge
	 * it. */
	uint32_t (*next_rung)(const struct board *b, const struct rule *r, uint32_t first, uint32_t frontier);
	void (*judge)(struct board *b, struct rule *r, uint32_t first, uint32_t rung);
	/* Rules that look at steps: judge the cohort that starts at `first`, after all others. */
	void (*judge_step)(struct board *b, struct rule *r, uint32_t first);
	bool (*is_settled)(struct board *b, struct rule *r); /* after a round in which candidates finished */
	/* Rules that ask: the reply to the candidate's question, as a probability of yes (Q20); what the questions are; and the
	 * texts that are waited for. */
	void (*reply)(struct board *b, struct rule *r, uint32_t candidate, struct veto_interval yes);
	void (*question)(const struct veto_values *values, uint32_t question, struct veto_question *out);
	const char *(*marks)(const struct veto_values *values);
	int (*select)(struct board *b, struct rule *r, struct veto_choice *out);
};

struct policy {
	struct veto_policy face;
	const struct policy_ops *ops;
};

/* The table; a NULL name ends it. */
extern const struct policy policies[];

int policy_find(const char *name, const struct veto_policy **out, char *why);
int policy_check(const struct veto_rule *rule, char *why);
/* Set what is not given and follows from what is. */
void policy_complete(struct veto_rule *rule);

/* Whether the rule reads that score; and whether it looks at a candidate because it has so many tokens, so many of them in
 * its step. */
bool policy_reads(const struct veto_rule *rule, uint32_t field);
bool policy_has_rung(const struct veto_rule *rule, uint32_t tokens, uint32_t step_tokens);

/* The parameter of that name (of a list the first value), or `otherwise`: the rule has none. */
int64_t policy_value(const struct veto_rule *rule, const char *name, int64_t otherwise);
/* Whether the rule only reports what it would do. */
bool policy_is_shadow(const struct veto_rule *rule);

/* The score of a token as a policy reads it: negated where its sign is -1, Q31 brought to Q20; low = NO_SCORE where the
 * row lacks the field or has NaN or saturated entries. */
struct veto_interval policy_read(const struct veto_score *score, uint32_t field);
void sums_add(struct sums *sums, struct veto_interval value);
void sums_remove(struct sums *sums, struct veto_interval value);
/* Whether a rule that looks at every token looks at the candidate's last one: a reward counts where a step ends. */
bool policy_counts(const struct candidate *c, uint32_t field);
/* The score of a candidate's next token, and of its tokens so far: their mean, or of a reward, which speaks of all of them,
 * the last. */
void sums_follow(struct sums *sums, uint32_t field, struct veto_interval value);
struct veto_interval sums_so_far(const struct sums *sums, uint32_t field, uint32_t tokens);
/* The mean over so many tokens, truncated toward 0; no score if fewer than half of them are usable. */
struct veto_interval sums_mean(const struct sums *sums, uint32_t tokens);

/* -EINVAL: beams wait for each other in their steps, and can't also for a warm-up, nor in two ways. */
int board_check(const struct board *b, char *why);

/* Put a live candidate out (or spare one that has finished) for what its first `token` tokens showed.  A shadow rule's
 * verdict is noted and changes nothing. */
void board_reject(struct board *b, struct rule *r, uint32_t candidate, uint32_t token);
/* The REJECT of the rule's cell. */
struct veto_verdict board_verdict(const struct rule *r, uint32_t candidate);

/* End a round: have every rule decide.  has_new: candidates finished in it. */
void board_judge(struct board *b, bool has_new);

/* Note an own-path rule's verdict for what the candidate's first `tokens` tokens showed; the session makes it at the end of the
 * round. */
void board_trip(struct board *b, struct rule *r, uint32_t candidate, int64_t score, int64_t threshold, uint32_t tokens);

/* Ask about the candidate's tokens so far, unless a question of the rule is open; and another one about the same. */
void board_ask(struct board *b, struct rule *r, uint32_t candidate, uint32_t question);
void board_ask_again(struct rule *r, uint32_t candidate, uint32_t question);
/* Have the candidate closed with the answer that it has. */
void board_complete(struct board *b, struct rule *r, uint32_t candidate);

/* One past the last member of the cohort that starts at `first`. */
uint32_t board_cohort_end(const struct board *b, uint32_t first);
/* Whether a verdict that is based on a token up to t has put the candidate out of the rule's comparisons. */
bool board_is_out_by(const struct board *b, const struct rule *r, uint32_t candidate, uint32_t t);
/* Drop all members but the best `keep`, of whom the last is the threshold: score[] after so many tokens, NO_SCORE of those
 * that are not ranked; rung 0: after those at which each was looked at. */
void board_drop_below_best(struct board *b, struct rule *r, uint32_t first, uint32_t rung,
	const struct veto_interval *score, uint32_t keep);

/* Make a candidate that is out wait for its OPEN as a copy of one that is live. */
void board_fork(struct board *b, const struct rule *r, uint32_t from, uint32_t to);

/* A ratio as it was meant: the shortest decimal whose Q20 value it is, so that a tenth of 10 is 1. */
struct ratio {
	int64_t num, den; /* den is a power of 10, 10^7 at most */
};
struct ratio ratio_of(int64_t q20);
/* ceil(n * ratio) */
uint32_t ceil_ratio(uint32_t n, struct ratio ratio);

/* -EINVAL: the rungs in that parameter do not rise. */
int policy_check_rungs(const char *policy, const struct veto_values *values, int param, char *why);

extern const struct policy_ops floor_ops, window_floor_ops, gate_ops, speculative_ops, partial_reward_ops;
extern const struct policy_ops self_truncation_ops, monitor_ops, self_evaluate_ops, detect_ops;
extern const struct policy_ops consensus_ops, adaptive_consistency_ops, esc_ops;
extern const struct policy_ops majority_ops, borda_ops, best_ops, weighted_ops, cisc_ops, sharpening_ops;
extern const struct veto_param floor_params[], window_floor_params[], gate_params[], speculative_params[];
extern const struct veto_param partial_reward_params[], self_truncation_params[], monitor_params[];
extern const struct veto_param self_evaluate_params[], detect_params[];
extern const struct veto_param consensus_params[], adaptive_consistency_params[], esc_params[];
extern const struct veto_param majority_params[], borda_params[], best_params[], weighted_params[];
extern const struct veto_param cisc_params[], sharpening_params[];

#endif
