/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded candidates, played through rules as if they were live. */
#ifndef VETO_RECORDED_H
#define VETO_RECORDED_H

#include "trace.h"

/* What came of a question. */
struct played {
	uint64_t tokens; /* that were written */
	uint32_t rounds; /* in which candidates wrote one each, a cohort's at a time: the longest chain */
	uint32_t right, right_rejected; /* candidates */
	bool is_right; /* a candidate with the chosen answer is */
};

/* Play a question in lockstep: in each round every candidate that is being written has its next token, in index order, and
 * `cohort` are written at a time.  The last rule selects; rules that fork are refused by recorded_check().  Errors as
 * veto_session_new(). */
int recorded_play(const struct trace *trace, const struct trace_question *question, const struct veto_rule *rule,
	uint32_t rules, struct played *out, char *why);

/* Errors as veto_session_new(); -EINVAL also for a rule that forks, which recorded candidates can't, or that reads a score
 * which some candidate lacks. */
int recorded_check(const struct trace *trace, const struct veto_rule *rule, uint32_t rules, char *why);

#endif
