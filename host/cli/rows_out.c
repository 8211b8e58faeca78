/* SPDX-License-Identifier: Apache-2.0 */
/* An .npy file of fp32 rows that is being written. */
#include "rows_out.h"
#include "npy.h"
#include "param.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int rows_out_open(struct rows_out *out, const char *path, uint32_t cols, char *why)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return param_fail(-EINVAL, why, "can't write '%s': %s", path, strerror(errno));
	setvbuf(file, NULL, _IONBF, 0);
	if (npy_write_header(file, "f4", 0, cols, true)) {
		param_say(why, "can't write '%s': %s", path, strerror(errno));
		fclose(file);
		return -EINVAL;
	}
	*out = (struct rows_out){.path = path, .file = file, .cols = cols};
	return 0;
}

/* The row, then the header with its number, so that whenever the process ends the file holds what it says. */
static int append(struct rows_out *out, const void *row)
{
	if (fwrite(row, out->cols * sizeof(float), 1, out->file) != 1 || fseek(out->file, 0, SEEK_SET) ||
		npy_write_header(out->file, "f4", out->rows + 1, out->cols, true) || fseek(out->file, 0, SEEK_END))
		return -errno;
	out->rows++;
	return 0;
}

void rows_out_write(struct rows_out *out, const void *row)
{
	if (!out->err)
		out->err = append(out, row);
}

int rows_out_close(struct rows_out *out, char *why)
{
	off_t whole = (off_t)(NPY_HEADER_BYTES + out->rows * out->cols * sizeof(float));
	int err = 0;

	if (!out->file)
		return 0;
	if (out->err)
		err = param_fail(-EIO, why, "can't write '%s': %s; it holds the first %llu rows", out->path,
			strerror(-out->err), (unsigned long long)out->rows);
	if (out->err && ftruncate(fileno(out->file), whole))
		err = param_fail(-EIO, why, "can't write '%s', and half a row stands at its end: %s", out->path,
			strerror(errno));
	if (!err && (fseek(out->file, 0, SEEK_SET) || npy_write_header(out->file, "f4", out->rows, out->cols, false)))
		err = param_fail(-EIO, why, "can't write '%s': %s", out->path, strerror(errno));
	if (fclose(out->file) && !err)
		err = param_fail(-EIO, why, "can't write '%s': %s", out->path, strerror(errno));
	out->file = NULL;
	return err;
}
