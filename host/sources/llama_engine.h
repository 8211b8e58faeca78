/* SPDX-License-Identifier: Apache-2.0 */
/* llama.cpp's engine from the inside: what opens it, and what writes with it. */
#ifndef VETO_LLAMA_ENGINE_H
#define VETO_LLAMA_ENGINE_H

#include "llama_source.h"

#include <llama.h>

#define BATCH_TOKENS 512

struct writer {
	struct llama_sampler *sampler;
	enum { WAITING, FORKED, BROKEN, WRITING, ENDED } state; /* BROKEN: a fork that could not be made */
	uint64_t seed; /* before the number of the fork */
	uint32_t forks; /* that it has been */
	bool is_held; /* waits in this round */
	uint32_t slot;
	uint32_t tokens;
	bool is_cut_off; /* at max_tokens */
	llama_token last;
	int32_t batch_index; /* of its row in the last decode */
	char *text;
	size_t length, room;
	size_t step_start; /* in text */
};

struct engine {
	struct source source; /* first: a source is its engine */
	struct engine_options options;
	struct llama_model *model;
	struct llama_context *context;
	const struct llama_vocab *vocab;
	uint32_t vocab_tokens;
	struct llama_batch batch;
	llama_token_data *entries; /* [vocab_tokens] a row as samplers want it */

	const int32_t *prompt; /* not yet decoded, or NULL */
	uint32_t prompt_tokens;
	float *prompt_row; /* [vocab_tokens] that every candidate's first token comes from */
	uint32_t state_values;
	float *prompt_state; /* [state_values] that prompt_row comes from, where states are wanted */
	struct writer *writer; /* [candidates] */
	uint32_t candidates;
	bool *is_taken; /* [slots] */
};

bool engine_is_stopped(const struct engine *e);

/* The source's side, in llama.c. */
extern const struct source engine_source;
void engine_free_writers(struct engine *e);

#endif
