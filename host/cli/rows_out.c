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
	if (npy_write_header(file, 0, cols) || fflush(file)) {
		param_say(why, "can't write '%s': %s", path, strerror(errno));
		fclose(file);
		return -EINVAL;
	}
	*out = (struct rows_out){.path = path, .file = file, .cols = cols};
	return 0;
}

void rows_out_write(struct rows_out *out, const void *row)
{
	if (out->err)
		return;
	if (fwrite(row, out->cols * sizeof(float), 1, out->file) == 1 && fflush(out->file) == 0)
		out->rows++;
	else
		out->err = errno;
}

/* The header gets the number of rows, and half a row goes. */
static int finish(struct rows_out *out)
{
	off_t bytes = (off_t)(NPY_HEADER_BYTES + out->rows * out->cols * sizeof(float));

	clearerr(out->file);
	if (fseek(out->file, 0, SEEK_SET) || npy_write_header(out->file, out->rows, out->cols) || fflush(out->file))
		return -EIO;
	return out->err && ftruncate(fileno(out->file), bytes) ? -EIO : 0;
}

int rows_out_close(struct rows_out *out, char *why)
{
	int err;

	if (!out->file)
		return 0;
	err = finish(out);
	if (out->err)
		err = param_fail(-EIO, why, "can't write '%s': %s; it holds the first %llu rows", out->path,
			strerror(out->err), (unsigned long long)out->rows);
	else if (err)
		err = param_fail(-EIO, why, "can't write '%s': %s", out->path, strerror(errno));
	if (fclose(out->file) && !err)
		err = param_fail(-EIO, why, "can't write '%s': %s", out->path, strerror(errno));
	out->file = NULL;
	return err;
}
