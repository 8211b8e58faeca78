/* SPDX-License-Identifier: Apache-2.0 */
/* Launches of veto_score_hidden with one port of weights as a host makes them, and what must come of them. */
#ifndef VETO_TESTS_HIDDEN_LAUNCH_H
#define VETO_TESTS_HIDDEN_LAUNCH_H

#include "head.h"
#include "veto_hw.h"

struct memory {
	char *at;
	size_t used; /* bytes, whole beats */
};

/* Where a head lies. */
struct hidden_place {
	uint64_t meta, weights;
};

struct hidden_launch {
	struct memory states, jobs, results, meta, weights;
	uint32_t count; /* jobs */
	int filler; /* of what lies behind a state, or a row of weights, in its last beat */
	struct veto_hidden_result *want; /* of all states */
};

struct hidden_launch hidden_launch_new(int filler);
void hidden_launch_free(struct hidden_launch *l);

/* Lay a head out. */
struct hidden_place hidden_launch_load(struct hidden_launch *l, const struct veto_head *head);
/* Append a job of all the rows, which are at most 16, or one of each with a token, if the head is a table.  Tags count from
 * 1000. */
void hidden_launch_add(struct hidden_launch *l, const struct veto_head *head, const struct hidden_place *place,
	const struct veto_rows *rows);
/* The last job. */
struct veto_hidden_job *hidden_launch_last(struct hidden_launch *l);
/* The last job has so many results more, or fewer, than it was made for. */
void hidden_launch_move(struct hidden_launch *l, int states);

/* What a burst refers to; NULL: it leaves the memory that is in use. */
void *hidden_launch_find(const struct hidden_launch *l, uint64_t address, uint64_t bytes);

/* Take the trailer, once results are there. */
struct veto_trailer hidden_launch_trailer(const struct hidden_launch *l);
/* The results of the first `states` states are the reference's. */
void hidden_launch_assert(const struct hidden_launch *l, uint32_t states, const char *what);

#endif
