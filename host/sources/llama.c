/* SPDX-License-Identifier: Apache-2.0 */
/* The source that generates candidates with llama.cpp in this process: a continuous batch. */
#include "hash.h"
#include "llama_engine.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PROMPT_SEQUENCE 0 /* candidates' sequences follow */

void engine_free_writers(struct engine *e)
{
	for (uint32_t i = 0; i < e->candidates; i++) {
		llama_sampler_free(e->writer[i].sampler);
		free(e->writer[i].text);
		free(e->writer[i].id);
	}
	free(e->writer);
	e->writer = NULL;
	e->candidates = 0;
}

/* A candidate's random numbers depend on the seed, the prompt, its index, and the number of the fork that made it. */
static uint64_t candidate_seed(uint64_t seed, const char *prompt, uint32_t candidate)
{
	uint64_t hash = hash_bytes(HASH_START, &seed, sizeof(seed));

	hash = hash_bytes(hash, &candidate, sizeof(candidate));
	return hash_bytes(hash, prompt, strlen(prompt));
}

static struct llama_sampler *make_sampler(const struct engine_options *o, const struct writer *w)
{
	const uint64_t hash = w->forks ? hash_bytes(w->seed, &w->forks, sizeof(w->forks)) : w->seed;
	struct llama_sampler *chain = llama_sampler_chain_init(llama_sampler_chain_default_params());

	if (o->temperature <= 0) {
		llama_sampler_chain_add(chain, llama_sampler_init_greedy());
		return chain;
	}
	llama_sampler_chain_add(chain, llama_sampler_init_temp((float)o->temperature));
	if (o->top_p < 1)
		llama_sampler_chain_add(chain, llama_sampler_init_top_p((float)o->top_p, 1));
	if (o->min_p > 0)
		llama_sampler_chain_add(chain, llama_sampler_init_min_p((float)o->min_p, 1));
	llama_sampler_chain_add(chain, llama_sampler_init_dist((uint32_t)(hash ^ hash >> 32)));
	return chain;
}

int engine_start(struct engine *e, const char *prompt, const int32_t *tokens, uint32_t count, uint32_t candidates,
	struct source **out)
{
	engine_free_writers(e);
	llama_memory_clear(llama_get_memory(e->context), false);
	memset(e->is_taken, 0, e->options.slots * sizeof(*e->is_taken));
	e->writer = calloc(candidates, sizeof(*e->writer));
	if (!e->writer)
		return -ENOMEM;
	e->candidates = candidates;
	e->asks = 0;
	e->questions = e->think_tokens = 0;
	e->prompt = tokens;
	e->prompt_tokens = count;
	for (uint32_t i = 0; i < candidates; i++) {
		e->writer[i].seed = candidate_seed(e->options.seed, prompt, i);
		e->writer[i].sampler = make_sampler(&e->options, &e->writer[i]);
	}
	*out = &e->source;
	return 0;
}

const char *engine_text(const struct engine *e, uint32_t candidate)
{
	const struct writer *w = &e->writer[candidate];

	return w->text ? w->text : "";
}

bool engine_is_cut_off(const struct engine *e, uint32_t candidate) { return e->writer[candidate].is_cut_off; }

void engine_batch_add(
	struct llama_batch *batch, llama_token token, uint32_t position, uint32_t sequence, bool wants_row)
{
	int32_t i = batch->n_tokens++;

	batch->token[i] = token;
	batch->pos[i] = (llama_pos)position;
	batch->n_seq_id[i] = 1;
	batch->seq_id[i][0] = (llama_seq_id)sequence;
	batch->logits[i] = wants_row;
}

int engine_decode(struct engine *e)
{
	int err = llama_decode(e->context, e->batch);

	if (err == 0)
		return 0;
	return engine_is_stopped(e) ? -EINTR : -EIO;
}

/* With states llama.cpp makes a row of logits for every token of a batch, too, so the last one goes alone. */
static int decode_prompt(struct engine *e)
{
	const uint32_t alone = e->options.wants_states ? e->prompt_tokens - 1 : e->prompt_tokens;
	const float *row, *state = NULL;
	int err = 0;

	e->batch.n_tokens = 0;
	llama_set_embeddings(e->context, false);
	for (uint32_t i = 0; i < e->prompt_tokens && !err; i++) {
		if (i == alone)
			llama_set_embeddings(e->context, true);
		engine_batch_add(&e->batch, e->prompt[i], i, PROMPT_SEQUENCE, i + 1 == e->prompt_tokens);
		if (e->batch.n_tokens < BATCH_TOKENS && i + 1 != alone && i + 1 < e->prompt_tokens)
			continue;
		err = engine_decode(e);
		e->batch.n_tokens = 0;
	}
	if (err)
		return err;
	row = llama_get_logits_ith(e->context, -1);
	if (e->options.wants_states)
		state = llama_get_embeddings_ith(e->context, -1);
	if (!row || (e->options.wants_states && !state))
		return -EIO;
	memcpy(e->prompt_row, row, e->vocab_tokens * sizeof(*row));
	if (state)
		memcpy(e->prompt_state, state, e->state_values * sizeof(*state));
	e->prompt = NULL;
	return 0;
}

