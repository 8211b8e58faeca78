/* SPDX-License-Identifier: Apache-2.0 */
/* Boards (board-configs/): platform, memory, and the compute units that an image for one has. */
#ifndef VETO_BOARDS_H
#define VETO_BOARDS_H

#include "kernels.h"

#define BOARD_MEMORIES_MAX 4
#define BOARD_UNITS_MAX 16

struct board_memory {
	char name[16];
	uint32_t banks, mib_a_bank;
};

struct board_unit {
	char name[64]; /* <kernel>_<number> */
	uint32_t kernel; /* of the board's */
	char memory[KERNEL_ARGUMENTS_MAX][32]; /* of each buffer argument: NAME[BANK] or NAME[FIRST:LAST] */
};

/* What an FPGA has, or a design takes. */
struct board_resources {
	uint32_t lut, ff, bram36, uram, dsp;
};

struct board {
	char name[16], platform[64], part[64], link[32], status[128];
	uint32_t clock_mhz;
	struct board_resources resources; /* of the part; the platform's shell takes some */
	uint32_t memories;
	struct board_memory memory[BOARD_MEMORIES_MAX];
	struct kernels kernels; /* with as many ports as their units have */
	uint32_t units;
	struct board_unit unit[BOARD_UNITS_MAX];
};

/* Read a board whose units run these kernels.
 *   -EINVAL  no JSON, a key missing or out of range, a kernel or an argument that the description lacks, a bank that the
 *            board lacks, or memory that does not sum up to memory_gib; `why` says which */
int board_read(const char *path, const struct kernels *kernels, struct board *out, char *why);

#endif
