/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli), as in RFC 3720. */
#ifndef VETO_CRC32C_H
#define VETO_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of the bytes behind those that gave `before`, which is 0 in front of the first. */
uint32_t crc32c(uint32_t before, const void *data, size_t bytes);

#endif
