/* SPDX-License-Identifier: Apache-2.0 */
/* Between the xrt: driver and its child, veto-xrt: messages over a socket, rows and results in memory that both map. */
#ifndef VETO_XRT_LINK_H
#define VETO_XRT_LINK_H

#include "veto_hw.h"

enum link_kernel { LINK_LOGITS, LINK_HIDDEN, LINK_KERNELS };
#define LINK_KERNEL_NAMES                                                                                              \
	{                                                                                                              \
		"veto_score_logits", "veto_score_hidden"                                                               \
	}

#define LINK_UNITS_MAX 16u /* compute units that are used, of both kernels */
#define LINK_SLOTS_A_UNIT 2u /* launches at a time: the rows of one are copied while another runs */
#define LINK_SLOTS_MAX (LINK_UNITS_MAX * LINK_SLOTS_A_UNIT)
#define LINK_LAUNCH_ROWS 1024u
#define LINK_ROWS_BYTES (16u << 20) /* of rows a launch; XRT's emulation can't copy 20 MiB at once */
#define LINK_HEADS_MAX 8u
#define LINK_PORTS_MAX 16u /* of weights */
#define LINK_FIRST_PORT 4u /* the argument of veto_score_hidden */
#define LINK_PARTS_MAX (1 + LINK_PORTS_MAX) /* of a head: its meta, then the weights in each port */

union link_job {
	struct veto_logits_job logits;
	struct veto_hidden_job hidden;
};

union link_result {
	struct veto_logits_result logits;
	struct veto_hidden_result hidden;
};

struct link_slot {
	struct veto_beat
		rows[LINK_ROWS_BYTES / sizeof(struct veto_beat)]; /* of logits, or states, or what a head has */
	union link_job job[LINK_LAUNCH_ROWS];
	union link_result result[LINK_LAUNCH_ROWS];
	struct veto_trailer trailer; /* copied from behind the last result */
};

/* The compute units that are used, those of logits first, and the ports of weights that one of hidden states has. */
struct link_units {
	uint32_t of[LINK_KERNELS], ports;
};

static inline uint32_t link_units_all(const struct link_units *u) { return u->of[LINK_LOGITS] + u->of[LINK_HIDDEN]; }

static inline uint32_t link_slots(const struct link_units *u) { return link_units_all(u) * LINK_SLOTS_A_UNIT; }

/* The memory that both map is slot[link_slots()].  Unit u runs the slots u, u + units, ... */
static inline size_t link_memory_bytes(const struct link_units *u) { return link_slots(u) * sizeof(struct link_slot); }

static inline uint32_t link_unit_of(const struct link_units *u, uint32_t slot) { return slot % link_units_all(u); }

static inline enum link_kernel link_kernel_of(const struct link_units *u, uint32_t slot)
{
	return link_unit_of(u, slot) < u->of[LINK_LOGITS] ? LINK_LOGITS : LINK_HIDDEN;
}

#define LINK_TEXT_BYTES 256

/* The child's first message. */
struct link_hello {
	int32_t status; /* 0, or negative errno */
	char text[LINK_TEXT_BYTES]; /* what went wrong */
};

enum link_op {
	LINK_RUN, /* the jobs of a slot; two reports: when its rows are on the card and it is started, and at its end */
	/* With no run in flight; one report each: */
	LINK_LOAD, /* a buffer for a part of a head */
	LINK_FILL, /* bytes from the start of slot 0's rows to an offset of a part of a head */
	LINK_UNLOAD
};

struct link_call {
	uint32_t op; /* enum link_op */
	uint32_t slot;
	uint32_t jobs, results; /* LINK_RUN */
	uint32_t head; /* below LINK_HEADS_MAX; LINK_RUN: of hidden states */
	uint32_t part; /* LINK_LOAD, LINK_FILL */
	uint64_t bytes; /* LINK_RUN: of rows, whole beats; LINK_LOAD, LINK_FILL */
	uint64_t offset; /* LINK_FILL */
};

struct link_report {
	uint32_t slot;
	int32_t status;
	uint32_t is_over;
	uint64_t device_ns;
	char text[LINK_TEXT_BYTES]; /* with a status: what went wrong */
};

#endif
