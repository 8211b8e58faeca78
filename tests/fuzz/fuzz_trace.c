/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever bytes a trace holds, reading it stays inside them; one that is read has every score and state that it says it has, and
 * no score that can't be. */
#include "trace_lists.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t last_sum; /* so that nothing is left out */

static void check_range(const struct trace_list *list, const struct veto_interval *value)
{
	const double low = (list->low - list->slack) * list->unit - 1,
		     high = (list->high + list->slack) * list->unit + 1;

	if (value->low == TRACE_UNKNOWN)
		return;
	if (value->low > value->high || (double)value->low < low || (double)value->low > high ||
		(value->high != INT64_MAX && (double)value->high > high))
		abort();
}

static void see(const struct trace *t)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < t->questions; i++)
		for (uint32_t j = 0; j < t->candidates; j++) {
			const struct trace_candidate *c = &t->question[i].candidate[j];
			struct veto_score score;

			for (uint32_t token = 0; token < c->tokens; token++) {
				trace_score(c, token, &score);
				for (const struct trace_list *list = trace_lists; list->key; list++)
					if (c->field[list->field])
						check_range(list, &c->field[list->field][token]);
				for (int f = 0; f < VETO_FIELDS; f++)
					if (score.has >> f & 1)
						sum += (uint64_t)score.field[f].low + c->ends_step[token];
				sum += (uint64_t)c->so_far[token];
			}
			for (uint32_t s = 0; s < c->states; s++)
				for (uint32_t k = 0; k < 2 * t->state_cols; k++)
					sum += c->state_token[s] + ((const unsigned char *)c->state[s])[k];
		}
	last_sum = sum;
}

/* A trace's name in a folder where "h.npy" has five states of three values. */
static const char *name_of(void)
{
	static const char header[] = "{'descr': '<f2', 'fortran_order': False, 'shape': (5, 3), }";
	static char folder[32], name[64], npy[64];
	char bytes[10 + 118 + 30] = "\x93NUMPY\x01\x00\x76";
	FILE *out;

	if (*folder)
		return name;
	strcpy(folder, "/tmp/veto_fuzz.XXXXXX");
	if (!mkdtemp(folder))
		abort();
	snprintf(name, sizeof(name), "%s/trace", folder);
	snprintf(npy, sizeof(npy), "%s/h.npy", folder);
	memset(bytes + 10, ' ', 117);
	memcpy(bytes + 10, header, sizeof(header) - 1);
	bytes[127] = '\n';
	out = fopen(npy, "we");
	if (!out || fwrite(bytes, sizeof(bytes), 1, out) != 1 || fclose(out))
		abort();
	return name;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FILE *in = size ? fmemopen((void *)data, size, "r") : NULL;
	struct trace trace;
	char why[VETO_WHY_MAX];

	if (!in)
		return 0;
	if (trace_parse(in, name_of(), &trace, why) == 0) {
		see(&trace);
		trace_free(&trace);
	}
	fclose(in);
	return 0;
}
