/* SPDX-License-Identifier: Apache-2.0 */
/* Scores of spans of a recorded candidate's tokens, as rules read them. */
#ifndef VETO_SPANS_H
#define VETO_SPANS_H

#include "trace.h"

/* A rule's parameter by name; *count: its values; NULL: not wanted.  NULL: it has none of that name. */
const int64_t *rule_value(const struct veto_rule *rule, const char *name, uint32_t *count);

/* The mean of tokens from..to - 1, in nats, oriented so that higher is more confident; of an interval its middle.  NAN: fewer
 * than half of them have such a score. */
double span_mean(const struct trace_candidate *c, uint32_t field, uint32_t from, uint32_t to);

/* The score of the first so many tokens: their mean, or of a reward, which speaks of all of them, the last as a
 * probability.  NAN: there is none. */
double span_score(const struct trace_candidate *c, uint32_t field, uint32_t tokens);

#endif
