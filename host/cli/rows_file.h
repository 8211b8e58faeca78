/* SPDX-License-Identifier: Apache-2.0 */
/* Files of rows of logits or of hidden states: .npy, or raw little-endian values. */
#ifndef VETO_ROWS_FILE_H
#define VETO_ROWS_FILE_H

#include "veto.h"

struct rows_file {
	const void *map; /* the whole file */
	size_t map_bytes;
	uint32_t *token; /* [rows.rows] or NULL */
	int64_t *logp; /* [rows.rows] or NULL */
	struct veto_rows rows; /* all rows of the file */
};

/* What the user says of a file; 0 or -1: nothing. */
struct rows_args {
	const char *path, *tokens_path, *logp_path;
	const struct veto_head_info *head; /* the rows are states for it; NULL: logits */
	int format; /* enum veto_format, or -1 */
	uint32_t vocab, stride; /* values */
};

/* Map the file and check it.  Errors are -EINVAL (the file is not as it should be) or what opening it gave. */
int rows_file_open(const struct rows_args *args, struct rows_file *out, char *why);
void rows_file_close(struct rows_file *file);

#endif
