/* SPDX-License-Identifier: Apache-2.0 */
/* The journal of a run. */
#ifndef VETO_RUN_JOURNAL_H
#define VETO_RUN_JOURNAL_H

#include "backbone.h"
#include "journal.h"
#include "run.h"

struct run_journal {
	struct journal *journal; /* NULL: none is kept */
	bool has_states, has_tops; /* recorded */
	uint32_t state_values, max_tokens;
	uint32_t *tokens; /* [candidates] of the prompt */
	uint16_t *state; /* [state_values] */
	const struct run_outcome *outcome; /* of the prompt being written */
	const char *known; /* its answer; NULL: not known */
	char known_text[ANSWER_MAX];
};

/* Start the journal that the options ask for; head NULL: none.  Errors as journal_create(). */
int run_journal_open(struct run_journal *j, const struct run_args *args, const struct prompts *prompts,
	const struct backbone *backbone, const struct veto_head *head, bool has_template, char *why);
void run_journal_prompt(struct run_journal *j, const struct run_args *args, const struct prompt *prompt,
	const struct run_outcome *outcome);
/* A struct veto_stream_info.seen; arg: struct run_journal. */
void run_journal_seen(void *arg, const struct veto_seen *seen);
/* With the texts that the outcome has. */
void run_journal_choice(struct run_journal *j);
/* As journal_close(). */
int run_journal_close(struct run_journal *j, bool is_whole, char *why);

#endif
