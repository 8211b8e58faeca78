/* SPDX-License-Identifier: Apache-2.0 */
/* The RTL twin of a kernel, and what a card has around it: a host's bus to its registers, and memory behind its ports, which
 * sees that the kernel keeps to AXI4. */
#ifndef VETO_RTL_H
#define VETO_RTL_H

#include <stdint.h>

struct rtl;

enum rtl_kernel { RTL_VETO_SCORE_LOGITS, RTL_VETO_SCORE_HIDDEN, RTL_KERNELS };

#define RTL_BUFFERS_MAX 5

/* How the memory behaves. */
struct rtl_pace {
	uint32_t latency_cycles; /* from a burst's address to its first beat, or from a write to its answer */
	uint32_t gaps; /* percent of the clocks in which a port is not ready, each port for itself */
	uint64_t seed; /* of the gaps */
	uint32_t
		slow_read; /* the read port, in the order of arguments from 1 on, whose latency is 20 times as long; 0: none */
	uint32_t failing_reads, failing_writes; /* the n-th burst is answered with an error; 0: none */
};

/* Of memory whose pace was not set: 137 ns at 300 MHz, an assumption of the order that arXiv 2005.04324 measures of an HBM. */
#define RTL_LATENCY_CYCLES 41

/* Made, and out of reset.
 * at() gives the memory behind a burst, which lies inside one buffer; it does not return where there is none.  NULL:
 * addresses are this process's own. */
struct rtl *rtl_new(enum rtl_kernel kernel, void *(*at)(uint64_t address, uint64_t bytes));
void rtl_free(struct rtl *rtl);

/* For the launches that follow; at first RTL_LATENCY_CYCLES, and no gaps. */
void rtl_set_pace(struct rtl *rtl, const struct rtl_pace *pace);

/* A register of s_axi_control. */
void rtl_write(struct rtl *rtl, uint32_t offset, uint32_t value);
uint32_t rtl_read(struct rtl *rtl, uint32_t offset);
/* Those of the arguments: from the first one's offset to the last one's. */
void rtl_arguments(const struct rtl *rtl, uint32_t *first, uint32_t *last);

/* Start the kernel with the arguments in its registers, and clock it until its interrupt says that it is done.
 * NULL, or how it broke AXI4, or that it moved nothing for a million cycles; after that it is of no more use. */
const char *rtl_run(struct rtl *rtl);

/* That, with these arguments: addresses in the order of the description of the kernels, then the count. */
const char *rtl_launch(struct rtl *rtl, const uint64_t *buffers, uint32_t count);

/* Of the last run, from its start to its end. */
uint64_t rtl_cycles(const struct rtl *rtl);

#endif
