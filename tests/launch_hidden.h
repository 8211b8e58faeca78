/* SPDX-License-Identifier: Apache-2.0 */
/* Launches of veto_score_hidden as a host makes them, and what must come of them. */
#ifndef VETO_TESTS_LAUNCH_HIDDEN_H
#define VETO_TESTS_LAUNCH_HIDDEN_H

#include "head.h"
#include "rows.h"
#include "score_hidden.h"

#define HIDDEN_JOBS_MAX VETO_LAUNCH_ROWS_MAX

/* Bytes that grow at their end, and end where they end. */
struct memory {
	char *data;
	size_t bytes;
};

struct hidden_launch {
	struct memory states, meta, weights[VETO_WEIGHT_PORTS];
	int filler; /* lies around everything, and where nothing counts */
	uint32_t count;
	struct veto_hidden_job job[HIDDEN_JOBS_MAX];
	const struct veto_head *head[HIDDEN_JOBS_MAX];
	int64_t logp_q20[HIDDEN_JOBS_MAX]; /* of a table */
	struct veto_beat *results;
};

struct hidden_launch *hidden_launch_new(int filler);
void hidden_launch_free(struct hidden_launch *l);

/* A job for a head, whose meta and weights come into the memories; a table has one state.  kind STATE_KINDS: any, state
 * by state.  Tags count from 1000. */
void hidden_launch_add(struct hidden_launch *l, const struct veto_head *head, enum veto_format format,
	enum state_kind kind, uint32_t states, struct dice *dice);

/* Call the kernel that is linked for `count` jobs, and see that its trailer is one. */
struct veto_trailer hidden_launch_run(struct hidden_launch *l, uint32_t count);

/* The results of the first `jobs` jobs are the reference's, and behind them nothing is written. */
void hidden_launch_assert(const struct hidden_launch *l, uint32_t jobs, const char *what);

/* All of that, and free it. */
void hidden_launch_check(struct hidden_launch *l, const char *what);

#endif
