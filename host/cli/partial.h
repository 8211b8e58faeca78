/* SPDX-License-Identifier: Apache-2.0 */
/* How well the beginning of a candidate speaks for all of it: the bound of "Early Rejection with Partial Reward Modeling",
 * arXiv 2508.01969. */
#ifndef VETO_PARTIAL_H
#define VETO_PARTIAL_H

#include "evaluation.h"

/* A rule's rung.  Candidates of a cohort that have so many tokens are compared; each has a partial score, of its tokens up to
 * the rung, and a final one, of all of them.  The best has the highest final score.  The chance that one of the n - 1 others
 * lies before it at the rung is at most (n - 1) exp(-gap^2 / (4 sigma^2)) if what the partial scores lack of the final ones is
 * independent noise of deviation sigma: gap is how far the best is ahead of the second, in final scores. */
struct partial {
	uint32_t field, rung;
	bool is_rank; /* the rule compares candidates; else the bound does not speak of what it rejects */
	/* Of the fit part. */
	uint64_t groups; /* of two candidates or more */
	double compared; /* candidates of one, on average */
	double gap; /* mean */
	double sigma; /* deviation of partial less final */
	double bound; /* of the mean gap and the mean number */
	double mean_bound; /* of each group's own gap and number, 1 at most, on average */
	double correlation; /* of partial with final */
	double expected; /* sqrt(rung / mean length): that of a score whose tokens are independent */
	/* Of the part that is reported. */
	uint64_t played, best_rejected; /* groups, and those whose best the rule rejected at this rung */
	const char *missing; /* why there is nothing of this; NULL: there is */
};

/* The rungs of the setting's first rejecting rule that has some, out[VETO_LIST_MAX]; returns how many.  *rule: its index. */
uint32_t partial_rungs(const struct setting *setting, uint32_t *rule, struct partial *out);

/* Estimate on the fit part (NULL: there is none), and count what the rule did with the questions that were played: fates
 * [questions][candidates].  -ENOMEM */
int partial_make(const struct trace *trace, const enum part *part, const struct evaluation *e, const struct fate *fate,
	uint32_t rule, struct partial *p, char *why);

#endif
