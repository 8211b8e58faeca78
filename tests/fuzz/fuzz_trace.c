/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever bytes a trace holds, reading it stays inside them; one that is read has every score that it says it has. */
#include "trace.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t last_sum; /* so that nothing is left out */

static void see(const struct trace *t)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < t->questions; i++)
		for (uint32_t j = 0; j < t->candidates; j++) {
			const struct trace_candidate *c = &t->question[i].candidate[j];
			struct veto_score score;

			for (uint32_t token = 0; token < c->tokens; token++) {
				trace_score(c, token, &score);
				for (int f = 0; f < VETO_FIELDS; f++)
					if (score.has >> f & 1)
						sum += (uint64_t)score.field[f].low + c->ends_step[token];
			}
		}
	last_sum = sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FILE *in = size ? fmemopen((void *)data, size, "r") : NULL;
	struct trace trace;
	char why[VETO_WHY_MAX];

	if (!in)
		return 0;
	if (trace_parse(in, "trace", &trace, why) == 0) {
		see(&trace);
		trace_free(&trace);
	}
	fclose(in);
	return 0;
}
