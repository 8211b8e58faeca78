/* SPDX-License-Identifier: Apache-2.0 */
/* The golden rows: files made by golden.py, which shares no code with the library. */
#include "golden.h"
#include "check.h"
#include "npy.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER VETO_TESTS_DIR "/golden/"

/* The whole file, a 0 behind it. */
static char *read_file(const char *name, const char *suffix, size_t *bytes)
{
	char path[512];
	FILE *in;
	char *text;
	long size;

	snprintf(path, sizeof(path), FOLDER "%s%s", name, suffix);
	in = fopen(path, "rbe");
	if (!in)
		fail_msg("can't open %s", path);
	fseek(in, 0, SEEK_END);
	size = ftell(in);
	rewind(in);
	text = malloc((size_t)size + 1);
	assert_non_null(text);
	assert_int_equal(fread(text, 1, (size_t)size, in), size);
	text[size] = 0;
	fclose(in);
	*bytes = (size_t)size;
	return text;
}

static void read_rows(struct golden *g)
{
	char why[VETO_WHY_MAX], *args;
	const char *vocab;
	struct npy npy;
	size_t bytes;

	g->file = read_file(g->name, ".npy", &bytes);
	if (npy_parse(g->file, bytes, g->name, &npy, why))
		fail_msg("%s", why);
	g->rows.format = *npy.type == 'u' ? VETO_BF16 : npy.item_bytes == 2 ? VETO_FP16 : VETO_FP32;
	g->rows.rows = (uint32_t)npy.rows;
	g->rows.cols = (uint32_t)npy.cols;
	g->rows.stride_bytes = npy.cols * npy.item_bytes;
	g->rows.data = npy.data;
	args = read_file(g->name, ".args", &bytes);
	vocab = strstr(args, "--vocab ");
	if (vocab)
		g->rows.cols = (uint32_t)strtoul(vocab + strlen("--vocab "), NULL, 10);
	free(args);
}

/* A line of 128 digits a row. */
static void read_records(struct golden *g)
{
	size_t bytes;
	char *text = read_file(g->name, ".records", &bytes);

	assert_int_equal(bytes, 129 * g->rows.rows);
	g->record = calloc(g->rows.rows, sizeof(*g->record));
	assert_non_null(g->record);
	for (size_t i = 0; i < sizeof(*g->record) * g->rows.rows; i++) {
		char digits[3] = {text[2 * i + i / 64], text[2 * i + i / 64 + 1], 0};

		((unsigned char *)g->record)[i] = (unsigned char)strtoul(digits, NULL, 16);
	}
	free(text);
}

void golden_each(void (*test)(const struct golden *golden, void *arg), void *arg)
{
	glob_t found;

	assert_int_equal(glob(FOLDER "*.npy", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *path = found.gl_pathv[i] + strlen(FOLDER);
		struct golden golden = {.record = NULL};

		snprintf(golden.name, sizeof(golden.name), "%.*s", (int)(strlen(path) - strlen(".npy")), path);
		read_rows(&golden);
		read_records(&golden);
		test(&golden, arg);
		free(golden.record);
		free(golden.file);
	}
	globfree(&found);
}
