/* SPDX-License-Identifier: Apache-2.0 */
/* Checks an image before it is loaded. */
#include "xrt_image.h"
#include "param.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kernels[] = LINK_KERNEL_NAMES;

/* Of this kernel: "kernel:unit". */
static bool is_unit(const struct xclbin_ip *ip, const char *kernel)
{
	const size_t length = strlen(kernel);

	return strncmp(ip->name, kernel, length) == 0 && ip->name[length] == ':';
}

static uint32_t count_units(const struct xclbin *image, const char *kernel)
{
	struct xclbin_ip ip;
	uint32_t units = 0;

	for (uint32_t i = 0; xclbin_record(image, XCLBIN_IP_LAYOUT, i, &ip); i++)
		units += is_unit(&ip, kernel);
	return units;
}

static int fail_without_kernel(const struct xclbin *image, const char *kernel, const char *path, char *why)
{
	char known[256] = "none";
	struct xclbin_ip ip;
	size_t used = 0;

	for (uint32_t i = 0; xclbin_record(image, XCLBIN_IP_LAYOUT, i, &ip) && used < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%.64s", i ? ", " : "", ip.name);
	return param_fail(-EINVAL, why, "xrt: %s: it has no kernel %s; it has: %s", path, kernel, known);
}

/* Its compute units are named "kernel:kernel_N"; the child opens them by that name. */
static int check_kernel(const struct xclbin *image, const char *kernel, const char *path, uint32_t *units, char *why)
{
	const uint32_t count = count_units(image, kernel);
	const size_t length = strlen(kernel);
	struct xclbin_ip ip;

	if (count == 0)
		return fail_without_kernel(image, kernel, path, why);
	for (uint32_t i = 0; xclbin_record(image, XCLBIN_IP_LAYOUT, i, &ip); i++) {
		const char *unit = ip.name + length + 1;
		unsigned long number;
		char *end;

		if (!is_unit(&ip, kernel))
			continue;
		ip.name[sizeof(ip.name) - 1] = 0;
		number = strncmp(unit, kernel, length) == 0 && unit[length] == '_'
				 ? strtoul(unit + length + 1, &end, 10)
				 : 0;
		if (number < 1 || number > count || *end)
			return param_fail(-EINVAL, why,
				"xrt: %s: a unit is named '%.64s'; its units are to be named %s_1 to _%u", path,
				ip.name, kernel, count);
	}
	*units = count;
	return 0;
}

/* All of the units that score logits, as far as there is room, and one that scores hidden states, which holds the heads. */
static int check_kernels(const struct xclbin *image, const char *path, struct link_units *out, char *why)
{
	for (int k = 0; k < LINK_KERNELS; k++)
		if (check_kernel(image, kernels[k], path, &out->of[k], why))
			return -EINVAL;
	out->of[LINK_HIDDEN] = 1;
	if (out->of[LINK_LOGITS] > LINK_UNITS_MAX - 1)
		out->of[LINK_LOGITS] = LINK_UNITS_MAX - 1;
	return 0;
}

/* Whether this is the unit that holds the heads. */
static bool is_hidden_unit(const struct xclbin *image, int32_t ip)
{
	struct xclbin_ip record;

	return ip >= 0 && xclbin_record(image, XCLBIN_IP_LAYOUT, (uint32_t)ip, &record) &&
	       strncmp(record.name, "veto_score_hidden:veto_score_hidden_1", sizeof(record.name)) == 0;
}

/* Its ports of weights, and how much room each has at least. */
static int read_ports(const struct xclbin *image, const char *path, struct image *out, char *why)
{
	uint64_t kib[LINK_PORTS_MAX] = {0};
	uint32_t last = 0;
	struct xclbin_connection c;
	struct xclbin_memory memory;

	for (uint32_t i = 0; xclbin_record(image, XCLBIN_CONNECTIVITY, i, &c); i++) {
		const uint32_t port = (uint32_t)c.argument - LINK_FIRST_PORT;

		if (c.argument < (int32_t)LINK_FIRST_PORT || !is_hidden_unit(image, c.ip) || c.memory < 0 ||
			!xclbin_record(image, XCLBIN_MEM_TOPOLOGY, (uint32_t)c.memory, &memory))
			continue;
		if (port < LINK_PORTS_MAX)
			kib[port] += memory.kib < 1ull << 40 ? memory.kib : 1ull << 40;
		last = port + 1 > last ? port + 1 : last;
	}
	out->port_bytes = UINT64_MAX;
	for (uint32_t p = 0; p < last && p < LINK_PORTS_MAX; p++)
		out->port_bytes = kib[p] << 10 < out->port_bytes ? kib[p] << 10 : out->port_bytes;
	out->units.ports = last;
	if (last < 1 || last > LINK_PORTS_MAX || out->port_bytes == 0)
		return param_fail(-EINVAL, why,
			"xrt: %s: veto_score_hidden_1 has %u ports of weights, and 1 to %u with a memory each are wanted",
			path, last, LINK_PORTS_MAX);
	return 0;
}

int image_read(const struct xclbin *image, const char *path, uint16_t mode, struct image *out, char *why)
{
	static const uint32_t needed[] = {
		XCLBIN_BITSTREAM, XCLBIN_EMBEDDED_METADATA, XCLBIN_MEM_TOPOLOGY, XCLBIN_CONNECTIVITY, XCLBIN_IP_LAYOUT};
	struct xclbin_versions v;
	unsigned char uuid[16];
	char names[2][16];

	if (image->mode != mode)
		return param_fail(-EINVAL, why, "xrt: %s: it is an image for %s, and one for %s is wanted", path,
			xclbin_mode_name(image->mode, names[0]), xclbin_mode_name(mode, names[1]));
	if (!xclbin_versions(image, &v))
		return param_fail(
			-EINVAL, why, "xrt: %s: it does not state the versions of contract and arithmetic", path);
	if (v.contract != VETO_KERNEL_CONTRACT)
		return param_fail(-EINVAL, why, "xrt: %s: its kernels follow contract %u, and %u is wanted", path,
			v.contract, VETO_KERNEL_CONTRACT);
	if (v.fx != VETO_FX1_VERSION)
		return param_fail(-EINVAL, why, "xrt: %s: its arithmetic for logits is version %u, and %u is wanted",
			path, v.fx, VETO_FX1_VERSION);
	if (v.hx != VETO_HX1_VERSION)
		return param_fail(-EINVAL, why,
			"xrt: %s: its arithmetic for hidden states is version %u, and %u is wanted", path, v.hx,
			VETO_HX1_VERSION);
	if (check_kernels(image, path, &out->units, why) || read_ports(image, path, out, why))
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
	struct image found = {.platform = ""};
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
