/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON that the programs read and write. */
#ifndef VETO_JSON_H
#define VETO_JSON_H

#include "veto.h"

#include <stdio.h>

/* How the members of a policy file begin that say what it was calibrated for, which is for those who use it. */
#define JSON_CALIBRATED "calibrated_"

/* A text that holds one object. */
struct json_source {
	const char *text;
	size_t bytes;
	const char *file; /* named in messages */
	uint32_t first_line; /* the text's first line is this one of the file */
	bool has_lists; /* values may be arrays */
};

/* Read one flat object and call member() for each key: a number as its text, true and false as words, an array of such
 * values joined by '+'.
 *   -EINVAL  no object, a key twice, a value of another kind, or a NUL; `why` gives file, line and column
 *   -ENOMEM
 * or what member() returned: its message then stands behind file, line and column. */
int json_object(const struct json_source *source,
	int (*member)(void *arg, const char *key, const char *value, char *why), void *arg, char *why);

/* What is wrong with the object as a whole; returns -EINVAL. */
int json_fail(const struct json_source *source, const char *what, char *why);

/* Bytes of the UTF-8 character at text; 0: none. */
int json_utf8_length(const char *text);

/* Write a string in quotes; bytes that are not UTF-8 become U+FFFD. */
void json_write_string(FILE *out, const char *text);

#endif
