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

/* Texts are NULL where the recording does not state them. */
struct trace {
	char *model, *fingerprint; /* who wrote: in words, and as a backbone's fingerprint and quantisation */
	char *sampler; /* a JSON object */
	char *template; /* what prompts were put into */
	char *source; /* of the scores: "exact", or "top-k:20" */
	char *policy, *select; /* rules: "none", or joined by VETO_RULES_JOINED; and the selecting one */
	uint32_t candidates, cohort, max_tokens; /* of each question */
	uint32_t fields; /* bit 1u << field: every candidate has it */
	struct trace_question *question; /* [questions] in the order of their first candidates */
	uint32_t questions;
};

/* Read how candidates were recorded from a JSON object, the first line of a trace or the header of a journal, whose version
 * stands under the key `kind`.  -EINVAL, -ENOMEM */
int trace_read_header(const char *json, size_t bytes, const char *kind, struct trace *out, char *why);

/* -EINVAL: rules that stop were in force when it was recorded. */
int trace_check_whole(const struct trace *t, char *why);

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
