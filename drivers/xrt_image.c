/* SPDX-License-Identifier: Apache-2.0 */
/* Checks an image before it is loaded. */
#include "xrt_image.h"
#include "param.h"
#include "xclbin.h"
#include "xrt_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Its compute units are named "kernel:unit". */
static int check_kernel(const struct xclbin *image, const char *path, char *why)
{
	char known[256] = "none";
	struct xclbin_ip ip;
	size_t used = 0;

	for (uint32_t i = 0; xclbin_record(image, XCLBIN_IP_LAYOUT, i, &ip); i++) {
		if (strncmp(ip.name, LINK_KERNEL ":", sizeof(LINK_KERNEL)) == 0)
			return 0;
		if (used < sizeof(known))
			used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%.64s", i ? ", " : "", ip.name);
	}
	return param_fail(-EINVAL, why, "xrt: %s: it has no kernel " LINK_KERNEL "; it has: %s", path, known);
}

static int check(const struct xclbin *image, const char *path, uint16_t mode, char *why)
{
	uint32_t contract, arithmetic;

	if (image->mode != mode)
		return param_fail(-EINVAL, why, "xrt: %s: it is an image for mode %u, and mode %u is wanted", path,
			image->mode, mode);
	if (!xclbin_versions(image, &contract, &arithmetic))
		return param_fail(
			-EINVAL, why, "xrt: %s: it does not state the versions of contract and arithmetic", path);
	if (contract != VETO_KERNEL_CONTRACT)
		return param_fail(-EINVAL, why, "xrt: %s: its kernels follow contract %u, and %u is wanted", path,
			contract, VETO_KERNEL_CONTRACT);
	if (arithmetic != VETO_FX1_VERSION)
		return param_fail(-EINVAL, why, "xrt: %s: its arithmetic is version %u, and %u is wanted", path,
			arithmetic, VETO_FX1_VERSION);
	return check_kernel(image, path, why);
}

int image_check(const char *path, uint16_t mode, char *why)
{
	struct xclbin image;
	void *memory;
	int err = xclbin_load(path, &image, &memory, why);

	if (err)
		return err;
	err = check(&image, path, mode, why);
	free(memory);
	return err;
}
