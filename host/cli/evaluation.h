/* SPDX-License-Identifier: Apache-2.0 */
/* What policies cost and save on recorded questions. */
#ifndef VETO_EVALUATION_H
#define VETO_EVALUATION_H

#include "recorded.h"
#include "split.h"

/* Rules that are played together, the selecting one behind them. */
struct setting {
	const char *policy, *select;
	struct veto_rule rule[VETO_RULES_MAX];
	uint32_t rules;
};

/* The rules of a policy, "none" or joined, and the selector; EXIT_MISUSED, having said so, if one is none, or can't be played
 * with this recording. */
int setting_read(
	const char *command, const char *policy, const char *select, const struct trace *trace, struct setting *out);

/* Its rules with all their parameters, joined, or "none", without the selector; as snprintf does. */
size_t setting_print(const struct setting *setting, char *text, size_t bytes);

/* What a question gave without the policy and with it. */
struct outcome {
	const struct trace_question *question;
	struct played full, played;
};

struct sums {
	uint64_t questions, full_tokens, tokens, rounds, full_right, is_right, right, right_rejected, answerable;
	double lost_shares; /* of right candidates, over the answerable questions */
	uint64_t lost_answers; /* right without the policy, and not with it */
	uint64_t unfinished_full,
		unfinished; /* tokens of candidates that never finish, without the policy and with it */
	uint64_t reference_tokens, reference_right; /* of the setting that this one is compared with */
};

enum risk { RISK_CANDIDATE, RISK_POOLED, RISK_ANSWER, RISKS };
extern const char *const risk_names[RISKS];

/* What else has an interval. */
enum estimate { SAVED = RISKS, ACCURACY, ACCURACY_DIFFERENCE, TOKENS_DIFFERENCE, ANSWERS_DIFFERENCE, ESTIMATES };

double ratio(double a, double b); /* 0 of nothing */
int by_value(const void *a, const void *b); /* of doubles, for qsort() */
double risk_of(const struct sums *sums, enum risk risk);
/* The same of an enum risk or enum estimate: the share of tokens saved; questions answered right, and how many more than
 * without the policy; tokens more than those of the reference, as a share of all, and questions answered right
 * more than with it. */
double estimate_of(const struct sums *sums, int estimate);

#define NO_OUTCOME UINT32_MAX

/* Outcomes of questions, their sums, and of each risk and estimate an interval of 95 %. */
struct evaluation {
	struct outcome *outcome; /* [sums.questions] */
	/* Questions of the same text are one unit: unit[units] are the first ones, and next[sums.questions] the one after each,
	 * or NO_OUTCOME. */
	uint32_t *unit, *next, units;
	struct sums sums;
	uint32_t unlabelled; /* questions that were left out */
	double low[ESTIMATES], high[ESTIMATES];
};

/* Whether every candidate says whether it is right. */
bool question_is_labelled(const struct trace *trace, const struct trace_question *q);
/* Play the labelled questions of a part (part NULL: all).  -ENOMEM, or as recorded_play(). */
int evaluation_make(const struct trace *trace, const enum part *part, enum part wanted, const struct setting *setting,
	struct evaluation *out, char *why);
/* Find the intervals, by a bootstrap over the units; the same seed draws the same ones for every setting.
 * reference: of the same questions; NULL: none.  -ENOMEM */
int evaluation_resample(struct evaluation *e, const struct evaluation *reference, uint64_t seed, char *why);
/* The risks with their intervals, as JSON members behind others. */
void evaluation_print_risks(const struct evaluation *e);
void evaluation_free(struct evaluation *e);

#endif
