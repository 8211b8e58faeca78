/* SPDX-License-Identifier: Apache-2.0 */
/* What an image for emulation holds: kernels, each behind one call. */
#ifndef VETO_EMULATED_H
#define VETO_EMULATED_H

#include <stdint.h>

/* A compute unit. */
struct emulated_kernel {
	const char *name;
	uint64_t base; /* of its registers */
	/* Run to the end with the arguments in its registers.  at() gives the memory behind an address of the card, and ends
	 * the card if a burst of so many bytes leaves its buffer; 0: a pointer that the kernel goes on from, guarded by pages
	 * before and behind the buffer.  NULL, or what went wrong. */
	const char *(*call)(const unsigned char *registers, void *(*at)(uint64_t address, uint64_t bytes));
};

/* Ends with a NULL name. */
extern const struct emulated_kernel veto_emulated_kernels[];

#endif
