/* SPDX-License-Identifier: Apache-2.0 */
/* The loop that every command shares: pull, push, round, apply. */
#include "clock.h"
#include "source.h"

#include <errno.h>
#include <stdlib.h>

static int judge(struct veto_stream *stream, const struct source_item *items, uint32_t count)
{
	int err = 0;

	for (uint32_t i = 0; i < count && !err; i++)
		err = veto_stream_push(stream, &items[i].event, &items[i].payload);
	return err ? err : veto_stream_round(stream, -1);
}

static int play_round(struct source *source, struct veto_stream *stream, const struct audience *audience,
	struct source_item *items, uint32_t count, uint64_t *verify_ns)
{
	uint64_t start = clock_ns();
	struct veto_verdict verdict;
	int err;

	err = judge(stream, items, count);
	*verify_ns += clock_ns() - start;
	if (err)
		return err;
	while (veto_stream_next(stream, &verdict)) {
		audience->verdict(audience->arg, &verdict);
		if (!verdict.is_shadow)
			source->apply(source, &verdict);
	}
	audience->round(audience->arg, items, count);
	return 0;
}

int play(struct source *source, struct veto_stream *stream, const struct audience *audience, uint64_t *verify_ns)
{
	uint32_t capacity = (3 + VETO_RULES_MAX) * VETO_CANDIDATES_MAX; /* open, token, close and replies of each */
	struct source_item *items = malloc(capacity * sizeof(*items));
	uint32_t count = 1;
	int err = items ? 0 : -ENOMEM;

	while (!err && count > 0 && !veto_session_is_done(veto_stream_session(stream))) {
		err = source->pull(source, veto_stream_session(stream), items, capacity, &count);
		if (!err && count > 0)
			err = play_round(source, stream, audience, items, count, verify_ns);
	}
	free(items);
	return err;
}
