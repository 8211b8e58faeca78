/* SPDX-License-Identifier: Apache-2.0 */
/* Finds cards in sysfs.  The C API of XRT has neither their names nor a stable order of them. */
#include "xrt_cards.h"
#include "param.h"
#include "veto_boards.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XILINX 0x10ee

/* The first line of the first file that the pattern names; false: there is none. */
static bool read_line(const char *folder, const char *pattern, char *line, size_t bytes)
{
	char path[512];
	glob_t found = {0};
	FILE *in = NULL;
	bool is_read;

	snprintf(path, sizeof(path), "%s/%s", folder, pattern);
	if (glob(path, 0, NULL, &found) == 0)
		in = fopen(found.gl_pathv[0], "re");
	globfree(&found);
	is_read = in && fgets(line, (int)bytes, in);
	if (in)
		fclose(in);
	if (is_read)
		line[strcspn(line, "\n")] = 0;
	return is_read;
}

static long read_number(const char *folder, const char *name)
{
	char line[32];

	return read_line(folder, name, line, sizeof(line)) ? strtol(line, NULL, 0) : 0;
}

/* Fill in the card that is wanted, if there is one; how many there are.  glob() sorts by address. */
static uint32_t walk(const char *root, uint32_t wanted, struct card *out)
{
	char pattern[512];
	uint32_t count = 0;
	glob_t found = {0};

	snprintf(pattern, sizeof(pattern), "%s/drivers/xocl/*:*:*.*", root);
	if (glob(pattern, 0, NULL, &found) != 0)
		found.gl_pathc = 0;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *folder = found.gl_pathv[i];

		if (read_number(folder, "vendor") != XILINX || count++ != wanted)
			continue;
		*out = (struct card){.is_ready = read_number(folder, "ready") != 0};
		snprintf(out->address, sizeof(out->address), "%.15s", strrchr(folder, '/') + 1);
		read_line(folder, "rom.*/VBNV", out->platform, sizeof(out->platform));
	}
	globfree(&found);
	return count;
}

uint32_t cards_count(const char *root)
{
	struct card none;

	return walk(root, UINT32_MAX, &none);
}

int cards_find(const char *root, uint32_t index, struct card *out, char *why)
{
	struct card card;
	const uint32_t count = walk(root, index, &card);

	if (index >= count)
		return param_fail(-ENODEV, why,
			"xrt: there is no card %u: the kernel module xocl has %u; emulation=sw and emulation=hw need none",
			index, count);
	if (!card.is_ready)
		return param_fail(-ENODEV, why, "xrt: card %u (%s) is not ready, says xocl", index, card.address);
	*out = card;
	return 0;
}

static bool is_same_platform(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if ((*a == ':' || *a == '.' ? '_' : *a) != (*b == ':' || *b == '.' ? '_' : *b))
			return false;
	return *a == *b;
}

const char *card_board(const struct card *c)
{
	static const char *const known[][2] = {VETO_BOARDS};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (is_same_platform(known[i][0], c->platform))
			return known[i][1];
	return "another board";
}

int card_check(const struct card *c, const char *platform, const char *path, char *why)
{
	if (is_same_platform(platform, c->platform))
		return 0;
	return param_fail(-EINVAL, why, "xrt: %s: it is an image for '%s', and the card at %s has the shell '%s'", path,
		platform, c->address, c->platform);
}
