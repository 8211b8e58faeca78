/* SPDX-License-Identifier: Apache-2.0 */
/* Archives for unzip: stored, not packed, and without dates, so that the same files give the same bytes. */
#ifndef VETO_ZIP_H
#define VETO_ZIP_H

#include <stdbool.h>
#include <stddef.h>

struct zip_file {
	const char *path; /* inside the archive */
	const void *data;
	size_t bytes; /* below 4 GiB, with all others */
	bool is_program;
};

/* The archive, to be freed; NULL: out of memory. */
void *zip_make(const struct zip_file *files, size_t count, size_t *bytes);

#endif
