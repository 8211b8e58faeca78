/* SPDX-License-Identifier: Apache-2.0 */
/* Writes recordings: as traces, and as journals. */
#include "journal.h"
#include "json.h"
#include "npy.h"
#include "param.h"
#include "recording.h"
#include "trace_lists.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- How it was recorded --- */

static void print_text(const char *key, const char *text, FILE *out)
{
	if (!text)
		return;
	fprintf(out, ",\"%s\":", key);
	if (*text == '{') /* an object */
		fputs(text, out);
	else
		json_write_string(out, text);
}

static void print_questions(const struct trace *t, FILE *out)
{
	bool is_first = true;

	fprintf(out, ",\"questions\":{");
	for (uint32_t i = 0; i < t->questions; i++) {
		if (!t->question[i].prompt)
			continue;
		fprintf(out, "%s", is_first ? "" : ",");
		is_first = false;
		json_write_string(out, t->question[i].id);
		putc(':', out);
		json_write_string(out, t->question[i].prompt);
	}
	fprintf(out, "}");
}

void recording_print_header(const struct trace *t, bool is_trace, FILE *out)
{
	fprintf(out, "{\"%s\":1", is_trace ? "trace" : "journal");
	print_text("model", t->model, out);
	print_text("fingerprint", t->fingerprint, out);
	if (t->vocab)
		fprintf(out, ",\"vocab\":%u", t->vocab);
	print_text("sampler", t->sampler, out);
	fprintf(out, ",\"candidates\":%u,\"cohort\":%u,\"max_tokens\":%u", t->candidates, t->cohort, t->max_tokens);
	print_text("template", t->template, out);
	print_text("source", t->source, out);
	print_text("step", t->step, out);
	print_text("answer", t->answer, out);
	print_text("head", t->head, out);
	/* A journal of a trace holds neither verdicts nor choices. */
	print_text("policy", t->policy && is_trace ? t->policy : "none", out);
	print_text("select", is_trace ? t->select : NULL, out);
	if (is_trace)
		print_questions(t, out);
	fprintf(out, "}");
}

/* --- Traces --- */

/* Rows of an array that goes beside the trace. */
struct rows {
	FILE *file; /* NULL: there are none */
	char *path, *partial; /* where it goes, and where it is until it is whole: the one may be read meanwhile */
	uint64_t rows;
};

static int open_rows(
	struct rows *r, const char *arrays, const char *name, const char *type, uint64_t rows, uint32_t cols, char *why)
{
	if (!arrays || cols == 0)
		return 0;
	if (asprintf(&r->path, "%s.%s.npy", arrays, name) < 0) {
		r->path = NULL;
		return param_fail(-ENOMEM, why, "out of memory");
	}
	if (asprintf(&r->partial, "%s.partial", r->path) < 0) {
		r->partial = NULL;
		return param_fail(-ENOMEM, why, "out of memory");
	}
	r->file = fopen(r->partial, "we");
	if (!r->file || npy_write_header(r->file, type, rows, cols, false))
		return param_fail(-EIO, why, "can't write '%s': %s", r->path, strerror(errno));
	return 0;
}

static int close_rows(struct rows *r, char *why)
{
	const bool has_failed = r->file && ferror(r->file);
	int err = 0;

	if (r->file && (fclose(r->file) || has_failed || rename(r->partial, r->path)))
		err = param_fail(-EIO, why, "can't write '%s': %s", r->path, strerror(errno));
	free(r->path);
	free(r->partial);
	return err;
}

/* With as many digits as give every bit back. */
static void print_end(int64_t end, double unit, FILE *out)
{
	fprintf(out, unit > 0x1p20 ? "%.10f" : "%.7f", (double)end / unit);
}

static void print_value(const struct veto_interval *v, double unit, FILE *out)
{
	if (v->low == TRACE_UNKNOWN) {
		fputs("null", out);
		return;
	}
	if (v->low != v->high)
		putc('[', out);
	print_end(v->low, unit, out);
	if (v->low == v->high)
		return;
	putc(',', out);
	if (v->high == INT64_MAX)
		fputs("null", out);
	else
		print_end(v->high, unit, out);
	putc(']', out);
}

static void print_scores(const struct trace_candidate *c, FILE *out)
{
	fprintf(out, ",\"tokens\":[");
	for (uint32_t i = 0; i < c->tokens; i++)
		if (c->token[i] == VETO_NO_TOKEN)
			fprintf(out, "%snull", i ? "," : "");
		else
			fprintf(out, "%s%u", i ? "," : "", c->token[i]);
	putc(']', out);
	for (const struct trace_list *list = trace_lists; list->key; list++) {
		if (!c->field[list->field])
			continue;
		fprintf(out, ",\"%s\":[", list->key);
		for (uint32_t i = 0; i < c->tokens; i++) {
			if (i)
				putc(',', out);
			print_value(&c->field[list->field][i], list->unit, out);
		}
		putc(']', out);
	}
}

