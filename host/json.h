/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON that the programs read and write. */
#ifndef VETO_JSON_H
#define VETO_JSON_H

#include "veto.h"

#include <stdio.h>

/* Read one flat object and call member() for each key: a number as its text, true and false as words, an array of such
 * values joined by '+'.  Messages name file, and lines are counted from first_line.
 *   -EINVAL  no object, or a nested one; `why` gives line and column; else what member() returned
 *   -ENOMEM */
int json_object(const char *text, size_t bytes, const char *file, uint32_t first_line,
	int (*member)(void *arg, const char *key, const char *value, char *why), void *arg, char *why);

/* Write a string in quotes; bytes that are not UTF-8 become U+FFFD. */
void json_write_string(FILE *out, const char *text);

#endif
