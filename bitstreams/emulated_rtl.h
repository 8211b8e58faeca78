/* SPDX-License-Identifier: Apache-2.0 */
/* The RTL twin behind the call that kernels of software emulation have. */
#ifndef VETO_EMULATED_RTL_H
#define VETO_EMULATED_RTL_H

#include "rtl.h"

/* Run a unit with the arguments in its registers; *unit is NULL at first, then its simulation.  NULL, or what went wrong. */
const char *emulated_rtl_call(
	struct rtl **unit, const unsigned char *registers, void *(*at)(uint64_t address, uint64_t bytes));

#endif
