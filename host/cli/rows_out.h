/* SPDX-License-Identifier: Apache-2.0 */
/* An .npy file of fp32 rows that is being written. */
#ifndef VETO_ROWS_OUT_H
#define VETO_ROWS_OUT_H

#include <stdint.h>
#include <stdio.h>

struct rows_out {
	const char *path;
	FILE *file;
	uint64_t rows;
	uint32_t cols;
	int err; /* negative errno of the first row that could not be written; later ones are left out */
};

/* -EINVAL: can't be written */
int rows_out_open(struct rows_out *out, const char *path, uint32_t cols, char *why);
void rows_out_write(struct rows_out *out, const void *row);
/* Leaves the rows that were written whole.  -EIO: not all of them were; `why` says so.  Nothing open: 0. */
int rows_out_close(struct rows_out *out, char *why);

#endif
