/* SPDX-License-Identifier: Apache-2.0 */
/* The RTL twin as veto_score_logits(): memory is the test's. */
#ifndef VETO_TESTS_RTL_KERNEL_H
#define VETO_TESTS_RTL_KERNEL_H

#include "rtl.h"

/* How memory behaves in the launches that follow; until it is set, another way each launch. */
void rtl_kernel_pace(const struct rtl_pace *pace);

/* Of the last launch. */
uint64_t rtl_kernel_cycles(void);

#endif
