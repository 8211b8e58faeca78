/* SPDX-License-Identifier: Apache-2.0 */
/* The description of the kernels (hls/kernels.json), with the register offsets that follow from it. */
#ifndef VETO_KERNELS_DESCRIPTION_H
#define VETO_KERNELS_DESCRIPTION_H

#include <stdbool.h>
#include <stdint.h>

#define KERNELS_MAX 4
#define KERNEL_UNITS_MAX 4
#define KERNEL_DESCRIBED_MAX 8 /* arguments, of which one may stand for several ports */
#define KERNEL_PORTS_MAX 16
#define KERNEL_ARGUMENTS_MAX (KERNEL_DESCRIBED_MAX - 1 + KERNEL_PORTS_MAX)
#define KERNEL_PORT_BITS 512 /* a beat */
#define KERNEL_CONTROL_BYTES 0x10000u /* of the address range that one unit's registers take */

struct kernel_argument {
	char name[32];
	char type[64]; /* in C */
	bool is_buffer; /* has a memory port of its own, m_axi_<name>; else a scalar of 4 bytes */
	uint32_t offset; /* of its register */
};

struct kernel {
	char name[64];
	char header[64]; /* that declares it */
	uint32_t units; /* compute units in images for emulation: <name>_1 and so on */
	uint64_t base; /* of the first one's registers; the others' follow */
	uint32_t arguments;
	struct kernel_argument argument[KERNEL_ARGUMENTS_MAX];
	/* Of these some may be ports that an image has in any number: <name>_0 and so on. */
	char ports_name[32];
	uint32_t first_port, ports; /* 0: none are */
};

struct kernels {
	uint32_t count;
	struct kernel kernel[KERNELS_MAX];
};

/* Read a description.  Registers follow s_axi_control as Vitis lays it out: arguments from 0x10, a buffer's 64-bit address
 * takes 12 bytes, a scalar 8.
 *   -EINVAL  can't be read, no JSON, or a key missing or of the wrong kind; `why` says which */
int kernels_read(const char *path, struct kernels *out, char *why);

/* Give a kernel that has ports so many: 1, 2, 4, 8 or 16.  Reading gives it those of emulation. */
void kernel_set_ports(struct kernel *kernel, uint32_t ports);

#endif
