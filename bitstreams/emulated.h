/* SPDX-License-Identifier: Apache-2.0 */
/* What an image for software emulation holds: kernels as gcc builds them, each behind one call. */
#ifndef VETO_EMULATED_H
#define VETO_EMULATED_H

#include <stdint.h>

struct emulated_kernel {
	const char *name;
	uint64_t base; /* of its registers */
	/* Run with the arguments in its registers; at() gives the memory behind an address of the card. */
	void (*call)(const unsigned char *registers, void *(*at)(uint64_t address));
};

/* Ends with a NULL name. */
extern const struct emulated_kernel veto_emulated_kernels[];

#endif
