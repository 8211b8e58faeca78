/* SPDX-License-Identifier: Apache-2.0 */
/* What a driver implements: a backend finds records and top lists for jobs; device.c does everything else. */
#ifndef VETO_BACKEND_H
#define VETO_BACKEND_H

#include "fx1.h"
#include "head.h"

/* What a driver finds out about one row. */
struct row_result {
	union {
		struct {
			struct veto_record record;
			struct fx1_top top[VETO_TOP_MAX]; /* the first job->top_entries are filled, best first */
		};
		struct head_result head; /* VETO_HIDDEN */
	};
};

/* Rows to score.  A driver reads what is above dev, fills result[rows.rows], and ends the job once, in job_finish(). */
struct job {
	struct veto_rows rows; /* checked */
	uint32_t top_entries; /* VETO_LOGITS: 2..VETO_TOP_MAX */
	const struct veto_head *head; /* VETO_HIDDEN: that of the slot rows.head */
	struct row_result *result;

	struct veto_device *dev; /* from here on device.c's own */
	struct veto_results out;
	struct job *next;
	uint64_t tag, device_ns;
	size_t result_rows; /* room in result */
	int status;
};

/* A device as its driver sees it. */
struct driver {
	void *state; /* the driver's */
	struct veto_device_info *info; /* open() fills depth, formats, memories and heads, and may write uri */
	char trouble[VETO_WHY_MAX]; /* why the next jobs that fail do; written before they end */
};

struct backend {
	const char *name, *help;
	const struct veto_param *param;
	int (*open)(struct driver *drv, const struct veto_values *args, char *why);
	/* Ends every job not yet ended, with -ECANCELED. */
	void (*close)(struct driver *drv);
	/* Takes the job and returns at once; it never fails. */
	void (*submit)(struct driver *drv, struct job *job);
	/* With info->heads: make a head ready in that slot (below VETO_HEADS_MAX), with no job in flight, and
	 * forget it. */
	int (*load)(struct driver *drv, uint32_t slot, const struct veto_head *head, char *why);
	void (*unload)(struct driver *drv, uint32_t slot);
	/* NULL, or: do a piece of the work on the waiting caller's thread; false: there is none. */
	bool (*work)(struct driver *drv);
	/* The URIs worth opening here. */
	void (*list)(void (*found)(void *arg, const char *uri), void *arg);
};

/* End a job; from any thread.  device_ns is the time the device spent on it. */
void job_finish(struct job *job, int status, uint64_t device_ns);

/* The backends that are built in; NULL ends the list. */
extern const struct backend *const backends[];

/* Those that are not, and what the build had to find for them; a NULL name ends the list. */
extern const struct backend_absent {
	const char *name, *needs;
} backends_absent[];

#endif
