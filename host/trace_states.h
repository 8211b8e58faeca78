/* SPDX-License-Identifier: Apache-2.0 */
/* The hidden states of a trace's candidates, and the likeliest tokens' log-probabilities: rows of .npy files beside it. */
#ifndef VETO_TRACE_STATES_H
#define VETO_TRACE_STATES_H

#include "map.h"
#include "trace.h"

struct cJSON;

/* Read a candidate's "hidden"; NULL: it has none.  trace_path: what the file's path is relative to.
 *   -EINVAL  a member missing or of the wrong kind, lists of different lengths, a row beyond the file, positions that do not
 *            rise or lie beyond the tokens, a path that is absolute or has a part "..", a file that can't be read or is no
 *            fp16 .npy, or states of another width than the ones before; `why` quotes it
 *   -ENOMEM */
int trace_read_states(
	const struct cJSON *hidden, const char *trace_path, struct trace *t, struct trace_candidate *c, char *why);
/* Read a candidate's "top"; NULL: it has none.  Errors as above, of an fp32 .npy. */
int trace_read_top(
	const struct cJSON *top, const char *trace_path, struct trace *t, struct trace_candidate *c, char *why);

/* Have the trace own a mapped file. */
int trace_keep_map(struct trace *t, const struct map *map);
/* Move another's files to it. */
void trace_take_files(struct trace *t, struct trace *from);
void trace_free_states(struct trace *t);

#endif
