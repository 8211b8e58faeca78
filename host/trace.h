/* SPDX-License-Identifier: Apache-2.0 */
/* Traces: recorded candidates as JSON Lines (veto.1, TRACES). */
#ifndef VETO_TRACE_H
#define VETO_TRACE_H

#include "veto.h"

#include <stdio.h>

#define TRACE_UNKNOWN INT64_MIN /* an interval's low end where a token has no such score */

struct trace_candidate {
	bool is_there, is_finished; /* is_finished: within max_tokens */
	bool is_labelled, is_right;
	uint64_t answer; /* equal answers, equal keys; 0: none */
	uint32_t tokens;
	struct veto_interval *field[VETO_FIELDS]; /* [tokens] as scores have them; NULL: was not recorded */
	bool *ends_step; /* [tokens] */
	bool *is_wrong_step; /* [tokens] the first so many steps are not all right; NULL: its steps have no labels */
};

struct trace_question {
	char *id;
	uint64_t text; /* hash of the question's text, or of its id where the trace lacks it */
	struct trace_candidate *candidate; /* [trace.candidates] */
};

struct trace {
	uint32_t candidates, cohort, max_tokens; /* of each question */
	uint32_t fields; /* bit 1u << field: every candidate has it */
	struct trace_question *question; /* [questions] in the order of their first candidates */
	uint32_t questions;
	char *model, *sampler, *template, *source; /* how it was recorded, sampler as JSON; NULL: not stated */
};

/* Read a trace.
 *   -ENOENT..  -errno of opening it
 *   -EINVAL    no JSON, a member that is missing or of the wrong kind, lists of different lengths, a candidate twice or
 *              missing, more tokens than max_tokens, or a recording in which a policy stopped something; `why` gives the
 *              line and quotes it
 *   -ENOMEM */
int trace_read(const char *path, struct trace *out, char *why);
/* The same of an open file; name is for messages. */
int trace_parse(FILE *in, const char *name, struct trace *out, char *why);
void trace_free(struct trace *trace);

/* The score of a token. */
void trace_score(const struct trace_candidate *c, uint32_t token, struct veto_score *out);

#endif
