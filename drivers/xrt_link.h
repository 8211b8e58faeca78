/* SPDX-License-Identifier: Apache-2.0 */
/* Between the xrt: driver and its child, veto-xrt: messages over a socket, rows and results in memory that both map. */
#ifndef VETO_XRT_LINK_H
#define VETO_XRT_LINK_H

#include "veto_hw.h"

#define LINK_KERNEL "veto_score_logits"
#define LINK_UNITS_MAX 16u /* compute units that are used */
#define LINK_SLOTS_A_UNIT 2u /* launches at a time: the rows of one are copied while another runs */
#define LINK_SLOTS_MAX (LINK_UNITS_MAX * LINK_SLOTS_A_UNIT)
#define LINK_LAUNCH_ROWS 1024u
#define LINK_ROWS_BYTES (16u << 20) /* of rows a launch; XRT's emulation can't copy 20 MiB at once */

struct link_slot {
	struct veto_beat rows[LINK_ROWS_BYTES / sizeof(struct veto_beat)];
	struct veto_logits_job job[LINK_LAUNCH_ROWS];
	struct veto_logits_result result[LINK_LAUNCH_ROWS];
	struct veto_trailer trailer; /* copied from behind the last result */
};

/* The memory that both map is slot[units * LINK_SLOTS_A_UNIT].  Unit u runs the slots u, u + units, ... */
static inline size_t link_memory_bytes(uint32_t units) { return units * LINK_SLOTS_A_UNIT * sizeof(struct link_slot); }

#define LINK_TEXT_BYTES 256

/* The child's first message. */
struct link_hello {
	int32_t status; /* 0, or negative errno */
	char text[LINK_TEXT_BYTES]; /* the card's name, or what went wrong */
};

struct link_launch {
	uint32_t slot, rows;
	uint64_t rows_bytes; /* whole beats */
};

/* The answers to a launch: when its rows are on the card and it is started, and at its end. */
struct link_report {
	uint32_t slot;
	int32_t status;
	uint32_t is_over;
	uint64_t device_ns;
	char text[LINK_TEXT_BYTES]; /* with a status: what went wrong */
};

#endif
