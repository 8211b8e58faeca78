/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of a trace's candidates: their scores, and where their steps end. */
#ifndef VETO_TRACE_LISTS_H
#define VETO_TRACE_LISTS_H

#include "trace.h"

struct cJSON;

/* A list: by which number of units a value of 1 counts, and what its values can be.  Arithmetic of fixed width, rounding
 * and servers pass the limits by `slack` at most.  A NULL key ends the lists. */
struct trace_list {
	const char *key;
	enum veto_field field;
	double unit, low, high, slack;
};
extern const struct trace_list trace_lists[];

/* The key of a score's list. */
const char *trace_key(enum veto_field field);

/* Read a list, as long as the candidate's tokens.
 *   -EINVAL  another length, or a value that is no number, null or interval, or that the score can't be; `why` gives its
 *            index
 *   -ENOMEM */
int trace_read_list(const struct cJSON *list, const struct trace_list *kind, struct trace_candidate *c, char *why);

/* Read where steps end, and whether all is right up to there: at the positions that are listed, and at the last token.
 *   -EINVAL  steps is no list, NULL or null, a step is none, or positions don't rise; `why` quotes it
 *   -ENOMEM */
int trace_read_steps(const struct cJSON *steps, struct trace_candidate *c, char *why);

#endif
