/* SPDX-License-Identifier: Apache-2.0 */
/* Verifiers and streams from the inside. */
#ifndef VETO_STREAM_H
#define VETO_STREAM_H

#include "head.h"

#define OF_STATE 1u /* in a job's tag, beside the address of what it is for */

struct veto_verifier {
	struct veto_device *dev;
	const struct veto_head *head[VETO_HEADS_MAX]; /* loaded, by slot */
};

/* An event of the round, with what the device writes about it. */
struct pending {
	struct veto_stream *stream;
	struct pending *next;
	struct veto_event event;
	struct veto_payload payload;
	bool has_payload;
	const float *state; /* NULL: not wanted */
	bool wants_reward;
	struct veto_record record; /* of the row */
	int64_t logp_q20; /* for a table */
	struct veto_score hidden, tabled; /* of the state, by the head and by the table */
	int32_t head_q16[VETO_HEAD_OUTPUTS_MAX];
	uint32_t top_id[VETO_TOP_MAX]; /* likeliest tokens, for who sees the events */
};

/* What a stream knows of a candidate besides its session. */
struct follower {
	uint32_t tokens, step_tokens; /* pushed, and of them those of its step */
	bool has_last;
	struct veto_score last;
	struct head_steps steps;
	struct statistics statistics;
};

struct veto_stream {
	struct veto_verifier *verifier;
	struct veto_session *session;
	struct veto_stream_info info;
	struct veto_rule *rule; /* [info.rules] */
	uint32_t subset[VETO_SUBSET_MAX];
	struct pending *first, **end, *idle;
	uint32_t unscored; /* of the round's rows and states, those still with the device */
	uint32_t head, table; /* slots */
	bool has_tabled; /* the round's states for the table are with the device, or scored */
	struct follower *follower; /* [candidates] */
	struct veto_stream_counts counts;
};

/* A row of the stream as a device reads it; row NULL: none. */
struct veto_rows stream_rows(const struct veto_stream *s, const void *row, const uint32_t *token);
/* Take a finished job off the device.  Errors as veto_device_reap(). */
int verifier_reap(struct veto_verifier *v, int64_t timeout_ns);

#endif
