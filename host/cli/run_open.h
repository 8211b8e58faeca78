/* SPDX-License-Identifier: Apache-2.0 */
/* A run from the inside: what lives as long as it does, and how it is opened. */
#ifndef VETO_RUN_OPEN_H
#define VETO_RUN_OPEN_H

#include "backbone.h"
#include "rows_out.h"
#include "run.h"
#include "run_journal.h"

/* Everything that lives as long as the run. */
struct run {
	const struct run_args *args;
	struct engine *engine;
	struct veto_verifier *verifier;
	struct veto_head *head, *table; /* NULL: none */
	struct backbone backbone; /* of the model, with a head, a table or a journal */
	struct prompts prompts;
	int32_t **tokens; /* [prompts] */
	uint32_t *token_count;
	struct run_view *view;
	struct rows_out rows;
	struct run_journal journal;
	bool has_warned_nan;

	/* of the prompt being written */
	const struct prompt *prompt;
	struct veto_stream *stream;
	struct run_outcome *outcome;
	uint32_t rules; /* in force */
	uint32_t first_rule; /* of args->rule */
	bool is_recorded;
};

/* Open everything that the options name; *stop: not 0, the user wants to end.  -ECANCELED: it was said why not; or an errno, and
 * `why`.  run_close() all the same. */
int run_open(struct run *run, const volatile sig_atomic_t *stop, char *why);
void run_close(struct run *run);

/* Open the stream of a prompt, with the rules from the first on.  Errors as veto_stream_open(). */
int run_open_stream(struct run *run, uint32_t first_rule, uint32_t vocab, char *why);

#endif
