/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the RTL twin as a unit of an image for hardware emulation. */
#include "emulated_rtl.h"
#include "veto_kernels.h"

#include <string.h>

const char *emulated_rtl_call(
	struct rtl **unit, const unsigned char *registers, void *(*at)(uint64_t address, uint64_t bytes))
{
	if (!*unit)
		*unit = rtl_new(at);
	if (!*unit)
		return "no memory for its simulation";
	for (uint32_t offset = VETO_SCORE_LOGITS_ROWS_REGISTER; offset <= VETO_SCORE_LOGITS_COUNT_REGISTER;
		offset += 4) {
		uint32_t value;

		memcpy(&value, registers + offset, sizeof(value));
		rtl_write(*unit, offset, value);
	}
	return rtl_run(*unit);
}
