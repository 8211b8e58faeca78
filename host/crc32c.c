/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C, four bits at a time. */
#include "crc32c.h"

#define POLYNOMIAL 0x82f63b78u /* reflected */

static uint32_t next_bit(uint32_t crc) { return crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0); }

static uint32_t next_nibble(uint32_t crc) { return next_bit(next_bit(next_bit(next_bit(crc)))); }

uint32_t crc32c(uint32_t before, const void *data, size_t bytes)
{
	const unsigned char *at = data;
	uint32_t table[16], crc = ~before;

	for (uint32_t i = 0; i < 16; i++)
		table[i] = next_nibble(i);
	for (size_t i = 0; i < bytes; i++) {
		crc ^= at[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}
