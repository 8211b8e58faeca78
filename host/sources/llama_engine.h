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
	bool is_complete; /* a rule says that it is done */
	uint32_t slot;
	uint32_t tokens;
	bool is_cut_off; /* at max_tokens */
	llama_token last;
	llama_token *id; /* [tokens], where rules ask about them */
	uint32_t id_room;
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

	struct asked {
		uint32_t candidate, rule, question, tokens;
	} * asked; /* [asks] questions that no round has answered yet */
	uint32_t asks, asks_room;
	float *reply; /* [replies_room][vocab_tokens] rows that answer them */
	uint32_t replies_room;
	uint32_t question_tokens; /* the most that stand behind a candidate for a question; 0: no rule asks */
	uint64_t questions, think_tokens; /* of the prompt */
};

bool engine_is_stopped(const struct engine *e);

/* The source's side, in llama.c. */
extern const struct source engine_source;
void engine_free_writers(struct engine *e);
int engine_decode(struct engine *e);
void engine_batch_add(
	struct llama_batch *batch, llama_token token, uint32_t position, uint32_t sequence, bool wants_row);
/* The next token of a row by a sampler; -1 if no logit is a number. */
llama_token engine_sample(struct engine *e, struct llama_sampler *sampler, const float *row);

/* Questions, in llama_ask.c: take one; drop all; and answer those that were taken into items[*count] on.  -ENOMEM, and errors
 * of decoding. */
int engine_take_question(struct engine *e, const struct veto_verdict *verdict);
void engine_free_questions(struct engine *e);
int engine_answer(struct engine *e, struct source_item *items, uint32_t *count);
/* Whether a rule asks. */
bool engine_asks(const struct engine *e);
/* What question_tokens must be. */
uint32_t engine_question_tokens(const struct engine *e);
/* Which rules wait for a text that ends in the last bytes of the writer's, from `before` on. */
uint32_t engine_marks(const struct engine *e, const struct writer *w, size_t before);

#endif
