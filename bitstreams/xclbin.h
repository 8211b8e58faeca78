/* SPDX-License-Identifier: Apache-2.0 */
/* The xclbin container (struct axlf of XRT's xrt/xclbin.h): sections by kind. */
#ifndef VETO_XCLBIN_H
#define VETO_XCLBIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XCLBIN_SECTIONS_MAX 64
#define XCLBIN_PLATFORM_BYTES 64

enum xclbin_mode { XCLBIN_HARDWARE = 0, XCLBIN_HW_EMULATION = 4, XCLBIN_SW_EMULATION = 5 };

enum xclbin_kind {
	XCLBIN_BITSTREAM = 0, /* or what stands for it in emulation */
	XCLBIN_EMBEDDED_METADATA = 2, /* XML: kernels, ports, arguments */
	XCLBIN_MEM_TOPOLOGY = 6,
	XCLBIN_CONNECTIVITY = 7,
	XCLBIN_IP_LAYOUT = 8,
	XCLBIN_USER_METADATA = 16, /* XCLBIN_VERSIONS */
};

struct xclbin_section {
	uint32_t kind;
	const void *data;
	size_t bytes;
};

struct xclbin {
	uint16_t mode; /* enum xclbin_mode, or another of XRT's */
	char platform[XCLBIN_PLATFORM_BYTES]; /* vendor:board:name:version */
	unsigned char uuid[16];
	uint32_t sections;
	struct xclbin_section section[XCLBIN_SECTIONS_MAX];
};

/* Records of sections, little-endian, 8-byte aligned behind a count. */
struct xclbin_memory {
	uint8_t type, is_used, zero[6];
	uint64_t kib, base;
	char tag[16];
};

struct xclbin_ip {
	uint32_t type, properties;
	uint64_t base;
	char name[64]; /* "kernel:unit" */
};

struct xclbin_connection {
	int32_t argument, ip, memory;
};

/* The card of an emulation: as images name it, and its memory. */
#define XCLBIN_EMULATION_PLATFORM "veto:emulation:1:0"
#define XCLBIN_EMULATION_GIB 16

/* How an image says which versions of the kernel contract, of FX1 and of HX1 it follows. */
#define XCLBIN_VERSIONS "veto contract %u FX %u HX %u"

struct xclbin_versions {
	uint32_t contract, fx, hx;
};

/* Write the image.  The uuid is found from the content, so the same content gives the same file.
 *   -EIO  can't be written; `why` says why */
int xclbin_write(const char *path, const struct xclbin *image, char *why);

/* Read an image that lies in memory; its sections point into it.  name stands in messages.
 *   -EINVAL  no xclbin, or a part of it lies outside, or a table has not the records that it counts; `why` says which */
int xclbin_read(const void *data, size_t bytes, const char *name, struct xclbin *out, char *why);

/* The same of a file, read into *memory, which is to be freed after use.
 *   -EINVAL  as above, or it can't be read */
int xclbin_load(const char *path, struct xclbin *out, void **memory, char *why);

/* The uuid that xclbin_write() gives an image of this content. */
void xclbin_uuid(const struct xclbin *image, unsigned char uuid[16]);

/* "sw_emu", or "mode 77" for one of XRT's that veto has no name for; text has room for 16. */
const char *xclbin_mode_name(uint16_t mode, char *text);

/* The section of that kind, or NULL. */
const struct xclbin_section *xclbin_find(const struct xclbin *image, uint32_t kind);

/* The versions that the image states; false: it does not. */
bool xclbin_versions(const struct xclbin *image, struct xclbin_versions *out);

/* Record index of a section that is a table: a count, and records; false: there are fewer. */
bool xclbin_record(const struct xclbin *image, uint32_t kind, uint32_t index, void *record);

#endif
