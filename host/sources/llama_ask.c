/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the model about what a candidate has written, on a copy of its sequence. */
#include "hash.h"
#include "llama_engine.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Behind those of the candidates. */
static uint32_t ask_sequence(const struct engine *e) { return e->options.slots + 1; }

/* Tokens of a text, to be freed; NULL: out of memory. */
static llama_token *tokenize(const struct engine *e, const char *text, int32_t *count)
{
	const int32_t bytes = (int32_t)strlen(text),
		      most = -llama_tokenize(e->vocab, text, bytes, NULL, 0, false, false);
	llama_token *list = malloc((size_t)(most > 0 ? most : 1) * sizeof(*list));

	*count = list && most > 0 ? llama_tokenize(e->vocab, text, bytes, list, most, false, false) : 0;
	return list;
}

static uint32_t count_tokens(const struct engine *e, const char *text)
{
	return text ? (uint32_t)-llama_tokenize(e->vocab, text, (int32_t)strlen(text), NULL, 0, false, false) : 0;
}

/* Of one rule. */
#define QUESTIONS_MAX 3

bool engine_asks(const struct engine *e)
{
	for (uint32_t i = 0; i < e->options.rules; i++)
		if (veto_rule_asks(&e->options.rule[i]))
			return true;
	return false;
}

uint32_t engine_question_tokens(const struct engine *e)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < e->options.rules * QUESTIONS_MAX; i++) {
		struct veto_question q;
		uint32_t tokens;

		if (veto_rule_question(&e->options.rule[i / QUESTIONS_MAX], i % QUESTIONS_MAX, &q))
			continue;
		tokens = 1 + count_tokens(e, q.text) + q.think_tokens + count_tokens(e, q.verdict);
		most = tokens > most ? tokens : most;
	}
	return most;
}

static llama_token find_word(const struct engine *e, const char *word)
{
	llama_token found[8];

	/* With the blank in front that most vocabularies have in the token. */
	if (llama_tokenize(e->vocab, word, (int32_t)strlen(word), found, 8, false, false) == 1 ||
		llama_tokenize(e->vocab, word + 1, (int32_t)strlen(word + 1), found, 8, false, false) >= 1)
		return found[0];
	return 0;
}

void engine_yes_no(const struct engine *e, uint32_t out[2])
{
	out[0] = (uint32_t)find_word(e, " Yes");
	out[1] = (uint32_t)find_word(e, " No");
}

void engine_asked(const struct engine *e, uint64_t *questions, uint64_t *tokens)
{
	*questions = e->questions;
	*tokens = e->think_tokens;
}

void engine_free_questions(struct engine *e)
{
	free(e->asked);
	free(e->reply);
}

int engine_take_question(struct engine *e, const struct veto_verdict *v)
{
	if (e->asks == e->asks_room) {
		const uint32_t room = 2 * e->asks_room + 16;
		struct asked *asked = realloc(e->asked, room * sizeof(*asked));

		if (!asked)
			return -ENOMEM; /* an unanswered question holds nobody up */
		e->asked = asked;
		e->asks_room = room;
	}
	e->asked[e->asks++] = (struct asked){v->candidate, v->rule, v->question, v->tokens};
	return 0;
}

/* Put tokens behind position *at of the copy; the last one's row is wanted. */
static int feed(struct engine *e, const llama_token *token, int32_t count, uint32_t *at)
{
	int err = 0;

	e->batch.n_tokens = 0;
	for (int32_t i = 0; i < count && !err; i++) {
		engine_batch_add(&e->batch, token[i], (*at)++, ask_sequence(e), i + 1 == count);
		if (e->batch.n_tokens < BATCH_TOKENS && i + 1 < count)
			continue;
		err = engine_decode(e);
		e->batch.n_tokens = 0;
	}
	return err;
}

static int feed_text(struct engine *e, const char *text, uint32_t *at)
{
	int32_t count;
	llama_token *token = tokenize(e, text, &count);
	int err = token ? feed(e, token, count, at) : -ENOMEM;

	free(token);
	return err;
}

