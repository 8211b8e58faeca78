/* SPDX-License-Identifier: Apache-2.0 */
/* Reads traces, a line at a time. */
#include "trace.h"
#include "hash.h"
#include "param.h"
#include "policy.h"
#include "trace_lists.h"
#include "trace_members.h"
#include "trace_states.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define QUOTED 24 /* bytes of a line that is wrong */

struct reading {
	struct trace trace;
	const char *name;
	cJSON *texts; /* of the questions, by id; NULL: none */
	uint32_t room; /* questions */
	uint32_t last; /* the question of the line before */
};

int64_t trace_listed(const char *source)
{
	const size_t prefix = strlen("top-k:");
	int64_t k;

	return strncmp(source, "top-k:", prefix) == 0 && param_count(source + prefix, &k) == 0 ? k : 0;
}

static int read_header(const cJSON *line, const char *kind, struct trace *t, char *why)
{
	const struct {
		const char *key;
		char **text;
	} texts[] = {{"model", &t->model}, {"fingerprint", &t->fingerprint}, {"sampler", &t->sampler},
		{"template", &t->template}, {"step", &t->step}, {"answer", &t->answer}, {"source", &t->source},
		{"head", &t->head}, {"policy", &t->policy}, {"select", &t->select}};
	uint32_t version;
	int err = trace_read_count(line, kind, 1, 1, &version, why);

	if (!err)
		err = trace_read_count(line, "candidates", 1, VETO_CANDIDATES_MAX, &t->candidates, why);
	if (!err)
		err = trace_read_count(line, "cohort", 1, t->candidates, &t->cohort, why);
	if (!err)
		err = trace_read_count(line, "max_tokens", 1, VETO_TOKENS_MAX, &t->max_tokens, why);
	if (!err && cJSON_GetObjectItemCaseSensitive(line, "vocab"))
		err = trace_read_count(line, "vocab", 1, VETO_VOCAB_MAX, &t->vocab, why);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts) && !err; i++)
		err = trace_copy_text(line, texts[i].key, texts[i].text, why);
	if (!err && t->source && strcmp(t->source, "exact") != 0 && trace_listed(t->source) == 0)
		err = trace_fail_member(cJSON_GetObjectItemCaseSensitive(line, "source"), "source",
			"neither \"exact\" nor \"top-k:K\"", why);
	return err;
}

int trace_read_header(const char *json, size_t bytes, const char *kind, struct trace *out, char *why)
{
	struct trace t = {0};
	cJSON *line = cJSON_ParseWithLength(json, bytes);
	int err = cJSON_IsObject(line) ? read_header(line, kind, &t, why)
				       : param_fail(-EINVAL, why, "its header is no JSON object");

	cJSON_Delete(line);
	if (err)
		trace_free(&t);
	else
		*out = t;
	return err;
}

int trace_check_whole(const struct trace *t, char *why)
{
	struct veto_rule rule[VETO_RULES_MAX];
	uint32_t rules = 0;
	bool is_whole = t->policy && veto_rules_parse(t->policy, rule, &rules, NULL) == 0;

	for (uint32_t i = 0; i < rules; i++)
		is_whole &= policy_is_shadow(&rule[i]);
	if (is_whole)
		return 0;
	if (!t->policy)
		return param_fail(-EINVAL, why,
			"\"policy\" is missing from its header: \"none\" stands there if nothing was stopped");
	return param_fail(-EINVAL, why,
		"it was recorded with the policy '%.80s', and what that stopped has no end: only a recording with 'none', or with "
		"rules in shadow, can be played",
		t->policy);
}

uint64_t trace_answer(const char *text, size_t bytes)
{
	const uint64_t hash = hash_bytes(HASH_START, text, bytes);

	return hash + (hash == 0);
}

static int read_end(const cJSON *line, struct trace_candidate *c, char *why)
{
	const cJSON *answer = cJSON_GetObjectItemCaseSensitive(line, "answer");
	const cJSON *right = cJSON_GetObjectItemCaseSensitive(line, "correct");
	const char *text = cJSON_GetStringValue(answer);
	int err = trace_read_flag(line, "finished", &c->is_finished, why);

	if (err)
		return err;
	if (answer && !cJSON_IsNull(answer) && !text)
		return trace_fail_member(answer, "answer", "neither text nor null", why);
	c->answer = c->is_finished && text && *text ? trace_answer(text, strlen(text)) : 0;
	c->answer_text = text ? strdup(text) : NULL;
	if (text && !c->answer_text)
		return param_fail(-ENOMEM, why, "out of memory");
	c->is_labelled = right && !cJSON_IsNull(right);
	err = c->is_labelled ? trace_read_flag(line, "correct", &c->is_right, why) : 0;
	c->is_right &= c->is_finished;
	return err;
}

