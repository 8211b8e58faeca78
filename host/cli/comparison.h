/* SPDX-License-Identifier: Apache-2.0 */
/* What veto evaluate says of a setting beyond its sums: beside baselines, beside the first policy, and of its score. */
#ifndef VETO_COMPARISON_H
#define VETO_COMPARISON_H

#include "baselines.h"
#include "reliability.h"

struct comparison {
	double saved_cap, saved_random; /* at the setting's risk of candidates; NAN: there is no such risk */
	double unfinished_saved; /* share of the tokens of candidates that never finish; NAN: all finish */
	int field; /* that its first rejecting rule reads; -1: none */
	struct reliability reliability; /* of that score */
	bool has_reference; /* the differences from the first policy are known */
};

void comparison_make(const struct trace *trace, const enum part *part, const struct setting *setting,
	const struct evaluation *e, const struct baselines *b, bool has_reference, struct comparison *out);
/* As JSON members behind others, and as lines of text. */
void comparison_print_json(const struct comparison *c, const struct evaluation *e, const struct baselines *b);
void comparison_print_text(const struct comparison *c, const struct evaluation *e, const struct baselines *b);

#endif
