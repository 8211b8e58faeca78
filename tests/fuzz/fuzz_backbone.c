/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever bytes a GGUF file holds, finding out whose states its model makes stays inside them. */
#include "backbone.h"
#include "veto.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *file = malloc(size ? size : 1);
	struct backbone backbone;
	char why[VETO_WHY_MAX];

	if (!file)
		abort();
	memcpy(file, data, size);
	if (size >= 4)
		memcpy(file, "GGUF", 4);
	backbone_parse(file, size, "model", &backbone, why);
	free(file);
	return 0;
}
