/* SPDX-License-Identifier: Apache-2.0 */
/* Writes recorded candidates for trainers: preference pairs, labelled steps, first errors, the best of N, progress. */
#include "export.h"
#include "cli.h"
#include "json.h"

#include <stdlib.h>
#include <string.h>

#define STEP '\n' /* ends a step in a candidate's text */

/* Lines that were written, and what had not what they need. */
struct counts {
	uint32_t written, lacking;
};

static const char *prompt_of(const struct trace_question *q) { return q->prompt ? q->prompt : q->id; }

static void print_text(const char *key, const char *text, FILE *out)
{
	fprintf(out, "%s\"%s\":", *key == '{' ? "{" : ",", *key == '{' ? key + 1 : key);
	json_write_string(out, text);
}

/* --- Whole candidates --- */

/* The next labelled candidate with a text that is right or not, from i on. */
static uint32_t next_of(const struct trace *t, const struct trace_question *q, bool is_right, uint32_t i)
{
	while (i < t->candidates &&
		(!q->candidate[i].is_labelled || q->candidate[i].is_right != is_right || !q->candidate[i].text))
		i++;
	return i;
}

/* The first right one and the first wrong one, then the second ones, as far as there are both. */
static void write_preferences(const struct trace *t, const struct trace_question *q, struct counts *counts, FILE *out)
{
	uint32_t right = next_of(t, q, true, 0), wrong = next_of(t, q, false, 0);

	counts->lacking += right == t->candidates || wrong == t->candidates;
	while (right < t->candidates && wrong < t->candidates) {
		print_text("{prompt", prompt_of(q), out);
		print_text("chosen", q->candidate[right].text, out);
		print_text("rejected", q->candidate[wrong].text, out);
		fprintf(out, "}\n");
		counts->written++;
		right = next_of(t, q, true, right + 1);
		wrong = next_of(t, q, false, wrong + 1);
	}
}

static double mean_logp(const struct trace_candidate *c)
{
	double sum = 0;

	for (uint32_t i = 0; i < c->tokens && c->field[VETO_TOKEN_LOGP]; i++)
		if (c->field[VETO_TOKEN_LOGP][i].low != TRACE_UNKNOWN)
			sum += (double)c->field[VETO_TOKEN_LOGP][i].low;
	return c->tokens > 0 ? sum / c->tokens : 0;
}

static void write_best(const struct trace *t, const struct trace_question *q, struct counts *counts, FILE *out)
{
	uint32_t best = t->candidates, right = 0;

	for (uint32_t i = next_of(t, q, true, 0); i < t->candidates; i = next_of(t, q, true, i + 1)) {
		right++;
		if (best == t->candidates || mean_logp(&q->candidate[i]) > mean_logp(&q->candidate[best]))
			best = i;
	}
	if (best == t->candidates) {
		counts->lacking++;
		return;
	}
	print_text("{prompt", prompt_of(q), out);
	print_text("response", q->candidate[best].text, out);
	fprintf(out, ",\"right\":%u,\"candidates\":%u}\n", right, t->candidates);
	counts->written++;
}

/* --- Steps --- */

/* The tokens that end a candidate's first steps, as many as its text has lines and `is_wanted` says; at[lines]. */
static uint32_t find_steps(const struct trace_candidate *c, bool (*is_wanted)(const struct trace_candidate *, uint32_t),
	uint32_t *at, uint32_t lines)
{
	uint32_t steps = 0;

	for (uint32_t i = 0; i < c->tokens && steps < lines; i++) {
		if (!c->ends_step[i])
			continue;
		if (!is_wanted(c, i))
			break;
		at[steps++] = i;
	}
	return steps;
}

static uint32_t count_lines(const char *text)
{
	uint32_t lines = 0;

	for (; text && *text; text++)
		lines += *text == STEP || !text[1];
	return lines;
}

/* The first lines of a text as a list. */
static void print_lines(const char *key, const char *text, uint32_t lines, FILE *out)
{
	fprintf(out, ",\"%s\":[", key);
	for (uint32_t i = 0; i < lines; i++) {
		const size_t bytes = strcspn(text, "\n");
		char *line = strndup(text, bytes);

		fprintf(out, "%s", i ? "," : "");
		json_write_string(out, line ? line : "");
		free(line);
		text += bytes + (text[bytes] == STEP);
	}
	putc(']', out);
}

static bool has_label(const struct trace_candidate *c, uint32_t token) { return c->so_far[token] >= 0; }