/* Their ids.  A token that is no whole number is one whose id is not known. */
static int read_ids(const cJSON *tokens, struct trace_candidate *c, char *why)
{
	const cJSON *token;
	uint32_t i = 0;

	c->token = malloc((c->tokens + 1) * sizeof(*c->token));
	if (!c->token)
		return param_fail(-ENOMEM, why, "out of memory");
	cJSON_ArrayForEach(token, tokens)
	{
		const double id = cJSON_IsNumber(token) ? token->valuedouble : -1;

		if (!cJSON_IsNull(token) && !(id >= 0 && id < VETO_NO_TOKEN && id == (uint32_t)id))
			return param_fail(-EINVAL, why, "\"tokens\" [%u] is no whole number from 0 on, or null", i);
		c->token[i++] = cJSON_IsNull(token) ? VETO_NO_TOKEN : (uint32_t)id;
	}
	return 0;
}

static int read_tokens(const cJSON *line, const struct trace *t, struct trace_candidate *c, char *why)
{
	const cJSON *tokens = cJSON_GetObjectItemCaseSensitive(line, "tokens");
	int err = 0;

	if (!cJSON_IsArray(tokens))
		return trace_fail_member(tokens, "tokens", "no list", why);
	c->tokens = (uint32_t)cJSON_GetArraySize(tokens);
	if (c->tokens > t->max_tokens)
		return param_fail(
			-EINVAL, why, "there are %u tokens, and \"max_tokens\" is %u", c->tokens, t->max_tokens);
	err = read_ids(tokens, c, why);
	for (size_t i = 0; trace_lists[i].key && !err; i++) {
		const struct trace_list *kind = &trace_lists[i];
		const char *name = veto_fields[kind->field].name; /* as policies call it */
		const cJSON *list = cJSON_GetObjectItemCaseSensitive(line, kind->key);

		if (list)
			err = trace_read_list(list, kind, c, why);
		else if (cJSON_GetObjectItemCaseSensitive(line, name))
			err = param_fail(-EINVAL, why, "\"%s\": the key is \"%s\"", name, kind->key);
	}
	return err ? err : trace_read_steps(cJSON_GetObjectItemCaseSensitive(line, "steps"), c, why);
}

uint64_t trace_question_hash(const char *text, size_t bytes) { return hash_bytes(HASH_START, text, bytes); }

/* The question of that id, made if it is new; NULL: out of memory. */
static struct trace_question *find_question(struct reading *r, const char *id)
{
	struct trace *t = &r->trace;
	const cJSON *text = cJSON_GetObjectItemCaseSensitive(r->texts, id);
	const char *hashed = cJSON_IsString(text) ? text->valuestring : id;
	struct trace_question *q;

	if (r->last < t->questions && strcmp(t->question[r->last].id, id) == 0)
		return &t->question[r->last];
	for (r->last = 0; r->last < t->questions; r->last++)
		if (strcmp(t->question[r->last].id, id) == 0)
			return &t->question[r->last];
	if (t->questions == r->room) {
		q = realloc(t->question, (2 * (size_t)r->room + 64) * sizeof(*q));
		if (!q)
			return NULL;
		t->question = q;
		r->room = 2 * r->room + 64;
	}
	q = &t->question[t->questions];
	*q = (struct trace_question){.id = strdup(id),
		.prompt = cJSON_IsString(text) ? strdup(text->valuestring) : NULL,
		.text = trace_question_hash(hashed, strlen(hashed))};
	q->candidate = calloc(t->candidates, sizeof(*q->candidate));
	t->questions += 1;
	return q->id && q->candidate ? q : NULL;
}

static int read_candidate(const cJSON *line, struct reading *r, char *why)
{
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(line, "prompt");
	struct trace_question *q;
	struct trace_candidate *c;
	uint32_t index;
	int err;

	if (!cJSON_IsString(id))
		return trace_fail_member(id, "prompt", "no text", why);
	err = trace_read_count(line, "candidate", 0, r->trace.candidates - 1, &index, why);
	if (err)
		return err;
	q = find_question(r, id->valuestring);
	if (!q)
		return param_fail(-ENOMEM, why, "out of memory");
	c = &q->candidate[index];
	if (c->is_there)
		return param_fail(-EINVAL, why, "candidate %u of '%s' stands there twice", index, q->id);
	c->is_there = true;
	err = read_tokens(line, &r->trace, c, why);
	if (!err)
		err = trace_copy_text(line, "text", &c->text, why);
	if (!err)
		err = trace_read_states(cJSON_GetObjectItemCaseSensitive(line, "hidden"), r->name, &r->trace, c, why);
	if (!err)
		err = trace_read_top(cJSON_GetObjectItemCaseSensitive(line, "top"), r->name, &r->trace, c, why);
	return err ? err : read_end(line, c, why);
}

