/* SPDX-License-Identifier: Apache-2.0 */
/* Sources: what makes candidates, hands in their rows, and obeys verdicts. */
#ifndef VETO_SOURCE_H
#define VETO_SOURCE_H

#include "veto.h"

struct source_item {
	struct veto_event event;
	struct veto_payload payload; /* row NULL: none */
};

struct source {
	/* Make the next round: items[capacity] is filled with *count events; 0: there is nothing more to make.  The session
	 * says which waiting candidates may be opened.  Rows stay valid until the next pull().
	 *   -EINTR  stopped by the user, -EIO the engine failed, -EINVAL less room than three events a candidate, and one a question */
	int (*pull)(struct source *s, const struct veto_session *session, struct source_item *items, uint32_t capacity,
		uint32_t *count);
	/* Obey: stop, fork or ask a candidate, or end it as it stands. */
	void (*apply)(struct source *s, const struct veto_verdict *verdict);
};

/* What a caller of play() wants to see. */
struct audience {
	void (*verdict)(void *arg, const struct veto_verdict *verdict); /* shadow ones too */
	void (*round)(void *arg, const struct source_item *items, uint32_t count); /* after its verdicts */
	void *arg;
};

/* Pull, score, decide, apply, until the session is done or the source has no more.  *verify_ns: wall time spent in
 * scoring and deciding.  Errors of the source and of the stream. */
int play(struct source *source, struct veto_stream *stream, const struct audience *audience, uint64_t *verify_ns);

#endif
