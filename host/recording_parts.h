/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that read and write recordings share. */
#ifndef VETO_RECORDING_PARTS_H
#define VETO_RECORDING_PARTS_H

#include "recording.h"

/* The candidates of a journal; errors as recording_read(). */
int recording_read_journal(const char *path, struct trace *out, char *why);

#endif
