/* SPDX-License-Identifier: Apache-2.0 */
/* The prompts of a run: one from the command line, or a file of JSON Lines. */
#include "prompts.h"
#include "json.h"
#include "param.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail_memory(char *why) { return param_fail(-ENOMEM, why, "out of memory"); }

/* Room for one more; NULL: out of memory. */
static struct prompt *add(struct prompts *prompts)
{
	struct prompt *list = realloc(prompts->list, (prompts->count + 1) * sizeof(*list));

	if (!list)
		return NULL;
	prompts->list = list;
	return memset(&list[prompts->count++], 0, sizeof(*list));
}

static int set_member(void *arg, const char *key, const char *value, char *why)
{
	struct prompt *prompt = arg;
	char **at = strcmp(key, "id") == 0	 ? &prompt->id
		    : strcmp(key, "prompt") == 0 ? &prompt->text
		    : strcmp(key, "answer") == 0 ? &prompt->answer
						 : NULL;

	if (!at)
		return param_fail(-EINVAL, why, "unknown key \"%.64s\"; known keys: id, prompt, answer", key);
	free(*at);
	*at = strdup(value);
	return *at ? 0 : fail_memory(why);
}

static int read_line(const struct json_source *line, struct prompts *out, char *why)
{
	struct prompt *prompt = add(out);
	char id[16];
	int err;

	if (!prompt)
		return fail_memory(why);
	err = json_object(line, set_member, prompt, why);
	if (err)
		return err;
	if (!prompt->text || !*prompt->text)
		return json_fail(line, "\"prompt\" is missing or empty", why);
	snprintf(id, sizeof(id), "%u", out->count);
	return prompt->id ? 0 : set_member(prompt, "id", id, why);
}

static int read_lines(FILE *in, const char *path, struct prompts *out, char *why)
{
	struct json_source line = {.file = path};
	char *text = NULL;
	size_t size = 0;
	ssize_t bytes;
	int err = 0;

	while (!err && (bytes = getline(&text, &size, in)) > 0) {
		line.text = text;
		line.bytes = (size_t)bytes;
		line.first_line++;
		if (strspn(text, " \t\r\n") < line.bytes)
			err = read_line(&line, out, why);
	}
	if (!err && ferror(in))
		err = param_fail(-EINVAL, why, "can't read '%s': %s", path, strerror(errno));
	free(text);
	return err;
}

int prompts_read(const char *path, struct prompts *out, char *why)
{
	FILE *in = fopen(path, "re");
	struct prompts prompts = {0};
	int err;

	if (!in)
		return param_fail(-EINVAL, why, "can't open '%s': %s", path, strerror(errno));
	err = read_lines(in, path, &prompts, why);
	fclose(in);
	if (!err && prompts.count == 0)
		err = param_fail(-EINVAL, why, "%s: there is no prompt in it", path);
	if (err)
		prompts_free(&prompts);
	else
		*out = prompts;
	return err;
}

int prompts_one(const char *text, struct prompts *out, char *why)
{
	struct prompts prompts = {0};
	struct prompt *prompt = add(&prompts);
	int err;

	err = prompt ? set_member(prompt, "id", "1", why) : fail_memory(why);
	if (!err)
		err = set_member(prompt, "prompt", text, why);
	if (err)
		prompts_free(&prompts);
	else
		*out = prompts;
	return err;
}

void prompts_free(struct prompts *prompts)
{
	for (uint32_t i = 0; i < prompts->count; i++) {
		free(prompts->list[i].id);
		free(prompts->list[i].text);
		free(prompts->list[i].answer);
	}
	free(prompts->list);
	*prompts = (struct prompts){0};
}
