/* SPDX-License-Identifier: Apache-2.0 */
/* The hidden states of a trace's candidates: mapped, not copied. */
#include "trace_states.h"
#include "map.h"
#include "npy.h"
#include "param.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct trace_file {
	struct trace_file *next;
	struct map map;
	struct npy npy;
	char path[]; /* as the candidates give it */
};

/* Whether a path can lead out of the folder that it starts in. */
static bool leaves_folder(const char *path)
{
	for (const char *name = path; *name; name += strspn(name, "/")) {
		const size_t length = strcspn(name, "/");

		if (length == 0 || (length == 2 && strncmp(name, "..", 2) == 0))
			return true;
		name += length;
	}
	return false;
}

/* Beside the trace. */
static char *place(const char *path, const char *trace_path)
{
	const char *slash = strrchr(trace_path, '/');
	char *whole;

	return asprintf(&whole, "%.*s%s", slash ? (int)(slash - trace_path + 1) : 0, trace_path, path) < 0 ? NULL
													   : whole;
}

/* What the rows of a file are: of hidden states, or of log-probabilities. */
struct rows {
	const char *key, *type, *what;
	uint32_t most; /* values of a row */
	uint32_t *cols; /* of the rows before; 0: there are none */
};

static int check_file(const struct trace_file *f, const struct rows *rows, char *why)
{
	if (strcmp(f->npy.type, rows->type) != 0)
		return param_fail(-EINVAL, why, "\"%s\": '%s' is of type %s, and %s are of %s", rows->key, f->path,
			f->npy.type, rows->what, rows->type);
	if (f->npy.cols < 1 || f->npy.cols > rows->most)
		return param_fail(-EINVAL, why, "\"%s\": '%s' has %s of %llu values; 1 to %u", rows->key, f->path,
			rows->what, (unsigned long long)f->npy.cols, rows->most);
	if (*rows->cols && *rows->cols != f->npy.cols)
		return param_fail(-EINVAL, why, "\"%s\": '%s' has %s of %llu values, and those before have %u",
			rows->key, f->path, rows->what, (unsigned long long)f->npy.cols, *rows->cols);
	return 0;
}

static int open_file(struct trace_file *f, const char *trace_path, const struct rows *rows, char *why)
{
	char *whole = place(f->path, trace_path), what[VETO_WHY_MAX];
	int err;

	if (!whole)
		return param_fail(-ENOMEM, why, "out of memory");
	err = map_open(whole, &f->map, what);
	if (err) {
		free(whole);
		return param_fail(-EINVAL, why, "\"%s\": %s", rows->key, what);
	}
	err = npy_parse(f->map.data, f->map.bytes, whole, &f->npy, what);
	free(whole);
	if (err) {
		map_close(&f->map);
		return param_fail(err, why, "\"%s\": %s", rows->key, what);
	}
	return 0;
}

static struct trace_file *add_file(const char *path)
{
	struct trace_file *f = calloc(1, sizeof(*f) + strlen(path) + 1);

	if (f)
		memcpy(f->path, path, strlen(path) + 1);
	return f;
}

/* The file of that path, opened if it is not. */
static int find_file(const char *path, const char *trace_path, struct trace *t, const struct rows *rows,
	const struct trace_file **out, char *why)
{
	struct trace_file *f = t->file;
	int err;

	/* Whoever wrote the trace says which file is read: none but the trace's own. */
	if (leaves_folder(path))
		return param_fail(-EINVAL, why, "\"%s\": '%s' does not lie beside the trace, or in a folder there",
			rows->key, path);
	while (f && strcmp(f->path, path) != 0)
		f = f->next;
	if (!f) {
		f = add_file(path);
		err = f ? open_file(f, trace_path, rows, why) : param_fail(-ENOMEM, why, "out of memory");
		if (err) {
			free(f);
			return err;
		}
		f->next = t->file;
		t->file = f;
	}
	err = check_file(f, rows, why);
	if (err)
		return err;
	*rows->cols = (uint32_t)f->npy.cols;
	*out = f;
	return 0;
}

void trace_take_files(struct trace *t, struct trace *from)
{
	struct trace_file **end = &t->file;

	while (*end)
		end = &(*end)->next;
	*end = from->file;
	from->file = NULL;
}

int trace_keep_map(struct trace *t, const struct map *map)
{
	struct trace_file *f = add_file("");

	if (!f)
		return -ENOMEM;
	f->map = *map;
	f->next = t->file;
	t->file = f;
	return 0;
}

