/* SPDX-License-Identifier: Apache-2.0 */
/* The report of veto evaluate. */
#ifndef VETO_EVALUATE_REPORT_H
#define VETO_EVALUATE_REPORT_H

#include "comparison.h"
#include "report.h"

#define SETTINGS_MAX 64 /* policies, and selectors, that are given */

/* Settings that were played on the same questions: every policy, the first of them none, with every selector. */
struct evaluated {
	const struct trace *trace;
	const enum part *part; /* [trace->questions]; NULL: no split */
	enum part wanted; /* PARTS: all */
	const char *const *path, *split; /* as given */
	uint32_t paths;
	uint64_t seed;
	uint32_t count, selects; /* setting[count], of policy i / selects with selector i % selects */
	struct setting *setting;
	struct evaluation *evaluation;
	struct comparison *comparison;
	struct baselines baselines;
};

/* A policy's short name: "none", "P1". */
const char *policy_key(uint32_t policy, char text[16]);

/* Write the whole document.  -ENOMEM, or as recorded_play(). */
int evaluate_report(struct report *r, const struct evaluated *v, char *why);

/* Its plots: accuracy against tokens, risk against saved, reliability of a setting's score, and the scores of a few candidates,
 * by the fates [questions][candidates] that setting `index` gave them. */
void report_pareto(struct report *r, const struct evaluated *v);
void report_risks(struct report *r, const struct evaluated *v);
void report_diagram(struct report *r, const struct reliability *reliability);
void report_curves(struct report *r, const struct evaluated *v, uint32_t index, const struct fate *fate);

#endif
