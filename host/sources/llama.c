/* SPDX-License-Identifier: Apache-2.0 */
/* The source that generates candidates with llama.cpp in this process: a continuous batch. */
#include "hash.h"
#include "llama_source.h"
#include "param.h"

#include <llama.h>

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH_TOKENS 512
#define PROMPT_SEQUENCE 0 /* candidates' sequences follow */

struct writer {
	struct llama_sampler *sampler;
	enum { WAITING, WRITING, ENDED } state;
	uint32_t slot;
	uint32_t tokens;
	bool is_cut_off; /* at max_tokens */
	llama_token last;
	int32_t batch_index; /* of its row in the last decode */
	char *text;
	size_t length, room;
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
	struct writer *writer; /* [candidates] */
	uint32_t candidates;
	bool *is_taken; /* [slots] */
};

static char first_error[256];

/* llama.cpp's messages are kept back; the first error explains a failure. */
static void keep_error(enum ggml_log_level level, const char *text, void *arg)
{
	(void)arg;
	if (level != GGML_LOG_LEVEL_ERROR || *first_error)
		return;
	snprintf(first_error, sizeof(first_error), "%s", text);
	first_error[strcspn(first_error, "\n")] = 0;
}

static bool is_stopped(void *arg)
{
	const struct engine *e = arg;

	return e->options.stop && *e->options.stop;
}

/* Models that only embed attend in both directions: they have no next token. */
static bool has_logits(const struct llama_model *model)
{
	char arch[64], key[128], value[16];

	if (!llama_model_has_decoder(model))
		return false;
	if (llama_model_meta_val_str(model, "general.architecture", arch, sizeof(arch)) < 0)
		return true;
	snprintf(key, sizeof(key), "%s.attention.causal", arch);
	return llama_model_meta_val_str(model, key, value, sizeof(value)) < 0 || strcmp(value, "false") != 0;
}

static int load_model(struct engine *e, char *why)
{
	const char *path = e->options.model;
	struct llama_model_params params = llama_model_default_params();
	size_t most = llama_max_parallel_sequences() - 1; /* one is the prompt's */

	if (e->options.slots > most)
		return param_fail(-EINVAL, why,
			"%u candidates at a time: llama.cpp writes %zu at most; --cohort says how many at a time",
			e->options.slots, most);
	if (access(path, R_OK))
		return param_fail(-EINVAL, why, "can't read the model '%s': %s", path, strerror(errno));
	e->model = llama_model_load_from_file(path, params);
	if (!e->model)
		return param_fail(-EINVAL, why, "'%s' is no model that llama.cpp can load: %s", path, first_error);
	if (!has_logits(e->model))
		return param_fail(-EINVAL, why, "'%s' has no logits: it only makes embeddings", path);
	e->vocab = llama_model_get_vocab(e->model);
	e->vocab_tokens = (uint32_t)llama_vocab_n_tokens(e->vocab);
	if (e->vocab_tokens < 1 || e->vocab_tokens > VETO_VOCAB_MAX)
		return param_fail(-EINVAL, why, "'%s' has a vocabulary of %u tokens: 1 to %u can be scored", path,
			e->vocab_tokens, VETO_VOCAB_MAX);
	return 0;
}

static int pull(struct source *s, const struct veto_session *session, struct source_item *items, uint32_t capacity,
	uint32_t *count);
static void apply(struct source *s, const struct veto_verdict *verdict);

int engine_open(const struct engine_options *options, struct engine **out, char *why)
{
	struct engine *e = calloc(1, sizeof(*e));
	int err;

	if (!e)
		return param_fail(-ENOMEM, why, "out of memory");
	llama_log_set(keep_error, NULL);
	llama_backend_init();
	e->options = *options;
	e->source = (struct source){.pull = pull, .apply = apply};
	err = load_model(e, why);
	if (!err) {
		e->entries = malloc(e->vocab_tokens * sizeof(*e->entries));
		e->prompt_row = malloc(e->vocab_tokens * sizeof(*e->prompt_row));
		e->is_taken = calloc(options->slots, sizeof(*e->is_taken));
		e->batch =
			llama_batch_init(options->slots > BATCH_TOKENS ? (int32_t)options->slots : BATCH_TOKENS, 0, 1);
		if (!e->entries || !e->prompt_row || !e->is_taken || !e->batch.token)
			err = param_fail(-ENOMEM, why, "out of memory");
	}
	if (err) {
		engine_close(e);
		return err;
	}
	*out = e;
	return 0;
}

static void free_writers(struct engine *e)
{
	for (uint32_t i = 0; i < e->candidates; i++) {
		llama_sampler_free(e->writer[i].sampler);
		free(e->writer[i].text);
	}
	free(e->writer);
	e->writer = NULL;
	e->candidates = 0;
}

void engine_close(struct engine *e)
{
	if (!e)
		return;
	free_writers(e);
	if (e->batch.token)
		llama_batch_free(e->batch);
	llama_free(e->context);
	llama_model_free(e->model);
	llama_backend_free();
	free(e->entries);
	free(e->prompt_row);
	free(e->is_taken);
	free(e);
}

