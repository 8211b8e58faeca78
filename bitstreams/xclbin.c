/* SPDX-License-Identifier: Apache-2.0 */
/* Writes and reads xclbin containers. */
#include "xclbin.h"
#include "hash.h"
#include "param.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAGIC "xclbin2"
#define ALIGNMENT 8

/* struct axlf: what stands before the section headers.  Packed by its own layout. */
struct header {
	char magic[8];
	int32_t signature_bytes; /* -1: none */
	unsigned char ones[28];
	unsigned char key[256];
	uint64_t id;
	uint64_t bytes; /* of the file */
	uint64_t time, rom_time; /* 0, for reproducible files */
	uint16_t patch;
	uint8_t major, minor;
	uint16_t mode, actions;
	unsigned char rom_uuid[16];
	char platform[XCLBIN_PLATFORM_BYTES];
	unsigned char uuid[16];
	char debug[16];
	uint32_t sections;
	uint32_t zero;
};

struct section_header {
	uint32_t kind;
	char name[16];
	uint32_t zero;
	uint64_t offset, bytes;
};

static_assert(sizeof(struct header) == 456 && sizeof(struct section_header) == 40, "the layout of struct axlf");
static_assert(sizeof(struct xclbin_memory) == 40 && sizeof(struct xclbin_ip) == 80, "the layout of sections");

static size_t align(size_t bytes) { return (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1); }

void xclbin_uuid(const struct xclbin *image, unsigned char uuid[16])
{
	uint64_t hash[2] = {HASH_START, ~HASH_START};

	for (int i = 0; i < 2; i++) {
		hash[i] = hash_bytes(hash[i], &image->mode, sizeof(image->mode));
		hash[i] = hash_bytes(hash[i], image->platform, sizeof(image->platform));
		for (uint32_t s = 0; s < image->sections; s++) {
			hash[i] = hash_bytes(hash[i], &image->section[s].kind, sizeof(image->section[s].kind));
			hash[i] = hash_bytes(hash[i], image->section[s].data, image->section[s].bytes);
		}
	}
	memcpy(uuid, hash, sizeof(hash));
}

/* The file as one piece; NULL: out of memory. */
static char *assemble(const struct xclbin *image, size_t *bytes)
{
	size_t at = align(sizeof(struct header) + image->sections * sizeof(struct section_header)), end = at;
	struct header h = {.magic = MAGIC, .signature_bytes = -1, .major = 2, .minor = 1, .mode = image->mode};
	char *file;

	for (uint32_t i = 0; i < image->sections; i++)
		end = align(end + image->section[i].bytes);
	file = calloc(1, end);
	if (!file)
		return NULL;
	memset(h.ones, 0xff, sizeof(h.ones));
	h.bytes = end;
	h.sections = image->sections;
	memcpy(h.platform, image->platform, sizeof(h.platform));
	xclbin_uuid(image, h.uuid);
	memcpy(file, &h, sizeof(h));
	for (uint32_t i = 0; i < image->sections; i++) {
		struct section_header s = {
			.kind = image->section[i].kind, .offset = at, .bytes = image->section[i].bytes};

		memcpy(file + sizeof(h) + i * sizeof(s), &s, sizeof(s));
		memcpy(file + at, image->section[i].data, s.bytes);
		at = align(at + s.bytes);
	}
	*bytes = end;
	return file;
}

int xclbin_write(const char *path, const struct xclbin *image, char *why)
{
	FILE *out = fopen(path, "we");
	size_t bytes = 0;
	char *file;
	int err = 0;

	if (!out)
		return param_fail(-EIO, why, "can't write '%s': %s", path, strerror(errno));
	file = assemble(image, &bytes);
	if (!file || fwrite(file, bytes, 1, out) != 1)
		err = -EIO;
	if (fclose(out))
		err = -EIO;
	free(file);
	return err ? param_fail(err, why, "can't write '%s': %s", path, strerror(errno)) : 0;
}

/* Sections that are a count and records. */
static const struct table {
	enum xclbin_kind kind;
	const char *name;
	size_t start, record_bytes;
} tables[] = {
	{XCLBIN_MEM_TOPOLOGY, "MEM_TOPOLOGY", 8, sizeof(struct xclbin_memory)},
	{XCLBIN_CONNECTIVITY, "CONNECTIVITY", 4, sizeof(struct xclbin_connection)},
	{XCLBIN_IP_LAYOUT, "IP_LAYOUT", 8, sizeof(struct xclbin_ip)},
};

/* -1: too short to say. */
static int32_t count_records(const struct xclbin_section *section, const struct table *t)
{
	int32_t count = -1;

	if (section->bytes >= t->start)
		memcpy(&count, section->data, sizeof(count));
	return count;
}

