/* SPDX-License-Identifier: Apache-2.0 */
/* Checks an image before it is loaded. */
#include "xrt_image.h"
#include "param.h"
#include "xrt_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_unit(const struct xclbin_ip *ip) { return strncmp(ip->name, LINK_KERNEL ":", sizeof(LINK_KERNEL)) == 0; }

static uint32_t count_units(const struct xclbin *image)
{
	struct xclbin_ip ip;
	uint32_t units = 0;

	for (uint32_t i = 0; xclbin_record(image, XCLBIN_IP_LAYOUT, i, &ip); i++)
		units += is_unit(&ip);
	return units;
}

static int fail_without_kernel(const struct xclbin *image, const char *path, char *why)
{
	char known[256] = "none";
	struct xclbin_ip ip;
	size_t used = 0;

	for (uint32_t i = 0; xclbin_record(image, XCLBIN_IP_LAYOUT, i, &ip) && used < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%.64s", i ? ", " : "", ip.name);
	return param_fail(-EINVAL, why, "xrt: %s: it has no kernel " LINK_KERNEL "; it has: %s", path, known);
}

/* Its compute units are named "kernel:kernel_N"; the child opens them by that name. */
static int check_kernel(const struct xclbin *image, const char *path, uint32_t *units, char *why)
{
	const uint32_t count = count_units(image);
	struct xclbin_ip ip;

	if (count == 0)
		return fail_without_kernel(image, path, why);
	for (uint32_t i = 0; xclbin_record(image, XCLBIN_IP_LAYOUT, i, &ip); i++) {
		uint32_t number = 0;
		int end = 0;

		if (!is_unit(&ip))
			continue;
		ip.name[sizeof(ip.name) - 1] = 0;
		if (sscanf(ip.name, LINK_KERNEL ":" LINK_KERNEL "_%u%n", &number, &end) != 1 || ip.name[end] ||
			number < 1 || number > count)
			return param_fail(-EINVAL, why,
				"xrt: %s: a unit is named '%.64s'; its units are to be named " LINK_KERNEL "_1 to _%u",
				path, ip.name, count);
	}
	*units = count;
	return 0;
}

int image_read(const struct xclbin *image, const char *path, uint16_t mode, struct image *out, char *why)
{
	static const uint32_t needed[] = {
		XCLBIN_BITSTREAM, XCLBIN_EMBEDDED_METADATA, XCLBIN_MEM_TOPOLOGY, XCLBIN_CONNECTIVITY, XCLBIN_IP_LAYOUT};
	uint32_t contract, arithmetic;
	unsigned char uuid[16];
	char names[2][16];

	if (image->mode != mode)
		return param_fail(-EINVAL, why, "xrt: %s: it is an image for %s, and one for %s is wanted", path,
			xclbin_mode_name(image->mode, names[0]), xclbin_mode_name(mode, names[1]));
	if (!xclbin_versions(image, &contract, &arithmetic))
		return param_fail(
			-EINVAL, why, "xrt: %s: it does not state the versions of contract and arithmetic", path);
	if (contract != VETO_KERNEL_CONTRACT)
		return param_fail(-EINVAL, why, "xrt: %s: its kernels follow contract %u, and %u is wanted", path,
			contract, VETO_KERNEL_CONTRACT);
	if (arithmetic != VETO_FX1_VERSION)
		return param_fail(-EINVAL, why, "xrt: %s: its arithmetic is version %u, and %u is wanted", path,
			arithmetic, VETO_FX1_VERSION);
	if (check_kernel(image, path, &out->units, why))
		return -EINVAL;
	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		if (!xclbin_find(image, needed[i]))
			return param_fail(-EINVAL, why, "xrt: %s: it has no section of kind %u", path, needed[i]);
	/* Those that veto makes say what is in them. */
	xclbin_uuid(image, uuid);
	if (strcmp(image->platform, XCLBIN_EMULATION_PLATFORM) == 0 && memcmp(uuid, image->uuid, sizeof(uuid)) != 0)
		return param_fail(-EINVAL, why, "xrt: %s: it is damaged: its content is not that of its uuid", path);
	if (mode != XCLBIN_HARDWARE && strcmp(image->platform, XCLBIN_EMULATION_PLATFORM) != 0)
		return param_fail(-EINVAL, why,
			"xrt: %s: it is an image for the platform %s, and emulation here is of %s", path,
			image->platform, XCLBIN_EMULATION_PLATFORM);
	memcpy(out->platform, image->platform, sizeof(out->platform));
	return 0;
}

int image_check(const char *path, uint16_t mode, struct image *out, char *why)
{
	struct xclbin image;
	struct image found;
	void *memory;
	int err = xclbin_load(path, &image, &memory, why);

	if (err)
		return err;
	err = image_read(&image, path, mode, &found, why);
	free(memory);
	if (!err)
		*out = found;
	return err;
}
