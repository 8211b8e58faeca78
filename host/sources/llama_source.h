/* SPDX-License-Identifier: Apache-2.0 */
/* The source that generates candidates with llama.cpp in this process: a continuous batch. */
#ifndef VETO_LLAMA_SOURCE_H
#define VETO_LLAMA_SOURCE_H

#include "source.h"

#include <signal.h>

struct engine;

struct engine_options {
	const char *model; /* path of a GGUF file */
	uint32_t threads; /* 0: one a processor */
	uint32_t slots; /* candidates that are written at a time */
	uint32_t max_tokens; /* a candidate */
	uint64_t seed;
	double temperature, top_p, min_p; /* 0: greedy; 1: off; 0: off */
	bool wants_states; /* hidden states, after the final norm, go with the rows */
	const struct veto_rule *rule; /* [rules] of the sessions that are played, in their order */
	uint32_t rules;
	const char *step; /* the token that completes this text ends a step */
	const volatile sig_atomic_t *stop; /* not 0: the user wants to end */
	/* The key of a finished candidate's answer; 0: none.  A candidate cut off at max_tokens has none. */
	uint64_t (*answer)(void *arg, uint32_t candidate, const char *text);
	void *answer_arg;
};

/* Load the model.
 *   -EINVAL  no model, one without logits, a vocabulary over VETO_VOCAB_MAX, or more slots than llama.cpp has sequences;
 *            `why` says which */
int engine_open(const struct engine_options *options, struct engine **out, char *why);
void engine_close(struct engine *e);

uint32_t engine_vocab(const struct engine *e);
/* Values of a hidden state. */
uint32_t engine_state_values(const struct engine *e);

/* False: the model has a chat template that llama.cpp does not know, and prompts are taken as they are, as they are for
 * a model without one. */
bool engine_knows_template(const struct engine *e);

/* The prompt's tokens, the model's chat template applied, in memory to be freed.
 *   -EINVAL  longer than the model's context less max_tokens */
int engine_tokenize(const struct engine *e, const char *prompt, int32_t **tokens, uint32_t *count, char *why);

/* Make room for prompts of so many tokens, once.  -ENOMEM */
int engine_reserve(struct engine *e, uint32_t prompt_tokens, char *why);

/* Start on a prompt: its candidates are 0..candidates-1.  One prompt at a time; the source lives until the next start. */
int engine_start(struct engine *e, const char *prompt, const int32_t *tokens, uint32_t count, uint32_t candidates,
	struct source **out);

/* The tokens that say yes and no. */
void engine_yes_no(const struct engine *e, uint32_t out[2]);
/* Questions of rules that were answered for the current prompt, and the tokens that were written for that. */
void engine_asked(const struct engine *e, uint64_t *questions, uint64_t *tokens);

/* What a candidate of the current prompt has written. */
const char *engine_text(const struct engine *e, uint32_t candidate);
/* Whether it had to end at max_tokens. */
bool engine_is_cut_off(const struct engine *e, uint32_t candidate);

/* llama.cpp's first word on what failed. */
const char *engine_error(void);

#endif