static int check_texts(const cJSON *texts, char *why)
{
	const cJSON *text;
	char value[TRACE_QUOTED_MAX];

	if (texts && !cJSON_IsObject(texts) && !cJSON_IsNull(texts))
		return trace_fail_member(texts, "questions", "no object", why);
	cJSON_ArrayForEach(text, texts)
	{
		if (!cJSON_IsString(text))
			return param_fail(-EINVAL, why, "\"questions\": '%.80s' is %s, no text", text->string,
				trace_quote(text, value));
	}
	return 0;
}

static int read_first(cJSON *line, struct reading *r, char *why)
{
	const int err = read_header(line, "trace", &r->trace, why);

	r->texts = cJSON_DetachItemFromObjectCaseSensitive(line, "questions");
	return err ? err : check_texts(r->texts, why);
}

/* Whether a line that is JSON up to `at` just ends there, in the middle. */
static bool is_cut_off(const char *text, const char *at)
{
	const char *opened = NULL; /* the string that s is in */
	int depth = 0;

	for (const char *s = text; *s; s++) {
		if (*s == '"')
			opened = opened ? NULL : s;
		else if (opened)
			s += *s == '\\' && s[1];
		else
			depth += (*s == '{' || *s == '[') - (*s == '}' || *s == ']');
	}
	return opened ? at > opened : depth > 0 && at[strcspn(at, ",:\"[]{}")] == 0;
}

/* What is wrong, and the characters from there on; -EINVAL. */
static int fail_at(const char *what, const char *text, const char *at, char *why)
{
	size_t bytes = strnlen(at, QUOTED);

	while (bytes > 0 && (at[bytes] & 0xc0) == 0x80) /* in the middle of a character */
		bytes--;
	return param_fail(-EINVAL, why, "%s column %zu: '%.*s'", what, (size_t)(at - text) + 1, (int)bytes, at);
}

/* Where a key should start that is none, the parser stops one character behind. */
static const char *step_back(const char *text, const char *at)
{
	const char *s = at - 1;

	if (at - text < 2 || strchr(" \t\"0123456789", at[-1]))
		return at;
	while (s > text && strchr(" \t", s[-1]))
		s--;
	return s > text && strchr("{,", s[-1]) ? at - 1 : at;
}

static int fail_syntax(const char *text, const char *at, char *why)
{
	const char *end = text + strlen(text);

	if (*text == 0)
		return param_fail(-EINVAL, why, "an empty line");
	if (!is_cut_off(text, at))
		return fail_at("no JSON at", text, step_back(text, at), why);
	at = end - text > QUOTED ? end - QUOTED : text;
	while ((*at & 0xc0) == 0x80)
		at++;
	return param_fail(-EINVAL, why, "the line is cut off behind '%s', at column %zu", at, (size_t)(end - text) + 1);
}

static int read_line(char *text, size_t bytes, bool is_first, struct reading *r, char *why)
{
	const char *end = text;
	cJSON *line;
	int err;

	while (bytes > 0 && strchr(" \t\r\n", text[bytes - 1]))
		text[--bytes] = 0;
	line = cJSON_ParseWithLengthOpts(text, bytes + 1, &end, false);
	end += strspn(end, " \t\r");
	if (!line)
		err = fail_syntax(text, end, why);
	else if (!cJSON_IsObject(line))
		err = fail_at("no JSON object at", text, text, why);
	else if (end < text + bytes)
		err = fail_at("the JSON object has ended before", text, end, why);
	else
		err = is_first ? read_first(line, r, why) : read_candidate(line, r, why);
	cJSON_Delete(line);
	return err;
}

/* Whether one of two with the same answer is right.  Who has not finished has no answer here, and nobody is right without. */
static bool differ(const struct trace_candidate *a, const struct trace_candidate *b)
{
	return a->answer == b->answer && a->is_labelled && b->is_labelled && a->is_right != b->is_right;
}

