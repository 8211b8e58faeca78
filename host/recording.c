/* SPDX-License-Identifier: Apache-2.0 */
/* Reads recordings, and puts several into one. */
#include "recording.h"
#include "journal.h"
#include "param.h"
#include "trace_states.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int read_one(const char *path, struct trace *out, char *why)
{
	return journal_is(path) ? recording_read_journal(path, out, why) : trace_read(path, out, why);
}

static bool is_same(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }

static const char *said(const char *text) { return text ? text : "nothing"; }

/* That both were recorded alike; a_path and b_path: where they stand. */
static int compare(const struct trace *a, const struct trace *b, const char *a_path, const char *b_path, char *why)
{
	const struct {
		const char *what, *a, *b;
	} texts[] = {{"model", a->model, b->model}, {"fingerprint", a->fingerprint, b->fingerprint},
		{"sampler", a->sampler, b->sampler}, {"template", a->template, b->template}, {"step", a->step, b->step},
		{"answer", a->answer, b->answer}, {"source", a->source, b->source}, {"head", a->head, b->head},
		{"policy", a->policy, b->policy}};
	const struct {
		const char *what;
		uint32_t a, b;
	} counts[] = {{"candidates", a->candidates, b->candidates}, {"cohort", a->cohort, b->cohort},
		{"max_tokens", a->max_tokens, b->max_tokens}, {"vocab", a->vocab, b->vocab},
		{"values of a hidden state", a->state_cols, b->state_cols},
		{"tokens listed with \"top\"", a->tops, b->tops}};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (!is_same(texts[i].a, texts[i].b))
			return param_fail(-EINVAL, why,
				"%s says of its %s '%.60s', and %s '%.60s': they are not of one recording", a_path,
				texts[i].what, said(texts[i].a), b_path, said(texts[i].b));
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		if (counts[i].a != counts[i].b)
			return param_fail(-EINVAL, why, "%s has %u %s, and %s has %u: they are not of one recording",
				a_path, counts[i].a, counts[i].what, b_path, counts[i].b);
	return 0;
}

static int check_questions(const struct trace *a, const struct trace *b, const char *b_path, char *why)
{
	for (uint32_t i = 0; i < b->questions; i++)
		for (uint32_t j = 0; j < a->questions; j++)
			if (strcmp(a->question[j].id, b->question[i].id) == 0)
				return param_fail(-EINVAL, why, "%s: question '%s' stands in another recording, too",
					b_path, b->question[i].id);
	return 0;
}

/* Put the questions of b behind those of a, which takes them over. */
static int append(struct trace *a, struct trace *b, char *why)
{
	struct trace_question *q = realloc(a->question, ((size_t)a->questions + b->questions) * sizeof(*a->question));

	if (!q)
		return param_fail(-ENOMEM, why, "out of memory");
	a->question = q;
	memcpy(a->question + a->questions, b->question, b->questions * sizeof(*b->question));
	a->questions += b->questions;
	a->unfinished += b->unfinished;
	a->fields &= b->fields;
	b->questions = 0;
	trace_take_files(a, b);
	return 0;
}

int recording_read(const char *const *path, uint32_t paths, struct trace *out, char *why)
{
	struct trace all = {0};
	int err = 0;

	for (uint32_t i = 0; i < paths && !err; i++) {
		struct trace one;

		err = read_one(path[i], &one, why);
		if (err)
			break;
		if (i == 0) {
			all = one;
			continue;
		}
		err = compare(&all, &one, path[0], path[i], why);
		if (!err)
			err = check_questions(&all, &one, path[i], why);
		if (!err)
			err = append(&all, &one, why);
		trace_free(&one);
	}
	if (err)
		trace_free(&all);
	else
		*out = all;
	return err;
}
