/* SPDX-License-Identifier: Apache-2.0 */
/* Runs an RTL twin as a unit of an image for hardware emulation. */
#include "emulated_rtl.h"

#include <string.h>

const char *emulated_rtl_call(struct rtl **unit, enum rtl_kernel kernel, const unsigned char *registers,
	void *(*at)(uint64_t address, uint64_t bytes))
{
	uint32_t first, last;

	if (!*unit)
		*unit = rtl_new(kernel, at);
	if (!*unit)
		return "no memory for its simulation";
	rtl_arguments(*unit, &first, &last);
	for (uint32_t offset = first; offset <= last; offset += 4) {
		uint32_t value;

		memcpy(&value, registers + offset, sizeof(value));
		rtl_write(*unit, offset, value);
	}
	return rtl_run(*unit);
}