/* Let the model think: of equal seeds equally, each slow verdict otherwise. */
static int think(struct engine *e, const struct writer *w, const struct veto_question *q, uint32_t *at)
{
	const uint64_t hash = hash_bytes(w->seed, &e->questions, sizeof(e->questions));
	struct llama_sampler *chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
	int err = 0;

	llama_sampler_chain_add(chain, llama_sampler_init_temp((float)e->options.temperature));
	llama_sampler_chain_add(chain, llama_sampler_init_min_p(0.05f, 1));
	llama_sampler_chain_add(chain, llama_sampler_init_dist((uint32_t)(hash ^ hash >> 32)));
	for (uint32_t i = 0; i < q->think_tokens && !err; i++) {
		const float *row = llama_get_logits_ith(e->context, -1);
		const llama_token token = row ? engine_sample(e, chain, row) : -1;

		if (token < 0 || llama_vocab_is_eog(e->vocab, token))
			break;
		e->think_tokens++;
		err = feed(e, &token, 1, at);
	}
	llama_sampler_free(chain);
	return err ? err : feed_text(e, q->verdict, at);
}

/* The row whose token would answer, into out. */
static int answer(struct engine *e, const struct asked *a, float *out)
{
	const struct writer *w = &e->writer[a->candidate];
	llama_memory_t memory = llama_get_memory(e->context);
	uint32_t at = e->prompt_tokens + a->tokens - 1;
	struct veto_question q;
	const float *row;
	int err = veto_rule_question(&e->options.rule[a->rule], a->question, &q);

	if (err)
		return err;
	e->questions++;
	llama_memory_seq_cp(memory, (llama_seq_id)w->slot + 1, (llama_seq_id)ask_sequence(e), -1, (llama_pos)at);
	err = feed(e, &w->id[a->tokens - 1], 1, &at);
	if (!err)
		err = feed_text(e, q.text, &at);
	if (!err && q.think_tokens > 0)
		err = think(e, w, &q, &at);
	row = err ? NULL : llama_get_logits_ith(e->context, -1);
	if (row)
		memcpy(out, row, e->vocab_tokens * sizeof(*row));
	llama_memory_seq_rm(memory, (llama_seq_id)ask_sequence(e), -1, -1);
	return err ? err : row ? 0 : -EIO;
}

int engine_answer(struct engine *e, struct source_item *items, uint32_t *count)
{
	int err = 0;

	if (e->asks == 0)
		return 0;
	if (e->asks > e->replies_room) {
		free(e->reply);
		e->reply = malloc((size_t)e->asks * e->vocab_tokens * sizeof(*e->reply));
		e->replies_room = e->reply ? e->asks : 0;
		if (!e->reply)
			return -ENOMEM;
	}
	llama_set_embeddings(e->context, false);
	for (uint32_t i = 0; i < e->asks && !err; i++) {
		const struct asked *a = &e->asked[i];
		float *row = e->reply + (size_t)i * e->vocab_tokens;

		if (e->writer[a->candidate].state != WRITING) /* it has ended meanwhile */
			continue;
		err = answer(e, a, row);
		items[(*count)++] = (struct source_item){.event = {.kind = VETO_REPLY,
								 .candidate = a->candidate,
								 .rule = a->rule,
								 .token = VETO_NO_TOKEN},
			.payload = {.row = row}};
	}
	llama_set_embeddings(e->context, e->options.wants_states);
	e->asks = 0;
	return err;
}

/* Whether one of the words, joined by |, ends in text[from..]: in any case, and not inside a word. */
static bool ends_word(const char *text, size_t length, size_t from, const char *words)
{
	for (size_t bytes; *words; words += bytes + (words[bytes] == '|')) {
		bytes = strcspn(words, "|");
		for (size_t end = from + 1; bytes > 0 && end <= length; end++)
			if (end >= bytes && strncasecmp(text + end - bytes, words, bytes) == 0 &&
				(end == bytes || !isalnum((unsigned char)*words) ||
					!isalnum((unsigned char)text[end - bytes - 1])))
				return true;
	}
	return false;
}

uint32_t engine_marks(const struct engine *e, const struct writer *w, size_t before)
{
	uint32_t marks = 0;

	for (uint32_t i = 0; i < e->options.rules && w->length > before; i++) {
		const char *words = veto_rule_marks(&e->options.rule[i]);

		if (words && ends_word(w->text, w->length, before, words))
			marks |= 1u << i;
	}
	return marks;
}
