/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded candidates from wherever: traces and journals, one or several. */
#ifndef VETO_RECORDING_H
#define VETO_RECORDING_H

#include "trace.h"

/* Read recordings of the same sort as one.
 *   -EINVAL  as trace_read(); a damaged journal, or one of a search with beams; recordings of different models, samplers,
 *            templates, score sources, policies, candidates, cohorts or most tokens; a question in two of them
 *   -ENOENT.. -ENOMEM */
int recording_read(const char *const *path, uint32_t paths, struct trace *out, char *why);

/* The candidates of one journal; errors as above. */
int recording_read_journal(const char *path, struct trace *out, char *why);

/* Write a trace as a journal whose candidates were generated in lockstep, without policies.
 *   -EINVAL  the file can't be written; -EIO, -ENOMEM */
int recording_write_journal(const struct trace *t, const char *path, char *why);

/* Write a trace as a trace.  arrays: the path before ".hidden.npy" and ".top.npy", where the states and the likeliest tokens'
 * log-probabilities go, if there are any; NULL: they are left out.  -EIO, -ENOMEM */
int recording_write_trace(const struct trace *t, FILE *out, const char *arrays, char *why);

/* How it was recorded, as a JSON object: a trace's first line, or the header of a journal. */
void recording_print_header(const struct trace *t, bool is_trace, FILE *out);

#endif
