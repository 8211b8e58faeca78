/* SPDX-License-Identifier: Apache-2.0 */
/* make_image sw_emu|hw_emu KERNELS.json METADATA.xml CODE OUT.xclbin: an image for emulation; CODE exports
 * veto_emulated_kernels (emulated.h). */
#include "kernels.h"
#include "param.h"
#include "veto_hw.h"
#include "xclbin.h"
#include "zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BANK_KIB ((uint64_t)XCLBIN_EMULATION_GIB << 20)
#define BANK_TAG "DDR[0]"
#define IP_KERNEL 1u
#define MEMORY_DDR4 1

/* What XRT's shim unpacks and starts as the simulator, in its folder.  The driver says where the model is. */
#define SIMULATOR "behav_waveform/xsim/"
#define SIMULATE "#!/bin/sh\nexec \"$VETO_MODEL\" hw_emu ./kernels.so\n"

static int fail(const char *what, const char *path)
{
	fprintf(stderr, "make_image: %s '%s'\n", what, path);
	return 1;
}

/* A whole file, to be freed; NULL: can't be read. */
static void *read_file(const char *path, size_t *bytes)
{
	FILE *in = fopen(path, "re");
	char *data = NULL;
	long size;

	if (!in)
		return NULL;
	if (fseek(in, 0, SEEK_END) == 0 && (size = ftell(in)) > 0 && fseek(in, 0, SEEK_SET) == 0) {
		data = malloc((size_t)size);
		if (data && fread(data, (size_t)size, 1, in) != 1) {
			free(data);
			data = NULL;
		}
		*bytes = (size_t)size;
	}
	fclose(in);
	return data;
}

struct memories {
	int32_t count, zero;
	struct xclbin_memory memory[1];
};

struct ips {
	int32_t count, zero;
	struct xclbin_ip ip[KERNELS_MAX * KERNEL_UNITS_MAX];
};

struct connections {
	int32_t count;
	struct xclbin_connection connection[KERNELS_MAX * KERNEL_UNITS_MAX * KERNEL_ARGUMENTS_MAX];
};

/* A unit of a kernel, all of whose buffers lie in the one bank. */
static void add_unit(const struct kernel *k, uint32_t unit, struct ips *ips, struct connections *connections)
{
	struct xclbin_ip *ip = &ips->ip[ips->count];

	ip->type = IP_KERNEL;
	ip->base = k->base + unit * KERNEL_CONTROL_BYTES;
	snprintf(ip->name, sizeof(ip->name), "%.25s:%.25s_%u", k->name, k->name, unit + 1);
	for (uint32_t i = 0; i < k->arguments; i++)
		if (k->argument[i].is_buffer)
			connections->connection[connections->count++] =
				(struct xclbin_connection){(int32_t)i, ips->count, 0};
	ips->count++;
}

/* Pack the code for hardware emulation. */
static void *pack(void *code, size_t *bytes)
{
	const struct zip_file files[] = {{SIMULATOR "simulate.sh", SIMULATE, strlen(SIMULATE), true},
		{SIMULATOR "kernels.so", code, *bytes, false}};
	void *archive = zip_make(files, 2, bytes);

	free(code);
	return archive;
}

static int make(const struct kernels *k, uint16_t mode, const char *const *paths)
{
	struct memories memories = {
		.count = 1, .memory = {{.type = MEMORY_DDR4, .is_used = 1, .kib = BANK_KIB, .tag = BANK_TAG}}};
	struct ips ips = {0};
	struct connections connections = {0};
	char versions[64], why[VETO_WHY_MAX];
	size_t metadata_bytes, code_bytes;
	void *metadata = read_file(paths[0], &metadata_bytes), *code = read_file(paths[1], &code_bytes);
	int err;

	if (!metadata || !code)
		return fail("can't read", metadata ? paths[1] : paths[0]);
	if (mode == XCLBIN_HW_EMULATION && !(code = pack(code, &code_bytes)))
		return fail("no memory to pack", paths[1]);
	for (uint32_t i = 0; i < k->count; i++)
		for (uint32_t u = 0; u < k->kernel[i].units; u++)
			add_unit(&k->kernel[i], u, &ips, &connections);
	snprintf(versions, sizeof(versions), XCLBIN_VERSIONS, VETO_KERNEL_CONTRACT, VETO_FX1_VERSION, VETO_HX1_VERSION);
	const struct xclbin image = {
		.mode = mode,
		.platform = XCLBIN_EMULATION_PLATFORM,
		.sections = 6,
		.section = {{XCLBIN_BITSTREAM, code, code_bytes}, {XCLBIN_EMBEDDED_METADATA, metadata, metadata_bytes},
			{XCLBIN_MEM_TOPOLOGY, &memories, sizeof(memories)},
			{XCLBIN_CONNECTIVITY, &connections,
				sizeof(connections.count) +
					(size_t)connections.count * sizeof(*connections.connection)},
			{XCLBIN_IP_LAYOUT, &ips, 8 + (size_t)ips.count * sizeof(*ips.ip)},
			{XCLBIN_USER_METADATA, versions, strlen(versions)}},
	};
	err = xclbin_write(paths[2], &image, why);
	if (err)
		fprintf(stderr, "make_image: %s\n", why);
	free(metadata);
	free(code);
	return err ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct kernels kernels;
	char why[VETO_WHY_MAX];

	if (argc != 6 || (strcmp(argv[1], "sw_emu") != 0 && strcmp(argv[1], "hw_emu") != 0)) {
		fprintf(stderr, "usage: make_image sw_emu|hw_emu KERNELS.json METADATA.xml CODE OUT.xclbin\n");
		return 2;
	}
	if (kernels_read(argv[2], &kernels, why)) {
		fprintf(stderr, "make_image: %s\n", why);
		return 1;
	}
	return make(
		&kernels, *argv[1] == 's' ? XCLBIN_SW_EMULATION : XCLBIN_HW_EMULATION, (const char *const *)argv + 3);
}
