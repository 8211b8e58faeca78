/* SPDX-License-Identifier: Apache-2.0 */
/* FNV-1a, 64 bits. */
#ifndef VETO_HASH_H
#define VETO_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_START 0xcbf29ce484222325u

static inline uint64_t hash_bytes(uint64_t hash, const void *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ ((const unsigned char *)data)[i]) * 0x100000001b3u;
	return hash;
}

#endif
