/* SPDX-License-Identifier: Apache-2.0 */
/* Whether an image is one that this driver can use. */
#ifndef VETO_XRT_IMAGE_H
#define VETO_XRT_IMAGE_H

#include "xclbin.h"
#include "xrt_link.h"

struct image {
	struct link_units units; /* that are to be used */
	uint64_t port_bytes; /* of the least memory that a port of weights has */
	char platform[XCLBIN_PLATFORM_BYTES];
};

/* Look into an image before XRT does, which would not say what is wrong.
 *   -EINVAL  it is for another mode (enum xclbin_mode), follows another kernel contract or another version of the
 *            arithmetic, is damaged, lacks a section or a kernel, a kernel's units are not <kernel>_1 and so on, or the one for
 *            hidden states has no port of weights, or more than there may be; `why` gives both values */
int image_read(const struct xclbin *image, const char *path, uint16_t mode, struct image *out, char *why);
/* The same of a file.  -EINVAL also where it can't be read. */
int image_check(const char *path, uint16_t mode, struct image *out, char *why);

#endif
