/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever bytes an image holds behind its magic and its length, the reader stays inside them. */
#include "veto.h"
#include "xrt_image.h"

#include <stdlib.h>
#include <string.h>

#define LENGTH_AT 304
#define HEADER_BYTES 456

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_everything(const struct xclbin *image, const uint8_t *file, size_t size)
{
	static const uint32_t kinds[] = {XCLBIN_MEM_TOPOLOGY, XCLBIN_CONNECTIVITY, XCLBIN_IP_LAYOUT};
	unsigned char record[sizeof(struct xclbin_ip)];
	struct xclbin_versions versions;

	xclbin_versions(image, &versions);
	for (int k = 0; k < 3; k++)
		for (uint32_t i = 0; xclbin_record(image, kinds[k], i, record); i++)
			;
	for (uint32_t i = 0; i < image->sections; i++) {
		const uint8_t *start = image->section[i].data;

		if (start < file || start > file + size || image->section[i].bytes > (size_t)(file + size - start))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *file = malloc(size ? size : 1);
	const uint64_t length = size;
	struct xclbin image;
	struct image found;
	char why[VETO_WHY_MAX];

	if (!file)
		abort();
	memcpy(file, data, size);
	if (size >= HEADER_BYTES) {
		memcpy(file, "xclbin2", 8);
		memcpy(file + LENGTH_AT, &length, sizeof(length));
	}
	if (xclbin_read(file, size, "image", &image, why) == 0) {
		read_everything(&image, file, size);
		image_read(&image, "image", image.mode, &found, why);
	}
	free(file);
	return 0;
}