static int check_labels(const struct trace *t, const struct trace_question *q, const char *path, char *why)
{
	const struct trace_candidate *c = q->candidate;

	for (uint32_t i = 0; i < t->candidates; i++) {
		if (c[i].is_right && !c[i].answer)
			return param_fail(-EINVAL, why,
				"%s: candidate %u of '%.80s': \"correct\" is true, and there is no \"answer\"", path, i,
				q->id);
		for (uint32_t j = 0; j < i; j++)
			if (differ(&c[j], &c[i]))
				return param_fail(-EINVAL, why,
					"%s: candidates %u and %u of '%.80s' have the same answer, '%.80s', and \"correct\" is true of %u alone",
					path, j, i, q->id, c[i].answer_text, c[j].is_right ? j : i);
	}
	return 0;
}

/* That nobody is missing, which scores everybody has, and that labels agree. */
int trace_complete(struct trace *t, const char *path, char *why)
{
	t->fields = (1u << VETO_FIELDS) - 1;
	if (t->questions == 0)
		return param_fail(-EINVAL, why, "%s: there is no candidate in it", path);
	for (uint32_t i = 0; i < t->questions; i++) {
		for (uint32_t j = 0; j < t->candidates; j++) {
			const struct trace_candidate *c = &t->question[i].candidate[j];

			if (!c->is_there)
				return param_fail(-EINVAL, why, "%s: '%s' lacks candidate %u of %u", path,
					t->question[i].id, j, t->candidates);
			for (int f = 0; f < VETO_FIELDS; f++)
				if (!c->field[f] && c->tokens > 0)
					t->fields &= ~(1u << f);
		}
		if (check_labels(t, &t->question[i], path, why))
			return -EINVAL;
	}
	return 0;
}

int trace_parse(FILE *in, const char *name, struct trace *out, char *why)
{
	struct reading r = {.name = name};
	char *text = NULL, what[VETO_WHY_MAX];
	size_t size = 0, line = 0;
	ssize_t bytes;
	int err = 0;

	while (!err && (bytes = getline(&text, &size, in)) > 0) {
		err = read_line(text, (size_t)bytes, line == 0, &r, what);
		line++;
		if (err)
			param_say(why, "%s:%zu: %s", name, line, what);
	}
	if (!err && ferror(in))
		err = param_fail(-EIO, why, "can't read '%s': %s", name, strerror(errno));
	free(text);
	cJSON_Delete(r.texts);
	if (!err)
		err = trace_complete(&r.trace, name, why);
	if (err) {
		trace_free(&r.trace);
		return err;
	}
	*out = r.trace;
	return 0;
}

int trace_read(const char *path, struct trace *out, char *why)
{
	FILE *in = fopen(path, "re");
	int err;

	if (!in)
		return param_fail(-errno, why, "can't open '%s': %s", path, strerror(errno));
	err = trace_parse(in, path, out, why);
	fclose(in);
	return err;
}

bool trace_is(const char *path)
{
	FILE *in = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;
	const ssize_t bytes = in ? getline(&text, &size, in) : -1;
	cJSON *line = bytes > 0 ? cJSON_ParseWithLength(text, (size_t)bytes) : NULL;
	const bool is = cJSON_GetObjectItemCaseSensitive(line, "trace") != NULL;

	cJSON_Delete(line);
	free(text);
	if (in)
		fclose(in);
	return is;
}

void trace_free_candidate(struct trace_candidate *c)
{
	for (int f = 0; f < VETO_FIELDS; f++)
		free(c->field[f]);
	free(c->ends_step);
	free(c->so_far);
	free(c->token);
	free(c->text);
	free(c->answer_text);
	free(c->state_token);
	free((void *)c->state);
	free(c->own_top);
}

void trace_free(struct trace *t)
{
	for (uint32_t i = 0; i < t->questions; i++) {
		for (uint32_t j = 0; t->question[i].candidate && j < t->candidates; j++)
			trace_free_candidate(&t->question[i].candidate[j]);
		free(t->question[i].candidate);
		free(t->question[i].id);
		free(t->question[i].prompt);
	}
	free(t->question);
	trace_free_states(t);
	free(t->model);
	free(t->fingerprint);
	free(t->sampler);
	free(t->template);
	free(t->step);
	free(t->answer);
	free(t->source);
	free(t->head);
	free(t->policy);
	free(t->select);
	*t = (struct trace){0};
}

void trace_score(const struct trace_candidate *c, uint32_t token, struct veto_score *out)
{
	out->has = 0;
	out->flags = 0;
	for (int f = 0; f < VETO_FIELDS; f++)
		if (c->field[f] && c->field[f][token].low != TRACE_UNKNOWN) {
			out->has |= 1u << f;
			out->field[f] = c->field[f][token];
		}
}
