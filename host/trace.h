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
	bool has_steps; /* "steps" was recorded, and all have labels */
	int8_t *so_far; /* [tokens] where a step ends: 1, all was right up to there, or 0; -1: not said */
	uint32_t *token; /* [tokens] their ids */
	char *text, *answer_text; /* NULL: not recorded */
	/* Hidden states, fp16, and which token each produced, rising; states 0: none. */
	uint32_t states, *state_token; /* [states] */
	const void **state; /* [states], trace.state_cols values each */
	const void *
		top; /* [tokens][trace.tops] floats, of any alignment: log-probabilities of the likeliest tokens, descending;
			  * NULL: not recorded */
	float *own_top; /* if it is no file's */
};

struct trace_question {
	char *id;
	char *prompt; /* its text; NULL: not recorded */
	uint64_t text; /* hash of the question's text, or of its id where the trace lacks it */
	uint32_t first; /* the first question with that text, where recorded_read() read it */
	struct trace_candidate *candidate; /* [trace.candidates] */
	bool is_learned; /* the head whose rewards it has has learned from it */
};

/* Texts are NULL where the recording does not state them. */
struct trace {
	char *model, *fingerprint; /* who wrote: in words, and as a backbone's fingerprint and quantisation */
	char *sampler; /* a JSON object */
	char *template; /* what prompts were put into */
	char *step, *answer; /* text that ends a step; where answers stand */
	char *source; /* of the scores: "exact", or "top-k:20" */
	char *head; /* checksum of the head that the rewards are of */
	char *policy, *select; /* rules: "none", or joined by VETO_RULES_JOINED; and the selecting one */
	uint32_t candidates, cohort, max_tokens; /* of each question */
	uint32_t vocab; /* tokens of the model; 0: not stated */
	uint32_t fields; /* bit 1u << field: every candidate has it */
	uint32_t state_cols; /* values of a hidden state; 0: nobody has one */
	uint32_t tops; /* of the likeliest tokens, at most VETO_TOP_MAX; 0: nobody has them */
	struct trace_file *file; /* where both are */
	bool is_head_known; /* questions say whether the head has learned from them */
	bool has_gaps; /* rewards were given where states are, and nowhere else */
	uint32_t unfinished; /* questions that were left out, because the recording of a journal ended in them */
	struct trace_question *question; /* [questions] in the order of their first candidates */
	uint32_t questions;
};

/* Read how candidates were recorded from a JSON object, the first line of a trace or the header of a journal, whose version
 * stands under the key `kind`.  -EINVAL, -ENOMEM */
int trace_read_header(const char *json, size_t bytes, const char *kind, struct trace *out, char *why);

/* K of a score source "top-k:K"; 0: it is none. */
int64_t trace_listed(const char *source);

/* -EINVAL: rules that stop were in force when it was recorded. */
int trace_check_whole(const struct trace *t, char *why);

/* Read a trace, and the files that it names.
 *   -ENOENT..  -errno of opening it
 *   -EINVAL    no JSON, a member that is missing or of the wrong kind, lists of different lengths, a candidate twice or
 *              missing, labels that contradict answers, more tokens than max_tokens, or arrays that are not there or don't fit; `why` gives the line and
 *              quotes it
 *   -ENOMEM */
int trace_read(const char *path, struct trace *out, char *why);
/* The same of an open file; name is for messages. */
int trace_parse(FILE *in, const char *name, struct trace *out, char *why);
/* Whether the first line of a file is that of a trace, good or bad. */
bool trace_is(const char *path);
void trace_free(struct trace *trace);
void trace_free_candidate(struct trace_candidate *c);

/* What questions of the same text have in common. */
uint64_t trace_question_hash(const char *text, size_t bytes);
/* The key of an answer. */
uint64_t trace_answer(const char *text, size_t bytes);
/* Find which scores everybody has.  -EINVAL: somebody is missing, nobody is there, one is right without an answer, or one of
 * two that have the same; `why` starts with the path. */
int trace_complete(struct trace *t, const char *path, char *why);

/* The score of a token. */
void trace_score(const struct trace_candidate *c, uint32_t token, struct veto_score *out);

#endif
