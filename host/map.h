/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files, mapped for reading. */
#ifndef VETO_MAP_H
#define VETO_MAP_H

#include <stddef.h>

struct map {
	void *data;
	size_t bytes;
};

/* -EINVAL: no regular file with something in it; -errno of opening or mapping it; `why` quotes the path */
int map_open(const char *path, struct map *out, char *why);
void map_close(struct map *map);

#endif
