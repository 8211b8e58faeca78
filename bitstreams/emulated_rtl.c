/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of an image for hardware emulation: the RTL twin, behind the call that kernels of software emulation have. */
#include "emulated.h"
#include "rtl.h"
#include "veto_kernels.h"

#include <string.h>

#define FIRST_REGISTER 0x10u

static const char *call(const unsigned char *registers, void *(*at)(uint64_t address, uint64_t bytes))
{
	static struct rtl *rtl;

	if (!rtl)
		rtl = rtl_new(at);
	if (!rtl)
		return "no memory for its simulation";
	for (uint32_t offset = FIRST_REGISTER; offset <= VETO_SCORE_LOGITS_COUNT_REGISTER; offset += 4) {
		uint32_t value;

		memcpy(&value, registers + offset, sizeof(value));
		rtl_write(rtl, offset, value);
	}
	return rtl_run(rtl);
}

const struct emulated_kernel veto_emulated_kernels[] = {{"veto_score_logits", VETO_SCORE_LOGITS_BASE, call}, {0}};
