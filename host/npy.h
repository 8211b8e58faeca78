/* SPDX-License-Identifier: Apache-2.0 */
/* The .npy format of numpy (NEP 1), for arrays of two dimensions. */
#ifndef VETO_NPY_H
#define VETO_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct npy {
	char type[8]; /* without the byte order: "f4", "f2", "u2" */
	uint32_t item_bytes;
	uint64_t rows, cols;
	const void *data; /* inside the bytes that were read */
};

/* Read a whole file that lies in memory.  One whose writer has been killed may have part of a row behind the last one.
 *   -EINVAL  not .npy, wrong shape, byte order or size; `why` quotes it */
int npy_parse(const void *file, size_t bytes, const char *name, struct npy *out, char *why);

/* Bytes of the header that npy_write_header() writes. */
#define NPY_HEADER_BYTES 128

/* Write the header of rows of that type ("f4", "f2") at the file's position; is_growing: more rows follow, and the last one may be torn, which a
 * tab at the header's end says, in the place of a blank.  -EIO */
int npy_write_header(FILE *file, const char *type, uint64_t rows, uint64_t cols, bool is_growing);

#endif
