/* SPDX-License-Identifier: Apache-2.0 */
/* bench_sch MODEL.gguf TABLE JSON: self-certainty by a table, against that of the engine's logits, and both against logits
 * that are computed in double from the same states: what the engine's arithmetic makes of it. */
#include "fx1.h"
#include "head.h"
#include "llama_source.h"

#include <ggml.h>
#include <gguf.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CANDIDATES = 2, TOKENS = 40, TOP_K = 2 };

static const char *const prompts[] = {"What is the capital of France?", "Write a short poem about the sea.",
	"Explain in two sentences why the sky is blue."};

static void die(const char *what)
{
	fprintf(stderr, "bench_sch: %s\n", what);
	exit(EXIT_FAILURE);
}

/* The output embedding in floats. */
static float *read_embedding(const char *model, uint32_t vocab, uint32_t cols)
{
	struct ggml_context *tensors = NULL;
	struct gguf_context *gguf =
		gguf_init_from_file(model, (struct gguf_init_params){.no_alloc = true, .ctx = &tensors});
	float *out = malloc((size_t)vocab * cols * sizeof(*out));
	const struct ggml_tensor *w;
	char why[VETO_WHY_MAX];
	struct map map;
	const char *data;

	if (!gguf || !out || map_open(model, &map, why))
		die("the model can't be read");
	w = ggml_get_tensor(tensors, "output.weight");
	if (!w)
		w = ggml_get_tensor(tensors, "token_embd.weight");
	data = (const char *)map.data + gguf_get_data_offset(gguf) +
	       gguf_get_tensor_offset(gguf, gguf_find_tensor(gguf, ggml_get_name(w)));
	for (uint32_t j = 0; j < vocab; j++)
		ggml_get_type_traits(w->type)->to_float(data + j * w->nb[1], out + (size_t)j * cols, cols);
	printf("output embedding: %s, %s\n", ggml_get_name(w), ggml_type_name(w->type));
	map_close(&map);
	gguf_free(gguf);
	ggml_free(tensors);
	return out;
}

struct difference {
	double sum, most;
};

static void add(struct difference *d, double x)
{
	d->sum += fabs(x);
	d->most = fmax(d->most, fabs(x));
}

static uint64_t no_answer(void *arg, uint32_t candidate, const char *text)
{
	(void)arg;
	(void)candidate;
	(void)text;
	return 0;
}

/* What is compared, token by token. */
struct bench {
	struct veto_head *table;
	float *w;
	uint32_t vocab, cols, tokens;
	struct difference table_logits, exact_logits, table_exact;
};

/* Self-certainty in double of W h, and the token's log-probability there. */
static double exact(const struct bench *b, const float *state, uint32_t token, double *logp)
{
	double *l = malloc(b->vocab * sizeof(*l)), most = -INFINITY, sum = 0, mean = 0;

	if (!l)
		die("out of memory");
	for (uint32_t j = 0; j < b->vocab; j++) {
		const float *row = b->w + (size_t)j * b->cols;

		l[j] = 0;
		for (uint32_t i = 0; i < b->cols; i++)
			l[j] += (double)row[i] * (double)state[i];
		most = fmax(most, l[j]);
		mean += l[j] / b->vocab;
	}
	for (uint32_t j = 0; j < b->vocab; j++)
		sum += exp(l[j] - most);
	*logp = l[token] - most - log(sum);
	mean = most + log(sum) - mean - log(b->vocab);
	free(l);
	return mean;
}

static double by_table(const struct bench *b, const float *state, uint32_t token, int64_t logp_q20)
{
	const struct veto_rows rows = {.kind = VETO_HIDDEN,
		.rows = 1,
		.cols = b->cols,
		.data = state,
		.token = &token,
		.token_logp_q20 = &logp_q20};
	static int32_t q[VETO_STATE_MAX], z[VETO_STATE_MAX];
	struct head_result result;

	head_score(b->table, &rows, 0, q, z, &result);
	return result.sc_q20 / 0x1p20;
}