uint32_t engine_vocab(const struct engine *e) { return e->vocab_tokens; }

bool engine_knows_template(const struct engine *e)
{
	const char *template = llama_model_chat_template(e->model, NULL);
	struct llama_chat_message message = {"user", "x"};

	return !template || llama_chat_apply_template(template, &message, 1, true, NULL, 0) >= 0;
}

/* The prompt as a user's message in the model's chat format; as it is where the model has none that is known. */
static char *apply_template(const struct engine *e, const char *prompt)
{
	const char *template = llama_model_chat_template(e->model, NULL);
	struct llama_chat_message message = {"user", prompt};
	int32_t length = template ? llama_chat_apply_template(template, &message, 1, true, NULL, 0) : -1;
	char *text;

	if (length < 0)
		return strdup(prompt);
	text = malloc((size_t)length + 1);
	if (!text)
		return NULL;
	llama_chat_apply_template(template, &message, 1, true, text, length);
	text[length] = 0;
	return text;
}

/* How many bytes of it a message shows: whole characters. */
static int32_t shorten(const char *text)
{
	int32_t length = (int32_t)strnlen(text, 40);

	while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
		length--;
	return length;
}

int engine_tokenize(const struct engine *e, const char *prompt, int32_t **tokens, uint32_t *count, char *why)
{
	uint32_t limit = (uint32_t)llama_model_n_ctx_train(e->model);
	char *text = apply_template(e, prompt);
	int32_t *list = NULL;
	int32_t n = 0, shown = shorten(prompt);

	if (text) {
		n = -llama_tokenize(e->vocab, text, (int32_t)strlen(text), NULL, 0, true, true);
		list = malloc((size_t)(n > 0 ? n : 1) * sizeof(*list));
	}
	if (list)
		n = llama_tokenize(e->vocab, text, (int32_t)strlen(text), list, n, true, true);
	free(text);
	if (!list)
		return param_fail(-ENOMEM, why, "out of memory");
	if (n < 1 || (uint64_t)n + e->options.max_tokens > limit) {
		free(list);
		return n < 1 ? param_fail(-EINVAL, why, "the prompt '%.*s' has no tokens", shown, prompt)
			     : param_fail(-EINVAL, why,
				       "the prompt '%.*s%s' has %d tokens; with %u more it exceeds the model's context of %u",
				       shown, prompt, prompt[shown] ? "..." : "", n, e->options.max_tokens, limit);
	}
	*tokens = list;
	*count = (uint32_t)n;
	return 0;
}

/* Candidates share the prompt's cells: one buffer for all sequences. */
int engine_reserve(struct engine *e, uint32_t prompt_tokens, char *why)
{
	struct llama_context_params params = llama_context_default_params();
	long threads = e->options.threads ? (long)e->options.threads : sysconf(_SC_NPROCESSORS_ONLN);

	*first_error = 0;
	params.n_ctx = prompt_tokens + e->options.slots * e->options.max_tokens;
	params.n_batch = (uint32_t)(e->options.slots > BATCH_TOKENS ? e->options.slots : BATCH_TOKENS);
	params.n_ubatch = params.n_batch;
	params.n_seq_max = e->options.slots + 1;
	params.n_threads = params.n_threads_batch = (int32_t)threads;
	params.kv_unified = true;
	params.abort_callback = is_stopped;
	params.abort_callback_data = e;
	e->context = llama_init_from_model(e->model, params);
	if (!e->context)
		return param_fail(-ENOMEM, why, "llama.cpp can't make a context of %u tokens for %u candidates: %s",
			params.n_ctx, e->options.slots, first_error);
	return 0;
}

/* A candidate's random numbers depend on the seed, the prompt and its index. */
static uint32_t candidate_seed(uint64_t seed, const char *prompt, uint32_t candidate)
{
	uint64_t hash = hash_bytes(HASH_START, &seed, sizeof(seed));

	hash = hash_bytes(hash, &candidate, sizeof(candidate));
	hash = hash_bytes(hash, prompt, strlen(prompt));
	return (uint32_t)(hash ^ hash >> 32);
}

static struct llama_sampler *make_sampler(const struct engine_options *o, uint32_t seed)
{
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
	llama_sampler_chain_add(chain, llama_sampler_init_dist(seed));
	return chain;
}

int engine_start(struct engine *e, const char *prompt, const int32_t *tokens, uint32_t count, uint32_t candidates,
	struct source **out)
{
	free_writers(e);
	llama_memory_clear(llama_get_memory(e->context), false);
	memset(e->is_taken, 0, e->options.slots * sizeof(*e->is_taken));
	e->writer = calloc(candidates, sizeof(*e->writer));
	if (!e->writer)
		return -ENOMEM;
	e->candidates = candidates;
	e->prompt = tokens;
	e->prompt_tokens = count;
	for (uint32_t i = 0; i < candidates; i++)
		e->writer[i].sampler = make_sampler(&e->options, candidate_seed(e->options.seed, prompt, i));
	*out = &e->source;
	return 0;
}