static void print_steps(const struct trace_candidate *c, FILE *out)
{
	static const char *const names[] = {"null", "false", "true"};
	bool is_first = true;

	fprintf(out, ",\"steps\":[");
	for (uint32_t i = 0; i < c->tokens; i++) {
		/* The last token ends a step without saying so. */
		if (!c->ends_step[i] || (i + 1 == c->tokens && c->so_far[i] < 0))
			continue;
		fprintf(out, "%s[%u,%s]", is_first ? "" : ",", i, names[c->so_far[i] + 1]);
		is_first = false;
	}
	putc(']', out);
}

static void print_states(const struct trace *t, const struct trace_candidate *c, struct rows *r, FILE *out)
{
	const char *slash;

	if (!r->file || c->states == 0)
		return;
	slash = strrchr(r->path, '/');
	fprintf(out, ",\"hidden\":{\"file\":");
	json_write_string(out, slash ? slash + 1 : r->path);
	fprintf(out, ",\"rows\":[");
	for (uint32_t i = 0; i < c->states; i++)
		fprintf(out, "%s%llu", i ? "," : "", (unsigned long long)r->rows++);
	fprintf(out, "],\"positions\":[");
	for (uint32_t i = 0; i < c->states; i++) {
		fprintf(out, "%s%u", i ? "," : "", c->state_token[i]);
		fwrite(c->state[i], t->state_cols * sizeof(uint16_t), 1, r->file);
	}
	fprintf(out, "]}");
}

static void print_top(const struct trace *t, const struct trace_candidate *c, struct rows *r, FILE *out)
{
	const char *slash;

	if (!r->file || !c->top)
		return;
	slash = strrchr(r->path, '/');
	fprintf(out, ",\"top\":{\"file\":");
	json_write_string(out, slash ? slash + 1 : r->path);
	fprintf(out, ",\"row\":%llu}", (unsigned long long)r->rows);
	fwrite(c->top, t->tops * sizeof(float), c->tokens, r->file);
	r->rows += c->tokens;
}

static void print_candidate(const struct trace *t, const struct trace_question *q, uint32_t i, struct rows *states,
	struct rows *tops, FILE *out)
{
	const struct trace_candidate *c = &q->candidate[i];

	fprintf(out, "{\"prompt\":");
	json_write_string(out, q->id);
	fprintf(out, ",\"candidate\":%u,\"finished\":%s", i, c->is_finished ? "true" : "false");
	if (c->answer_text)
		print_text("answer", c->answer_text, out);
	else
		fprintf(out, ",\"answer\":null");
	if (c->is_labelled)
		fprintf(out, ",\"correct\":%s", c->is_right ? "true" : "false");
	if (c->text) {
		fprintf(out, ",\"text\":");
		json_write_string(out, c->text);
	}
	print_scores(c, out);
	print_states(t, c, states, out);
	print_top(t, c, tops, out);
	print_steps(c, out);
	fprintf(out, "}\n");
}

int recording_write_trace(const struct trace *t, FILE *out, const char *arrays, char *why)
{
	struct rows states = {0}, tops = {0};
	uint64_t state_rows = 0, top_rows = 0;
	int err, closed;

	for (uint32_t i = 0; i < t->questions * t->candidates; i++) {
		const struct trace_candidate *c = &t->question[i / t->candidates].candidate[i % t->candidates];

		state_rows += c->states;
		top_rows += c->top ? c->tokens : 0;
	}
	err = open_rows(&states, arrays, "hidden", "f2", state_rows, t->state_cols, why);
	if (!err)
		err = open_rows(&tops, arrays, "top", "f4", top_rows, t->tops, why);
	if (!err) {
		recording_print_header(t, true, out);
		putc('\n', out);
	}
	for (uint32_t i = 0; i < t->questions && !err; i++)
		for (uint32_t j = 0; j < t->candidates; j++)
			print_candidate(t, &t->question[i], j, &states, &tops, out);
	closed = close_rows(&states, err ? NULL : why);
	err = err ? err : closed;
	closed = close_rows(&tops, err ? NULL : why);
	return err ? err : closed;
}

/* --- Journals --- */

/* Candidates in lockstep. */
struct writing {
	const struct trace *trace;
	const struct trace_question *question;
	struct journal *journal;
	uint32_t *at; /* [candidates] tokens that were written */
	bool *is_open; /* [candidates] */
	uint32_t opened, open; /* candidates, from the first on; and of them those that have not ended */
	uint32_t *next_state; /* [candidates] */
};