/* One token for every candidate that is being written. */
static int decode_step(struct engine *e)
{
	e->batch.n_tokens = 0;
	for (uint32_t i = 0; i < e->candidates; i++) {
		struct writer *w = &e->writer[i];

		if (w->state != WRITING || w->is_held)
			continue;
		w->batch_index = e->batch.n_tokens;
		engine_batch_add(&e->batch, w->last, e->prompt_tokens + w->tokens - 1, w->slot + 1, true);
	}
	return e->batch.n_tokens > 0 ? engine_decode(e) : 0;
}

/* Open the forks that were made, and see which beams wait for others. */
static void open_forks(struct engine *e, const struct veto_session *session, struct source_item *items, uint32_t *count)
{
	for (uint32_t i = 0; i < e->candidates; i++) {
		struct writer *w = &e->writer[i];

		if (w->state == FORKED) {
			w->state = WRITING;
			w->is_held = false;
			items[(*count)++] = (struct source_item){.event = {.kind = VETO_OPEN, .candidate = i}};
		} else if (w->state == BROKEN) {
			w->state = ENDED;
			items[(*count)++] = (struct source_item){.event = {.kind = VETO_LOST, .candidate = i}};
		} else if (w->state == WRITING) {
			w->is_held = !veto_session_may_go_on(session, i);
		}
	}
}

/* Start waiting candidates, in their order, while there are slots. */
static void open_waiting(
	struct engine *e, const struct veto_session *session, struct source_item *items, uint32_t *count)
{
	uint32_t slot = 0;

	for (uint32_t i = 0; i < e->candidates; i++) {
		struct writer *w = &e->writer[i];

		if (w->state != WAITING || !veto_session_may_start(session, i))
			continue;
		while (slot < e->options.slots && e->is_taken[slot])
			slot++;
		if (slot == e->options.slots)
			return;
		e->is_taken[slot] = true;
		llama_memory_seq_cp(llama_get_memory(e->context), PROMPT_SEQUENCE, (llama_seq_id)slot + 1, -1, -1);
		w->slot = slot;
		w->state = WRITING;
		w->batch_index = -1;
		items[(*count)++] = (struct source_item){.event = {.kind = VETO_OPEN, .candidate = i}};
	}
}

/* NaN must not reach the samplers. */
llama_token engine_sample(struct engine *e, struct llama_sampler *sampler, const float *row)
{
	llama_token_data_array array = {e->entries, e->vocab_tokens, -1, false};
	bool has_finite = false;

	for (uint32_t i = 0; i < e->vocab_tokens; i++) {
		e->entries[i] = (llama_token_data){(llama_token)i, isnan(row[i]) ? -INFINITY : row[i], 0};
		has_finite |= isfinite(row[i]);
	}
	if (!has_finite)
		return -1;
	llama_sampler_apply(sampler, &array);
	assert(array.selected >= 0);
	llama_sampler_accept(sampler, array.data[array.selected].id);
	return array.data[array.selected].id;
}

/* Rules that ask need the tokens again. */
static int keep_id(struct engine *e, struct writer *w)
{
	if (e->question_tokens == 0)
		return 0;
	if (w->tokens > w->id_room) {
		const uint32_t room = 2 * w->id_room + 64;
		llama_token *id = realloc(w->id, room * sizeof(*id));

		if (!id)
			return -ENOMEM;
		w->id = id;
		w->id_room = room;
	}
	w->id[w->tokens - 1] = w->last;
	return 0;
}

static int append_text(struct engine *e, struct writer *w, llama_token token)
{
	char piece[256];
	int32_t length = llama_token_to_piece(e->vocab, token, piece, sizeof(piece), 0, false);

	if (length <= 0)
		return 0;
	if (w->length + (size_t)length >= w->room) {
		size_t room = 2 * w->room + 256;
		char *text = realloc(w->text, room);

		if (!text)
			return -ENOMEM;
		w->text = text;
		w->room = room;
	}
	memcpy(w->text + w->length, piece, (size_t)length);
	w->length += (size_t)length;
	w->text[w->length] = 0;
	return 0;
}

/* Whether the text behind `before`, or some of it with what is older, completes a step. */
static bool completes_step(const struct engine *e, struct writer *w, size_t before)
{
	const char *step = e->options.step;
	const size_t overlap = strlen(step) - 1;
	size_t from = before > w->step_start + overlap ? before - overlap : w->step_start;

	if (w->length == before || !strstr(w->text + from, step))
		return false;
	w->step_start = w->length;
	return true;
}

static void stop_writing(struct engine *e, struct writer *w)
{
	llama_memory_seq_rm(llama_get_memory(e->context), (llama_seq_id)w->slot + 1, -1, -1);
	e->is_taken[w->slot] = false;
	w->state = ENDED;
}

/* Those that are done as they stand. */
static void complete_writers(struct engine *e, struct source_item *items, uint32_t *count)
{
	for (uint32_t i = 0; i < e->candidates; i++) {
		struct writer *w = &e->writer[i];

		if (w->state != WRITING || !w->is_complete)
			continue;
		items[(*count)++] = (struct source_item){
			.event = {.kind = VETO_CLOSE,
				.candidate = i,
				.answer = e->options.answer(e->options.answer_arg, i, engine_text(e, i))}};
		stop_writing(e, w);
	}
}

