/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded candidates as lines that trainers read. */
#ifndef VETO_EXPORT_H
#define VETO_EXPORT_H

#include "trace.h"

/* Whether there is such a format. */
bool export_knows(const char *format);
/* Write them; says how many candidates or questions lack what the format needs.  EXIT_FAILED: all do. */
int export_lines(const char *command, const char *format, const struct trace *t, FILE *out);

#endif