static void write_end(struct writing *w, uint32_t i)
{
	const struct trace_candidate *c = &w->question->candidate[i];

	journal_write_event(
		w->journal, &(struct journal_event){.event = {.kind = VETO_CLOSE, .candidate = i, .answer = c->answer},
				    .answer = journal_text_of(c->answer_text),
				    .is_cut_off = !c->is_finished});
	w->is_open[i] = false;
	w->open--;
}

static void write_token(struct writing *w, uint32_t i)
{
	const struct trace_candidate *c = &w->question->candidate[i];
	const uint32_t at = w->at[i]++;
	struct journal_event e = {
		.event = {.kind = VETO_TOKEN, .candidate = i, .ends_step = c->ends_step[at], .token = c->token[at]},
		.so_far = (enum journal_label)(c->so_far[at] + JOURNAL_WRONG)};

	trace_score(c, at, &e.event.score);
	if (w->next_state[i] < c->states && c->state_token[w->next_state[i]] == at) {
		e.state = c->state[w->next_state[i]++];
		e.state_values = w->trace->state_cols;
	}
	if (c->top) {
		e.tops = w->trace->tops;
		memcpy(e.top, (const char *)c->top + (size_t)at * e.tops * sizeof(float), e.tops * sizeof(float));
	}
	journal_write_event(w->journal, &e);
}

static void write_round(struct writing *w)
{
	for (; w->open < w->trace->cohort && w->opened < w->trace->candidates; w->opened++) {
		journal_write_event(
			w->journal, &(struct journal_event){.event = {.kind = VETO_OPEN, .candidate = w->opened}});
		w->is_open[w->opened] = true;
		w->open++;
	}
	for (uint32_t i = 0; i < w->opened; i++) {
		if (!w->is_open[i])
			continue;
		if (w->at[i] < w->question->candidate[i].tokens)
			write_token(w, i);
		if (w->at[i] == w->question->candidate[i].tokens)
			write_end(w, i);
	}
	journal_end_round(w->journal);
}

static void write_question(struct writing *w, struct journal_choice *choice)
{
	const struct trace *t = w->trace;

	memset(w->at, 0, t->candidates * sizeof(*w->at));
	memset(w->next_state, 0, t->candidates * sizeof(*w->next_state));
	w->opened = w->open = 0;
	journal_write_prompt(w->journal, &(struct journal_prompt){journal_text_of(w->question->id),
						 journal_text_of(w->question->prompt), {NULL, 0}});
	while (w->open > 0 || w->opened < t->candidates)
		write_round(w);
	for (uint32_t i = 0; i < t->candidates; i++) {
		const struct trace_candidate *c = &w->question->candidate[i];

		choice->text[i] = journal_text_of(c->text);
		choice->label[i] = (unsigned char)(!c->is_labelled ? JOURNAL_UNKNOWN
						   : c->is_right   ? JOURNAL_RIGHT
								   : JOURNAL_WRONG);
	}
	journal_write_choice(w->journal, choice);
}

static int start_journal(struct writing *w, const char *path, char *why)
{
	char *header = NULL;
	size_t bytes;
	FILE *out = open_memstream(&header, &bytes);
	int err = -ENOMEM;

	if (out) {
		recording_print_header(w->trace, false, out);
		err = ferror(out) ? -ENOMEM : 0;
		err = fclose(out) ? -ENOMEM : err;
	}
	if (!err)
		err = journal_create(path, header, &w->journal, why);
	else
		param_say(why, "out of memory");
	free(header);
	return err;
}

int recording_write_journal(const struct trace *t, const char *path, char *why)
{
	struct writing w = {.trace = t,
		.at = calloc(t->candidates, sizeof(*w.at)),
		.is_open = calloc(t->candidates, sizeof(*w.is_open)),
		.next_state = calloc(t->candidates, sizeof(*w.next_state))};
	struct journal_choice choice = {.texts = t->candidates,
		.text = calloc(t->candidates, sizeof(*choice.text)),
		.label = calloc(t->candidates, 1)};
	int err = 0;

	if (!w.at || !w.is_open || !w.next_state || !choice.text || !choice.label)
		err = param_fail(-ENOMEM, why, "out of memory");
	if (!err)
		err = start_journal(&w, path, why);
	for (uint32_t i = 0; i < t->questions && !err; i++) {
		w.question = &t->question[i];
		write_question(&w, &choice);
	}
	if (!err)
		err = journal_close(w.journal, true, why);
	free(w.at);
	free(w.is_open);
	free(w.next_state);
	free(choice.text);
	free(choice.label);
	return err;
}
