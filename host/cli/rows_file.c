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
	if (args->head && npy.cols != args->head->cols)
		return param_fail(-EINVAL, why, "%s: states of %llu values, and the head reads %u", args->path,
			(unsigned long long)npy.cols, args->head->cols);
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
	const uint32_t cols = args->head ? args->head->cols : args->vocab;
	uint32_t stride = args->stride ? args->stride : cols;
	size_t row_bytes = stride * veto_format_bytes(format);

	if (!cols)
		return param_fail(-EINVAL, why, "--vocab is needed: '%s' is not .npy", args->path);
	if (stride < cols)
		return param_fail(-EINVAL, why, "--stride %u is below %s %u", stride,
			args->head ? "the state's values," : "--vocab", cols);
	if (out->map_bytes % row_bytes != 0)
		return param_fail(-EINVAL, why,
			"%s: %zu bytes are not a whole number of rows of %zu bytes (%u %s values)", args->path,
			out->map_bytes, row_bytes, stride, veto_format_names[format]);
	if (out->map_bytes / row_bytes > UINT32_MAX)
		return param_fail(-EINVAL, why, "%s: more than %u rows", args->path, UINT32_MAX);
	out->rows.format = format;
	out->rows.rows = (uint32_t)(out->map_bytes / row_bytes);
	out->rows.cols = cols;
	out->rows.stride_bytes = row_bytes;
	out->rows.data = out->map;
	return 0;
}

static int read_token(const char *text, uint32_t vocab, uint32_t *out, char *why)
{
	int64_t id;

	if (param_count(text, &id))
		return param_fail(-EINVAL, why, "'%.40s' is not a token id", text);
	if (id >= vocab)
		return param_fail(-EINVAL, why, "token %lld is not below the vocabulary of %u", (long long)id, vocab);
	*out = (uint32_t)id;
	return 0;
}

/* Whatever strtod() reads: what is no log-probability leaves the score absent. */
static int read_logp(const char *text, int64_t *out, char *why)
{
	char *end;
	const double nats = strtod(text, &end);

	if (end == text || *end)
		return param_fail(-EINVAL, why, "'%.40s' is not a number", text);
	*out = veto_logp_q20(nats);
	return 0;
}

/* A line a row: token ids, or log-probabilities. */
static int read_lines(const char *path, const struct rows_args *args, bool is_logp, struct rows_file *out, char *why)
{
	const uint32_t vocab = args->head ? args->head->vocab : out->rows.cols;
	char *text = NULL, what[VETO_WHY_MAX];
	FILE *in = fopen(path, "re");
	uint32_t line = 0;
	size_t size = 0;
	int err = 0;

	if (!in)
		return param_fail(-errno, why, "can't open '%s': %s", path, strerror(errno));
	while (!err && getline(&text, &size, in) > 0) {
		if (line == out->rows.rows) {
			err = param_fail(-EINVAL, why, "%s:%u: there are only %u rows", path, line + 1, line);
			break;
		}
		text[strcspn(text, "\r\n")] = 0;
		err = is_logp ? read_logp(text, &out->logp[line], what)
			      : read_token(text, vocab, &out->token[line], what);
		line++;
		if (err)
			param_say(why, "%s:%u: %s", path, line, what);
	}
	if (!err && ferror(in))
		err = param_fail(-EINVAL, why, "can't read '%s': %s", path, strerror(errno));
	if (!err && line < out->rows.rows)
		err = param_fail(-EINVAL, why, "%s: %u %s for %u rows", path, line,
			is_logp ? "log-probabilities" : "token ids", out->rows.rows);
	free(text);
	fclose(in);
	return err;
}

static int read_more(const struct rows_args *args, struct rows_file *out, char *why)
{
	int err = 0;

	if (args->tokens_path)
		out->token = malloc(out->rows.rows * sizeof(*out->token) + 1);
	if (args->logp_path)
		out->logp = malloc(out->rows.rows * sizeof(*out->logp) + 1);
	if ((args->tokens_path && !out->token) || (args->logp_path && !out->logp))
		return param_fail(-ENOMEM, why, "%s: out of memory", args->path);
	if (args->tokens_path)
		err = read_lines(args->tokens_path, args, false, out, why);
	if (!err && args->logp_path)
		err = read_lines(args->logp_path, args, true, out, why);
	out->rows.token = out->token;
	out->rows.token_logp_q20 = out->logp;
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
	file.rows.kind = args->head ? VETO_HIDDEN : VETO_LOGITS;
	if (!err)
		err = read_more(args, &file, why);
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
	free(file->logp);
	munmap((void *)file->map, file->map_bytes);
}
