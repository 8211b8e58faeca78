/* SPDX-License-Identifier: Apache-2.0 */
/* Splits of a recording's questions. */
#include "split.h"
#include "cli.h"
#include "hash.h"
#include "json.h"
#include "map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const part_names[PARTS] = {"fit", "calibrate", "test"};

enum part part_find(const char *text)
{
	int part = 0;

	while (part < PARTS && strcmp(text, part_names[part]) != 0)
		part++;
	return (enum part)part;
}

int split_read(const char *command, const char *text, struct split *out)
{
	double sum = 0;
	int end = 0;

	out->text = text;
	if (sscanf(text, "%lf,%lf,%lf%n", &out->share[0], &out->share[1], &out->share[2], &end) != 3 || text[end]) {
		memset(out->share, 0, sizeof(out->share));
		return access(text, R_OK) == 0
			       ? EXIT_DONE
			       : misused(command, "--split '%s': neither three shares, such as 0.3,0.4,0.3, nor a file",
					 text);
	}
	for (int i = 0; i < PARTS; i++) {
		if (!(out->share[i] >= 0 && out->share[i] <= 1e6))
			return misused(command, "--split '%s': a share is no number from 0 on", text);
		sum += out->share[i];
	}
	if (!(sum > 0))
		return misused(command, "--split '%s': all shares are 0", text);
	for (int i = 0; i < PARTS; i++)
		out->share[i] /= sum;
	return EXIT_DONE;
}

int split_read_seed(const char *command, const char *text, struct split *out)
{
	int64_t seed;

	if (read_count(command, "--seed", text, 0, INT64_MAX, &seed))
		return EXIT_MISUSED;
	out->seed = (uint64_t)seed;
	return EXIT_DONE;
}

/* By the shares. */
static enum part draw_part(const struct split *s, const struct trace_question *q)
{
	const uint64_t hash = hash_bytes(hash_bytes(HASH_START, &s->seed, sizeof(s->seed)), &q->text, sizeof(q->text));
	const double at = (double)((hash * 0x9e3779b97f4a7c15u) >> 11) / 0x1p53;

	return at < s->share[0] ? PART_FIT : at < s->share[0] + s->share[1] ? PART_CALIBRATE : PART_TEST;
}

struct parts {
	const struct trace *trace;
	enum part *part; /* [questions]; PARTS: in none */
};

static int take_part(void *arg, const char *key, const char *value, char *why)
{
	struct parts *p = arg;
	const enum part part = part_find(value);

	if (part == PARTS)
		return param_fail(-EINVAL, why, "\"%s\": '%s' is not fit, calibrate or test", key, value);
	for (uint32_t i = 0; i < p->trace->questions; i++)
		if (strcmp(p->trace->question[i].id, key) == 0)
			p->part[i] = part;
	return 0;
}

/* From the file that --split names. */
static int read_parts(const char *command, const char *path, struct parts *p)
{
	struct json_source source = {.file = path, .first_line = 1};
	char why[VETO_WHY_MAX];
	struct map map;
	int err = map_open(path, &map, why);

	if (!err) {
		source.text = map.data;
		source.bytes = map.bytes;
		err = json_object(&source, take_part, p, why);
		map_close(&map);
	}
	return err ? misused(command, "--split: %s", why) : EXIT_DONE;
}

/* Questions of one text that a file puts into different parts would let one part know the other. */
static int check_texts(const char *command, const char *path, const struct parts *p)
{
	for (uint32_t i = 0; i < p->trace->questions; i++)
		for (uint32_t j = 0; j < i; j++)
			if (p->trace->question[i].text == p->trace->question[j].text && p->part[i] != p->part[j] &&
				p->part[i] != PARTS && p->part[j] != PARTS)
				return misused(command,
					"--split: %s puts '%s' and '%s', which have the same text, into different parts",
					path, p->trace->question[j].id, p->trace->question[i].id);
	return EXIT_DONE;
}

enum part *split_parts(const char *command, const struct split *split, const struct trace *trace, int *status)
{
	struct parts p = {trace, split->text ? malloc(trace->questions * sizeof(*p.part)) : NULL};
	const bool is_file = split->share[0] + split->share[1] + split->share[2] <= 0;

	*status = split->text && !p.part ? failed(command, "out of memory") : EXIT_DONE;
	for (uint32_t i = 0; p.part && i < trace->questions; i++)
		p.part[i] = is_file ? PARTS : draw_part(split, &trace->question[i]);
	if (p.part && is_file)
		*status = read_parts(command, split->text, &p);
	if (p.part && is_file && !*status)
		*status = check_texts(command, split->text, &p);
	if (*status) {
		free(p.part);
		p.part = NULL;
	}
	return p.part;
}
