/* SPDX-License-Identifier: Apache-2.0 */
/* Makes ZIP archives (PKWARE's APPNOTE.TXT). */
#include "zip.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES 30
#define ENTRY_BYTES 46
#define END_BYTES 22
#define FILE_SIGNATURE 0x04034b50u
#define ENTRY_SIGNATURE 0x02014b50u
#define END_SIGNATURE 0x06054b50u
#define VERSION 10
#define MADE_ON_UNIX (3u << 8)
#define DAY_ONE 0x21u /* the first day of 1980, which dates count from */

static uint32_t crc32(const unsigned char *data, size_t bytes)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < bytes; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static void put(unsigned char **at, int bytes, size_t value)
{
	for (int i = 0; i < bytes; i++)
		*(*at)++ = (unsigned char)(value >> 8 * i);
}

static void put_bytes(unsigned char **at, const void *data, size_t bytes)
{
	memcpy(*at, data, bytes);
	*at += bytes;
}

/* What stands before a file and in the directory alike. */
static void put_common(unsigned char **at, const struct zip_file *f)
{
	put(at, 2, VERSION);
	put(at, 4, 0); /* no flags; stored */
	put(at, 2, 0);
	put(at, 2, DAY_ONE);
	put(at, 4, crc32(f->data, f->bytes));
	put(at, 4, f->bytes);
	put(at, 4, f->bytes);
	put(at, 2, strlen(f->path));
	put(at, 2, 0);
}

static void put_file(unsigned char **at, const struct zip_file *f)
{
	put(at, 4, FILE_SIGNATURE);
	put_common(at, f);
	put_bytes(at, f->path, strlen(f->path));
	put_bytes(at, f->data, f->bytes);
}

static void put_entry(unsigned char **at, const struct zip_file *f, size_t offset)
{
	put(at, 4, ENTRY_SIGNATURE);
	put(at, 2, MADE_ON_UNIX | VERSION);
	put_common(at, f);
	put(at, 4, 0); /* no comment; the first disk */
	put(at, 2, 0);
	put(at, 4, (f->is_program ? 0100755u : 0100644u) << 16);
	put(at, 4, offset);
	put_bytes(at, f->path, strlen(f->path));
}

void *zip_make(const struct zip_file *files, size_t count, size_t *bytes)
{
	size_t total = END_BYTES, directory, offset = 0;
	unsigned char *archive, *at;

	for (size_t i = 0; i < count; i++)
		total += FILE_BYTES + ENTRY_BYTES + 2 * strlen(files[i].path) + files[i].bytes;
	at = archive = malloc(total);
	if (!archive)
		return NULL;
	for (size_t i = 0; i < count; i++)
		put_file(&at, &files[i]);
	directory = (size_t)(at - archive);
	for (size_t i = 0; i < count; i++) {
		put_entry(&at, &files[i], offset);
		offset += FILE_BYTES + strlen(files[i].path) + files[i].bytes;
	}
	put(&at, 4, END_SIGNATURE);
	put(&at, 4, 0); /* one disk */
	put(&at, 2, count);
	put(&at, 2, count);
	put(&at, 4, total - END_BYTES - directory);
	put(&at, 4, directory);
	put(&at, 2, 0);
	*bytes = total;
	return archive;
}
