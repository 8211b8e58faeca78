/* SPDX-License-Identifier: Apache-2.0 */
/* Launches of veto_score_logits as a host makes them, and what must come of them. */
#ifndef VETO_TESTS_LAUNCH_H
#define VETO_TESTS_LAUNCH_H

#include "veto.h"
#include "veto_hw.h"

/* Each row lies on a beat of its own, whatever its stride was. */
struct launch {
	struct veto_beat *rows;
	struct veto_logits_job *job;
	struct veto_beat *results;
	uint32_t count;
};

/* Of all rows of some sets; what lies behind a row in its last beat is `filler`.  Tags count from 1000. */
struct launch launch_new(const struct veto_rows *sets, size_t count, uint32_t k, int filler);
void launch_free(struct launch *l);

/* Call the kernel that is linked, and see that its trailer is one. */
struct veto_trailer launch_run(struct launch *l);

/* A row's result is the reference's. */
void launch_assert(const struct launch *l, uint32_t index, const void *row, const char *what);

/* All of that: a launch whose rows all have the reference's results. */
void launch_check(const struct veto_rows *sets, size_t count, uint32_t k, int filler, const char *what);

#endif
