/* SPDX-License-Identifier: Apache-2.0 */
/* Files of rows: .npy, or raw little-endian values. */
#include "rows_file.h"
#include "npy.h"
#include "param.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int map_file(const char *path, struct rows_file *out, char *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *map;
	int err;

	if (fd < 0)
		return param_fail(-errno, why, "can't open '%s': %s", path, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size == 0) {
		close(fd);
		return param_fail(-EINVAL, why, "'%s' is empty or no regular file", path);
	}
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	err = map == MAP_FAILED ? -errno : 0;
	close(fd);
	if (err)
		return param_fail(err, why, "can't map '%s': %s", path, strerror(-err));
	out->map = map;
	out->map_bytes = (size_t)st.st_size;
	return 0;
}

static bool has_suffix(const char *text, const char *suffix)
{
	size_t length = strlen(text);

	return length >= strlen(suffix) && strcmp(text + length - strlen(suffix), suffix) == 0;
}

static int read_npy(const struct rows_args *args, struct rows_file *out, char *why)
{
	static const struct {
		const char *type;
		enum veto_format format;
	} types[] = {{"f4", VETO_FP32}, {"f2", VETO_FP16}, {"u2", VETO_BF16}};
	struct npy npy;
	size_t i = 0;
	int err;

	err = npy_parse(out->map, out->map_bytes, args->path, &npy, why);
	if (err)
		return err;
	while (i < 3 && strcmp(types[i].type, npy.type) != 0)
		i++;
	if (i == 3)
		return param_fail(-EINVAL, why, "%s: values of type '%s': float32, float16 or uint16 (bf16) are read",
			args->path, npy.type);
	if (args->format >= 0 ? args->format != (int)types[i].format : types[i].format == VETO_BF16)
		return param_fail(-EINVAL, why, "%s: values of type '%s' need --format %s", args->path, npy.type,
			veto_format_names[types[i].format]);
	if (args->stride)
		return param_fail(-EINVAL, why, "--stride is for raw files: '%s' states its shape", args->path);
	if (args->vocab > npy.cols)
		return param_fail(-EINVAL, why, "--vocab %u: '%s' has %llu columns", args->vocab, args->path,
			(unsigned long long)npy.cols);
	out->rows.format = types[i].format;
	out->rows.rows = (uint32_t)npy.rows;
	out->rows.cols = args->vocab ? args->vocab : (uint32_t)npy.cols;
	out->rows.stride_bytes = npy.cols * npy.item_bytes;
	out->rows.data = npy.data;
	return 0;
}

static int read_raw(const struct rows_args *args, struct rows_file *out, char *why)
{
	enum veto_format format = args->format < 0 ? VETO_FP32 : (enum veto_format)args->format;
	uint32_t stride = args->stride ? args->stride : args->vocab;
	size_t row_bytes = stride * veto_format_bytes(format);

	if (!args->vocab)
		return param_fail(-EINVAL, why, "--vocab is needed: '%s' is not .npy", args->path);
	if (stride < args->vocab)
		return param_fail(-EINVAL, why, "--stride %u is below --vocab %u", stride, args->vocab);
	if (out->map_bytes % row_bytes != 0)
		return param_fail(-EINVAL, why,
			"%s: %zu bytes are not a whole number of rows of %zu bytes (%u %s values)", args->path,
			out->map_bytes, row_bytes, stride, veto_format_names[format]);
	if (out->map_bytes / row_bytes > UINT32_MAX)
		return param_fail(-EINVAL, why, "%s: more than %u rows", args->path, UINT32_MAX);
	out->rows.format = format;
	out->rows.rows = (uint32_t)(out->map_bytes / row_bytes);
	out->rows.cols = args->vocab;
	out->rows.stride_bytes = row_bytes;
	out->rows.data = out->map;
	return 0;
}

static int read_token(const char *path, uint32_t line, char *text, uint32_t cols, uint32_t *out, char *why)
{
	int64_t id;

	text[strcspn(text, "\r\n")] = 0;
	if (param_count(text, &id))
		return param_fail(-EINVAL, why, "%s:%u: '%.40s' is not a token id", path, line, text);
	if (id >= cols)
		return param_fail(-EINVAL, why, "%s:%u: token %lld is not below the vocabulary of %u", path, line,
			(long long)id, cols);
	*out = (uint32_t)id;
	return 0;
}

static int read_tokens(const char *path, struct rows_file *out, char *why)
{
	FILE *in = fopen(path, "re");
	uint32_t line = 0;
	char *text = NULL;
	size_t size = 0;
	int err = 0;

	if (!in)
		return param_fail(-errno, why, "can't open '%s': %s", path, strerror(errno));
	out->token = malloc(out->rows.rows * sizeof(*out->token) + 1);
	if (!out->token)
		err = param_fail(-ENOMEM, why, "%s: out of memory", path);
	while (!err && getline(&text, &size, in) > 0) {
		if (line == out->rows.rows)
			err = param_fail(-EINVAL, why, "%s:%u: there are only %u rows", path, line + 1, line);
		else
			err = read_token(path, line + 1, text, out->rows.cols, &out->token[line], why);
		line++;
	}
	if (!err && line < out->rows.rows)
		err = param_fail(-EINVAL, why, "%s: %u token ids for %u rows", path, line, out->rows.rows);
	out->rows.token = out->token;
	free(text);
	fclose(in);
	return err;
}

int rows_file_open(const struct rows_args *args, struct rows_file *out, char *why)
{
	struct rows_file file = {0};
	int err;

	err = map_file(args->path, &file, why);
	if (err)
		return err;
	err = has_suffix(args->path, ".npy") ? read_npy(args, &file, why) : read_raw(args, &file, why);
	if (!err && (file.rows.cols < 1 || file.rows.cols > VETO_VOCAB_MAX))
		err = param_fail(-EINVAL, why, "%s: a vocabulary of %u: 1 to %u can be scored", args->path,
			file.rows.cols, VETO_VOCAB_MAX);
	if (!err && args->tokens_path)
		err = read_tokens(args->tokens_path, &file, why);
	if (err) {
		rows_file_close(&file);
		return err;
	}
	*out = file;
	return 0;
}

void rows_file_close(struct rows_file *file)
{
	free(file->token);
	munmap((void *)file->map, file->map_bytes);
}