static void see(struct bench *b, const struct veto_payload *p)
{
	const struct veto_rows rows = {.rows = 1,
		.cols = b->vocab,
		.stride_bytes = b->vocab * sizeof(float),
		.data = p->row,
		.token = &p->token};
	struct fx1_top top[TOP_K];
	struct veto_record record;
	struct veto_score score;
	double logits, table, of_state, logp;

	fx1_row(p->row, VETO_FP32, b->vocab, TOP_K, &record, top);
	fx1_finish(&rows, 0, &record, top, &score, NULL);
	logits = (double)score.field[VETO_SELF_CERTAINTY].low / 0x1p20;
	table = by_table(b, p->state, p->token, score.field[VETO_TOKEN_LOGP].low);
	of_state = exact(b, p->state, p->token, &logp);
	add(&b->table_logits, table - logits);
	add(&b->exact_logits, of_state - logits);
	add(&b->table_exact, by_table(b, p->state, p->token, veto_logp_q20(logp)) - of_state);
	b->tokens++;
}

static void run_prompt(struct engine *e, const char *prompt, const int32_t *tokens, uint32_t count, struct bench *b)
{
	struct source_item items[4 * CANDIDATES];
	struct veto_session *session;
	struct source *source;
	struct veto_rule rule;
	uint32_t got = 1;

	if (veto_rule_parse("majority", &rule, NULL) ||
		veto_session_new(&rule, 1, CANDIDATES, 0, TOKENS, &session, NULL) ||
		engine_start(e, prompt, tokens, count, CANDIDATES, &source))
		die("a prompt can't be started");
	while (got > 0) {
		if (source->pull(source, session, items, 4 * CANDIDATES, &got))
			die("llama.cpp failed");
		for (uint32_t i = 0; i < got; i++) {
			veto_session_push(session, &items[i].event);
			if (items[i].payload.row)
				see(b, &items[i].payload);
		}
		veto_session_round(session);
	}
	veto_session_free(session);
}

static void print(FILE *json, const char *what, const struct difference *d, uint32_t tokens)
{
	printf("%-72s %.2e  %.2e\n", what, d->sum / tokens, d->most);
	fprintf(json, "{\"bench\":\"sch\",\"what\":\"%s\",\"mean_nats\":%.3e,\"most_nats\":%.3e,\"tokens\":%u}\n", what,
		d->sum / tokens, d->most, tokens);
}

int main(int argc, char **argv)
{
	const struct engine_options options = {.model = argv[1],
		.slots = CANDIDATES,
		.max_tokens = TOKENS,
		.seed = 1,
		.temperature = 0.7,
		.top_p = 1,
		.min_p = 0.05,
		.wants_states = true,
		.step = "\n",
		.answer = no_answer};
	int32_t *tokens[3];
	uint32_t count[3];
	struct engine *e;
	struct bench b = {.tokens = 0};
	char why[VETO_WHY_MAX];
	FILE *json = argc == 4 ? fopen(argv[3], "ae") : NULL;

	if (!json) {
		fprintf(stderr, "usage: bench_sch MODEL.gguf TABLE JSON\n");
		return 2;
	}
	if (veto_head_open(argv[2], &b.table, why) || engine_open(&options, &e, why))
		die(why);
	b.vocab = engine_vocab(e);
	b.cols = engine_state_values(e);
	b.w = read_embedding(argv[1], b.vocab, b.cols);
	for (int i = 0; i < 3; i++)
		if (engine_tokenize(e, prompts[i], &tokens[i], &count[i], why))
			die(why);
	if (engine_reserve(e, 200, why))
		die(why);
	for (int i = 0; i < 3; i++) {
		run_prompt(e, prompts[i], tokens[i], count[i], &b);
		free(tokens[i]);
	}
	printf("self-certainty of %u tokens, differences in nats: mean and largest\n", b.tokens);
	print(json, "table, from that of the engine's logits", &b.table_logits, b.tokens);
	print(json, "W h in double, from that of the engine's logits", &b.exact_logits, b.tokens);
	print(json, "table, from W h in double with its own log-probability", &b.table_exact, b.tokens);
	free(b.w);
	veto_head_close(b.table);
	engine_close(e);
	return fclose(json) ? 1 : 0;
}