static int write_token(struct engine *e, uint32_t i, struct source_item *items, uint32_t *count)
{
	struct writer *w = &e->writer[i];
	const float *row = w->batch_index < 0 ? e->prompt_row : llama_get_logits_ith(e->context, w->batch_index);
	const float *state = w->batch_index < 0 ? e->prompt_state : NULL;
	const size_t before = w->length;
	struct source_item *token = &items[*count];
	bool is_end;
	int err;

	if (e->options.wants_states && !state)
		state = llama_get_embeddings_ith(e->context, w->batch_index);
	if (!row || (e->options.wants_states && !state))
		return -EIO;
	w->last = engine_sample(e, w->sampler, row);
	w->tokens++;
	err = keep_id(e, w);
	if (err)
		return err;
	items[(*count)++] = (struct source_item){
		.event = {.kind = VETO_TOKEN, .candidate = i, .token = w->last < 0 ? VETO_NO_TOKEN : (uint32_t)w->last},
		.payload = {.row = row, .state = e->options.wants_states ? state : NULL},
	};
	if (w->last < 0) {
		items[(*count)++] = (struct source_item){.event = {.kind = VETO_LOST, .candidate = i}};
		stop_writing(e, w);
		return 0;
	}
	is_end = llama_vocab_is_eog(e->vocab, w->last);
	err = is_end ? 0 : append_text(e, w, w->last);
	w->is_cut_off = !is_end && w->tokens == e->options.max_tokens;
	token->event.marks = err ? 0 : engine_marks(e, w, before);
	token->event.ends_step = is_end || w->is_cut_off || (!err && completes_step(e, w, before));
	if (err || !(is_end || w->is_cut_off))
		return err;
	items[(*count)++] = (struct source_item){.event = {.kind = VETO_CLOSE, .candidate = i}};
	if (is_end)
		items[*count - 1].event.answer = e->options.answer(e->options.answer_arg, i, engine_text(e, i));
	stop_writing(e, w);
	return 0;
}

static int pull(struct source *s, const struct veto_session *session, struct source_item *items, uint32_t capacity,
	uint32_t *count)
{
	struct engine *e = (struct engine *)s;
	int err;

	*count = 0;
	if (capacity < 3 * e->candidates + e->asks)
		return -EINVAL;
	if (engine_is_stopped(e))
		return -EINTR;
	open_forks(e, session, items, count);
	complete_writers(e, items, count);
	err = engine_answer(e, items, count);
	if (!err)
		err = e->prompt ? decode_prompt(e) : decode_step(e);
	if (err)
		return err;
	open_waiting(e, session, items, count);
	for (uint32_t i = 0; i < e->candidates && !err; i++)
		if (e->writer[i].state == WRITING && !e->writer[i].is_held)
			err = write_token(e, i, items, count);
	return err;
}

static bool copy_text(struct writer *w, const struct writer *from)
{
	llama_token *id = from->id_room ? realloc(w->id, from->id_room * sizeof(*id)) : w->id;
	char *text = realloc(w->text, from->room + 1);

	if (from->id_room && id) {
		w->id = id;
		w->id_room = from->id_room;
		memcpy(id, from->id, from->tokens * sizeof(*id));
	}
	if (!text || (from->id_room && !id))
		return false;
	w->text = text;
	w->room = from->room + 1;
	w->length = from->length;
	memcpy(text, from->text ? from->text : "", from->length + 1);
	return true;
}

/* Its last token is not decoded yet, as that of the beam it is a copy of: each does so with its next. */
static void fork_writer(struct engine *e, struct writer *w, const struct writer *from)
{
	uint32_t slot = 0;

	assert(w->state == ENDED && from->state == WRITING);
	while (slot < e->options.slots && e->is_taken[slot])
		slot++;
	w->state = BROKEN;
	if (slot == e->options.slots || !copy_text(w, from))
		return;
	w->state = FORKED;
	w->slot = slot;
	w->forks++;
	w->tokens = from->tokens;
	w->last = from->last;
	w->step_start = from->step_start;
	llama_sampler_free(w->sampler);
	w->sampler = make_sampler(&e->options, w);
	e->is_taken[slot] = true;
	llama_memory_seq_cp(llama_get_memory(e->context), (llama_seq_id)from->slot + 1, (llama_seq_id)slot + 1, -1, -1);
}

static void apply(struct source *s, const struct veto_verdict *verdict)
{
	struct engine *e = (struct engine *)s;
	struct writer *w = &e->writer[verdict->candidate];

	if (verdict->kind == VETO_FORK)
		fork_writer(e, w, &e->writer[verdict->from]);
	else if (verdict->kind == VETO_ASK)
		engine_take_question(e, verdict);
	else if (verdict->kind == VETO_COMPLETE)
		w->is_complete = true;
	else if (w->state == WRITING || w->state == FORKED)
		stop_writing(e, w);
}

const struct source engine_source = {.pull = pull, .apply = apply};
