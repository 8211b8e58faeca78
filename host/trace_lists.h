/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of scores of a trace's candidates. */
#ifndef VETO_TRACE_LISTS_H
#define VETO_TRACE_LISTS_H

#include "trace.h"

struct cJSON;

/* The lists of a candidate's scores in a trace: by which number of units a value of 1 counts.  A NULL key ends them. */
struct trace_list {
	const char *key;
	enum veto_field field;
	double unit;
};
extern const struct trace_list trace_lists[];

/* Read a list, as long as the candidate's tokens.
 *   -EINVAL  another length, or a value that is no number, null or interval; `why` gives its index
 *   -ENOMEM */
int trace_read_list(const struct cJSON *list, const struct trace_list *kind, struct trace_candidate *c, char *why);

#endif