/* A whole number below the limit. */
static int read_index(const cJSON *item, const char *key, const char *what, uint64_t limit, uint64_t *out, char *why)
{
	const double value = cJSON_IsNumber(item) ? item->valuedouble : -1;

	if (!(value >= 0 && value < (double)limit) || value != (double)(uint64_t)value)
		return param_fail(-EINVAL, why, "\"%s\": %s %.9g is no whole number below %llu", key, what, value,
			(unsigned long long)limit);
	*out = (uint64_t)value;
	return 0;
}

static int read_lists(
	const cJSON *rows, const cJSON *positions, const struct trace_file *f, struct trace_candidate *c, char *why)
{
	const size_t row_bytes = f->npy.cols * f->npy.item_bytes;
	const cJSON *row = rows->child, *position = positions->child;

	for (uint32_t i = 0; i < c->states; i++, row = row->next, position = position->next) {
		uint64_t at, token;

		if (read_index(row, "hidden", "row", f->npy.rows, &at, why) ||
			read_index(position, "hidden", "position", c->tokens, &token, why))
			return -EINVAL;
		if (i > 0 && token <= c->state_token[i - 1])
			return param_fail(-EINVAL, why, "\"hidden\": position %llu does not lie above %u",
				(unsigned long long)token, c->state_token[i - 1]);
		c->state_token[i] = (uint32_t)token;
		c->state[i] = (const char *)f->npy.data + at * row_bytes;
	}
	return 0;
}

int trace_read_states(
	const cJSON *hidden, const char *trace_path, struct trace *t, struct trace_candidate *c, char *why)
{
	const cJSON *rows = cJSON_GetObjectItemCaseSensitive(hidden, "rows");
	const cJSON *positions = cJSON_GetObjectItemCaseSensitive(hidden, "positions");
	const char *path = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(hidden, "file"));
	const struct rows kind = {"hidden", "f2", "states", VETO_STATE_MAX, &t->state_cols};
	const struct trace_file *f;
	int count, err;

	if (!hidden)
		return 0;
	if (!path || !cJSON_IsArray(rows) || !cJSON_IsArray(positions))
		return param_fail(
			-EINVAL, why, "\"hidden\" is no {\"file\": text, \"rows\": list, \"positions\": list}");
	count = cJSON_GetArraySize(rows);
	if (cJSON_GetArraySize(positions) != count)
		return param_fail(-EINVAL, why, "\"hidden\": \"rows\" has %d values, and \"positions\" has %d", count,
			cJSON_GetArraySize(positions));
	err = find_file(path, trace_path, t, &kind, &f, why);
	if (err)
		return err;
	c->state_token = calloc((size_t)count + 1, sizeof(*c->state_token));
	c->state = calloc((size_t)count + 1, sizeof(*c->state));
	if (!c->state_token || !c->state)
		return param_fail(-ENOMEM, why, "out of memory");
	c->states = (uint32_t)count;
	return read_lists(rows, positions, f, c, why);
}

int trace_read_top(const cJSON *top, const char *trace_path, struct trace *t, struct trace_candidate *c, char *why)
{
	const cJSON *row = cJSON_GetObjectItemCaseSensitive(top, "row");
	const char *path = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(top, "file"));
	const struct rows kind = {"top", "f4", "log-probabilities", VETO_TOP_MAX, &t->tops};
	const struct trace_file *f;
	uint64_t first;
	int err;

	if (!top)
		return 0;
	if (!path)
		return param_fail(-EINVAL, why, "\"top\" is no {\"file\": text, \"row\": number}");
	err = find_file(path, trace_path, t, &kind, &f, why);
	if (!err)
		err = read_index(row, "top", "row", f->npy.rows + 1, &first, why);
	if (err)
		return err;
	if (f->npy.rows - first < c->tokens)
		return param_fail(-EINVAL, why, "\"top\": %u rows from %llu on, and '%s' has %llu", c->tokens,
			(unsigned long long)first, path, (unsigned long long)f->npy.rows);
	c->top = (const float *)f->npy.data + first * f->npy.cols;
	return 0;
}

void trace_free_states(struct trace *t)
{
	for (struct trace_file *next; t->file; t->file = next) {
		next = t->file->next;
		map_close(&t->file->map);
		free(t->file);
	}
}
