/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files, mapped for reading. */
#include "map.h"
#include "param.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int map_open(const char *path, struct map *out, char *why)
{
	const int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a pipe would wait for its writer */
	void *data = MAP_FAILED;
	struct stat status = {.st_size = 0};
	int err = 0;

	if (file >= 0 && fstat(file, &status) == 0 && (!S_ISREG(status.st_mode) || status.st_size == 0))
		err = -EINVAL;
	else if (file >= 0)
		data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
	if (data == MAP_FAILED && !err)
		err = -errno;
	if (file >= 0)
		close(file);
	if (err == -EINVAL)
		return param_fail(err, why, "can't read '%s': it is no regular file with something in it", path);
	if (err)
		return param_fail(err, why, "can't read '%s': %s", path, strerror(-err));
	*out = (struct map){data, (size_t)status.st_size};
	return 0;
}

void map_close(struct map *map) { munmap(map->data, map->bytes); }
