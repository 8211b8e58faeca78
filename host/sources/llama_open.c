/* SPDX-License-Identifier: Apache-2.0 */
/* Opens models with llama.cpp, and turns prompts into their tokens. */
#include "llama_engine.h"
#include "param.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

bool engine_is_stopped(const struct engine *e) { return e->options.stop && *e->options.stop; }

static bool is_stopped(void *arg) { return engine_is_stopped(arg); }

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
	size_t most = llama_max_parallel_sequences() - 1 - engine_asks(e); /* one is the prompt's, another is asked */

	if (e->options.slots > most)
		return param_fail(-EINVAL, why,
			"%u candidates at a time: llama.cpp writes %zu at most; see --cohort and --beam",
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

int engine_open(const struct engine_options *options, struct engine **out, char *why)
{
	struct engine *e = calloc(1, sizeof(*e));
	int err;

	if (!e)
		return param_fail(-ENOMEM, why, "out of memory");
	llama_log_set(keep_error, NULL);
	llama_backend_init();
	e->options = *options;
	e->source = engine_source;
	err = load_model(e, why);
	if (!err) {
		e->entries = malloc(e->vocab_tokens * sizeof(*e->entries));
		e->prompt_row = malloc(e->vocab_tokens * sizeof(*e->prompt_row));
		e->state_values = (uint32_t)llama_model_n_embd_out(e->model);
		e->prompt_state = malloc(e->state_values * sizeof(*e->prompt_state));
		e->is_taken = calloc(options->slots, sizeof(*e->is_taken));
		e->batch =
			llama_batch_init(options->slots > BATCH_TOKENS ? (int32_t)options->slots : BATCH_TOKENS, 0, 1);
		if (!e->entries || !e->prompt_row || !e->prompt_state || !e->is_taken || !e->batch.token)
			err = param_fail(-ENOMEM, why, "out of memory");
	}
	if (err) {
		engine_close(e);
		return err;
	}
	*out = e;
	return 0;
}

void engine_close(struct engine *e)
{
	if (!e)
		return;
	engine_free_writers(e);
	engine_free_questions(e);
	if (e->batch.token)
		llama_batch_free(e->batch);
	llama_free(e->context);
	llama_model_free(e->model);
	llama_backend_free();
	free(e->entries);
	free(e->prompt_row);
	free(e->prompt_state);
	free(e->is_taken);
	free(e);
}

uint32_t engine_vocab(const struct engine *e) { return e->vocab_tokens; }

uint32_t engine_state_values(const struct engine *e) { return e->state_values; }

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
	e->question_tokens = engine_question_tokens(e);
	params.n_ctx = prompt_tokens + e->options.slots * e->options.max_tokens + e->question_tokens;
	params.n_batch = (uint32_t)(e->options.slots > BATCH_TOKENS ? e->options.slots : BATCH_TOKENS);
	params.n_ubatch = params.n_batch;
	params.n_seq_max = e->options.slots + 1 + engine_asks(e);
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

const char *engine_error(void) { return *first_error ? first_error : "it does not say why"; }