static int check_tables(const struct xclbin *image, const char *name, char *why)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		const struct xclbin_section *section = xclbin_find(image, tables[i].kind);
		const int32_t count = section ? count_records(section, &tables[i]) : 0;

		if (count < 0 ||
			(section && (section->bytes - tables[i].start) / tables[i].record_bytes < (size_t)count))
			return param_fail(-EINVAL, why, "%s: its %s counts %d records, and has %zu bytes", name,
				tables[i].name, count, section->bytes);
	}
	return 0;
}

static int read_sections(
	const char *file, size_t bytes, uint32_t count, const char *name, struct xclbin *out, char *why)
{
	if (count > XCLBIN_SECTIONS_MAX || sizeof(struct header) + count * sizeof(struct section_header) > bytes)
		return param_fail(-EINVAL, why,
			"%s: %u sections at byte %zu: more than %d, or beyond the file's %zu bytes", name, count,
			sizeof(struct header), XCLBIN_SECTIONS_MAX, bytes);
	for (uint32_t i = 0; i < count; i++) {
		struct section_header s;

		memcpy(&s, file + sizeof(struct header) + i * sizeof(s), sizeof(s));
		if (s.offset > bytes || s.bytes > bytes - s.offset)
			return param_fail(-EINVAL, why,
				"%s: section %u (kind %u) of %llu bytes at %llu lies beyond the file's %zu bytes", name,
				i, s.kind, (unsigned long long)s.bytes, (unsigned long long)s.offset, bytes);
		out->section[i] = (struct xclbin_section){s.kind, file + s.offset, s.bytes};
	}
	out->sections = count;
	return 0;
}

int xclbin_read(const void *data, size_t bytes, const char *name, struct xclbin *out, char *why)
{
	struct xclbin image = {0};
	struct header h;
	int err;

	if (bytes < sizeof(h) || memcmp(data, MAGIC, sizeof(MAGIC)) != 0)
		return param_fail(-EINVAL, why,
			"%s: no xclbin: it does not start with '%s', or has fewer than %zu bytes", name, MAGIC,
			sizeof(h));
	memcpy(&h, data, sizeof(h));
	if (h.bytes != bytes)
		return param_fail(-EINVAL, why, "%s: its header says %llu bytes, and there are %zu", name,
			(unsigned long long)h.bytes, bytes);
	image.mode = h.mode;
	memcpy(image.platform, h.platform, sizeof(image.platform));
	image.platform[sizeof(image.platform) - 1] = 0;
	memcpy(image.uuid, h.uuid, sizeof(image.uuid));
	err = read_sections(data, bytes, h.sections, name, &image, why);
	if (!err)
		err = check_tables(&image, name, why);
	if (err)
		return err;
	*out = image;
	return 0;
}

int xclbin_load(const char *path, struct xclbin *out, void **memory, char *why)
{
	struct stat status;
	FILE *in = NULL;
	char *data = NULL;
	int err;

	if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) /* which might never end */
		return param_fail(-EINVAL, why, "can't read '%s': it is no regular file", path);
	in = fopen(path, "re");
	if (in && fstat(fileno(in), &status) == 0)
		data = malloc((size_t)status.st_size + 1);
	if (!data || fread(data, 1, (size_t)status.st_size, in) != (size_t)status.st_size)
		err = param_fail(-EINVAL, why, "can't read '%s': %s", path, strerror(errno));
	else
		err = xclbin_read(data, (size_t)status.st_size, path, out, why);
	if (in)
		fclose(in);
	if (err)
		free(data);
	else
		*memory = data;
	return err;
}

const struct xclbin_section *xclbin_find(const struct xclbin *image, uint32_t kind)
{
	for (uint32_t i = 0; i < image->sections; i++)
		if (image->section[i].kind == kind)
			return &image->section[i];
	return NULL;
}

bool xclbin_versions(const struct xclbin *image, struct xclbin_versions *out)
{
	const struct xclbin_section *section = xclbin_find(image, XCLBIN_USER_METADATA);
	char text[64] = "";

	if (!section || section->bytes >= sizeof(text))
		return false;
	memcpy(text, section->data, section->bytes);
	return sscanf(text, XCLBIN_VERSIONS, &out->contract, &out->fx, &out->hx) == 3;
}

bool xclbin_record(const struct xclbin *image, uint32_t kind, uint32_t index, void *record)
{
	const struct xclbin_section *section = xclbin_find(image, kind);

	for (size_t i = 0; section && i < sizeof(tables) / sizeof(*tables); i++) {
		const struct table *t = &tables[i];

		if (t->kind != kind)
			continue;
		if (index >= (uint32_t)count_records(section, t))
			return false;
		memcpy(record, (const char *)section->data + t->start + index * t->record_bytes, t->record_bytes);
		return true;
	}
	return false;
}

const char *xclbin_mode_name(uint16_t mode, char *text)
{
	if (mode == XCLBIN_HARDWARE)
		return "hw";
	if (mode == XCLBIN_HW_EMULATION || mode == XCLBIN_SW_EMULATION)
		return mode == XCLBIN_HW_EMULATION ? "hw_emu" : "sw_emu";
	snprintf(text, 16, "mode %u", mode);
	return text;
}
