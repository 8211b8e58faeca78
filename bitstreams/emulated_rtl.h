/* SPDX-License-Identifier: Apache-2.0 */
/* The RTL twins behind the call that kernels of software emulation have. */
#ifndef VETO_EMULATED_RTL_H
#define VETO_EMULATED_RTL_H

#include "rtl.h"

/* Run a unit with the arguments in its registers; *unit is NULL at first, then its simulation.  NULL, or what went wrong. */
const char *emulated_rtl_call(struct rtl **unit, enum rtl_kernel kernel, const unsigned char *registers,
	void *(*at)(uint64_t address, uint64_t bytes));

#endif
