/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs of the xrt: device, and the launches that carry their rows. */
#ifndef VETO_XRT_FLIGHT_H
#define VETO_XRT_FLIGHT_H

#include "backend.h"
#include "xrt_link.h"

#define XRT_DEPTH 64

/* A job that is not over. */
struct entry {
	struct job *job;
	uint32_t sent, landed; /* rows */
	uint64_t device_ns;
};

/* Those, in the order of submission: a ring. */
struct entries {
	struct entry entry[XRT_DEPTH];
	uint32_t first, count;
};

struct item {
	struct entry *entry;
	uint32_t row, at; /* its place in the launch, in bytes */
};

/* A launch on its way, in a slot of memory. */
struct flight {
	bool is_up;
	enum link_kernel kernel;
	uint32_t rows, jobs, head;
	uint32_t bytes; /* of rows, whole beats */
	struct item item[LINK_LAUNCH_ROWS];
	uint32_t job[LINK_LAUNCH_ROWS]; /* of each row: its job in the launch */
};

static inline struct entry *entries_at(struct entries *e, uint32_t i) { return &e->entry[(e->first + i) % XRT_DEPTH]; }

/* Give rows of the queued jobs for that kernel a place, as many as there is room for; none: f->rows is 0. */
void flight_plan(struct flight *f, enum link_kernel kernel, struct entries *entries, struct link_slot *slot);

/* Copy the rows to their places. */
void flight_copy(const struct flight *f, struct link_slot *slot);

/* The kernel's own word on a launch: 0, or -EIO. */
int flight_check(const struct flight *f, const struct link_slot *slot);

/* Hand the results to the jobs. */
void flight_take(struct flight *f, const struct link_slot *slot, uint64_t device_ns);

#endif
