/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever bytes an .npy file holds, the reader stays inside them. */
#include "npy.h"
#include "veto.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[VETO_WHY_MAX];
	struct npy npy;

	if (npy_parse(data, size, "fuzz.npy", &npy, why) == 0) {
		size_t bytes = npy.rows * npy.cols * npy.item_bytes;

		if ((const uint8_t *)npy.data < data || (const uint8_t *)npy.data + bytes > data + size)
			abort();
	}
	return 0;
}