static bool has_reward(const struct trace_candidate *c, uint32_t token)
{
	return c->field[VETO_REWARD] && c->field[VETO_REWARD][token].low != TRACE_UNKNOWN;
}

static void print_labels(
	const struct trace_question *q, const struct trace_candidate *c, const uint32_t *at, uint32_t steps, FILE *out)
{
	print_text("{prompt", prompt_of(q), out);
	print_lines("completions", c->text, steps, out);
	fprintf(out, ",\"labels\":[");
	for (uint32_t i = 0; i < steps; i++)
		fprintf(out, "%s%s", i ? "," : "", c->so_far[at[i]] ? "true" : "false");
	fprintf(out, "]}\n");
}

static void print_first_error(
	const struct trace_question *q, const struct trace_candidate *c, const uint32_t *at, uint32_t steps, FILE *out)
{
	int first = -1;

	for (uint32_t i = 0; i < steps && first < 0; i++)
		if (c->so_far[at[i]] == 0)
			first = (int)i;
	print_text("{problem", prompt_of(q), out);
	print_lines("steps", c->text, steps, out);
	fprintf(out, ",\"label\":%d}\n", first);
}

static void print_progress(
	const struct trace_question *q, const struct trace_candidate *c, const uint32_t *at, uint32_t steps, FILE *out)
{
	print_text("{prompt", prompt_of(q), out);
	print_lines("steps", c->text, steps, out);
	for (int is_change = 0; is_change < 2; is_change++) {
		double before = 0;

		fprintf(out, is_change ? ",\"progress\":[" : ",\"rewards\":[");
		for (uint32_t i = 0; i < steps; i++) {
			const double reward = (double)c->field[VETO_REWARD][at[i]].low / 0x1p31;

			fprintf(out, "%s%.6f", i ? "," : "", reward - (is_change ? before : 0));
			before = reward;
		}
		putc(']', out);
	}
	fprintf(out, "}\n");
}

static void write_steps(const struct trace *t, const struct trace_question *q,
	bool (*is_wanted)(const struct trace_candidate *c, uint32_t token),
	void (*print)(const struct trace_question *q, const struct trace_candidate *c, const uint32_t *at,
		uint32_t steps, FILE *out),
	struct counts *counts, FILE *out)
{
	for (uint32_t i = 0; i < t->candidates; i++) {
		const struct trace_candidate *c = &q->candidate[i];
		const uint32_t lines = count_lines(c->text);
		uint32_t *at = calloc(lines + 1, sizeof(*at));
		const uint32_t steps = at ? find_steps(c, is_wanted, at, lines) : 0;

		if (steps > 0)
			print(q, c, at, steps, out);
		counts->written += steps > 0;
		counts->lacking += steps == 0;
		free(at);
	}
}

static void write_labels(const struct trace *t, const struct trace_question *q, struct counts *counts, FILE *out)
{
	write_steps(t, q, has_label, print_labels, counts, out);
}

static void write_first_errors(const struct trace *t, const struct trace_question *q, struct counts *counts, FILE *out)
{
	write_steps(t, q, has_label, print_first_error, counts, out);
}

static void write_progress(const struct trace *t, const struct trace_question *q, struct counts *counts, FILE *out)
{
	write_steps(t, q, has_reward, print_progress, counts, out);
}

static const struct format {
	const char *name, *lacking;
	void (*write)(const struct trace *t, const struct trace_question *q, struct counts *counts, FILE *out);
} formats[] = {
	{"preferences", "questions without a right and a wrong candidate whose texts were recorded", write_preferences},
	{"best-of-n", "questions without a right candidate whose text was recorded", write_best},
	{"steps", "candidates without a text, or labels of their steps", write_labels},
	{"first-error", "candidates without a text, or labels of their steps", write_first_errors},
	{"progress", "candidates without a text, or rewards of their steps", write_progress},
	{0},
};

static const struct format *find(const char *name)
{
	const struct format *f = formats;

	while (f->name && strcmp(f->name, name) != 0)
		f++;
	return f->name ? f : NULL;
}

bool export_knows(const char *format) { return find(format) != NULL; }

int export_lines(const char *command, const char *format, const struct trace *t, FILE *out)
{
	const struct format *f = find(format);
	struct counts counts = {0};

	for (uint32_t i = 0; i < t->questions; i++)
		f->write(t, &t->question[i], &counts, out);
	if (counts.lacking)
		say(command, "%u %s are left out", counts.lacking, f->lacking);
	return counts.written > 0 ? EXIT_DONE
				  : failed(command, "nothing in the recording can be written as %s", format);
}