const char *engine_text(const struct engine *e, uint32_t candidate)
{
	const struct writer *w = &e->writer[candidate];

	return w->text ? w->text : "";
}

bool engine_is_cut_off(const struct engine *e, uint32_t candidate) { return e->writer[candidate].is_cut_off; }

const char *engine_error(void) { return *first_error ? first_error : "it does not say why"; }

static void batch_add(
	struct llama_batch *batch, llama_token token, uint32_t position, uint32_t sequence, bool wants_row)
{
	int32_t i = batch->n_tokens++;

	batch->token[i] = token;
	batch->pos[i] = (llama_pos)position;
	batch->n_seq_id[i] = 1;
	batch->seq_id[i][0] = (llama_seq_id)sequence;
	batch->logits[i] = wants_row;
}

static int decode(struct engine *e)
{
	int err = llama_decode(e->context, e->batch);

	if (err == 0)
		return 0;
	return is_stopped(e) ? -EINTR : -EIO;
}

static int decode_prompt(struct engine *e)
{
	const float *row;
	int err = 0;

	for (uint32_t i = 0; i < e->prompt_tokens && !err; i++) {
		if (i % BATCH_TOKENS == 0)
			e->batch.n_tokens = 0;
		batch_add(&e->batch, e->prompt[i], i, PROMPT_SEQUENCE, i + 1 == e->prompt_tokens);
		if (e->batch.n_tokens == BATCH_TOKENS || i + 1 == e->prompt_tokens)
			err = decode(e);
	}
	if (err)
		return err;
	row = llama_get_logits_ith(e->context, -1);
	if (!row)
		return -EIO;
	memcpy(e->prompt_row, row, e->vocab_tokens * sizeof(*row));
	e->prompt = NULL;
	return 0;
}

/* One token for every candidate that is being written. */
static int decode_step(struct engine *e)
{
	e->batch.n_tokens = 0;
	for (uint32_t i = 0; i < e->candidates; i++) {
		struct writer *w = &e->writer[i];

		if (w->state != WRITING)
			continue;
		w->batch_index = e->batch.n_tokens;
		batch_add(&e->batch, w->last, e->prompt_tokens + w->tokens - 1, w->slot + 1, true);
	}
	return e->batch.n_tokens > 0 ? decode(e) : 0;
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

/* The next token; -1 if no logit of the row is a number.  NaN must not reach the samplers. */
static llama_token sample(struct engine *e, struct writer *w, const float *row)
{
	llama_token_data_array array = {e->entries, e->vocab_tokens, -1, false};
	bool has_finite = false;

	for (uint32_t i = 0; i < e->vocab_tokens; i++) {
		e->entries[i] = (llama_token_data){(llama_token)i, isnan(row[i]) ? -INFINITY : row[i], 0};
		has_finite |= isfinite(row[i]);
	}
	if (!has_finite)
		return -1;
	llama_sampler_apply(w->sampler, &array);
	assert(array.selected >= 0);
	llama_sampler_accept(w->sampler, array.data[array.selected].id);
	return array.data[array.selected].id;
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

static void stop_writing(struct engine *e, struct writer *w)
{
	llama_memory_seq_rm(llama_get_memory(e->context), (llama_seq_id)w->slot + 1, -1, -1);
	e->is_taken[w->slot] = false;
	w->state = ENDED;
}

static int write_token(struct engine *e, uint32_t i, struct source_item *items, uint32_t *count)
{
	struct writer *w = &e->writer[i];
	const float *row = w->batch_index < 0 ? e->prompt_row : llama_get_logits_ith(e->context, w->batch_index);
	bool is_end;
	int err;

	if (!row)
		return -EIO;
	w->last = sample(e, w, row);
	w->tokens++;
	items[(*count)++] = (struct source_item){
		.event = {.kind = VETO_TOKEN, .candidate = i},
		.payload = {.row = row, .token = w->last < 0 ? VETO_NO_TOKEN : (uint32_t)w->last},
	};
	if (w->last < 0) {
		items[(*count)++] = (struct source_item){.event = {.kind = VETO_LOST, .candidate = i}};
		stop_writing(e, w);
		return 0;
	}
	is_end = llama_vocab_is_eog(e->vocab, w->last);
	err = is_end ? 0 : append_text(e, w, w->last);
	w->is_cut_off = !is_end && w->tokens == e->options.max_tokens;
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
	if (capacity < 3 * e->candidates)
		return -EINVAL;
	if (is_stopped(e))
		return -EINTR;
	err = e->prompt ? decode_prompt(e) : decode_step(e);
	if (err)
		return err;
	open_waiting(e, session, items, count);
	for (uint32_t i = 0; i < e->candidates && !err; i++)
		if (e->writer[i].state == WRITING)
			err = write_token(e, i, items, count);
	return err;
}

static void apply(struct source *s, const struct veto_verdict *verdict)
{
	struct engine *e = (struct engine *)s;
	struct writer *w = &e->writer[verdict->candidate];

	if (w->state == WRITING)
		stop_writing(e, w);
}
