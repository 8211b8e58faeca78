/* SPDX-License-Identifier: Apache-2.0 */
/* Reads files of JSON that describe kernels and boards. */
#include "description.h"
#include "param.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX 16384

int description_read(
	const char *path, int (*read)(const struct cJSON *root, void *arg, char *why), void *arg, char *why)
{
	char what[VETO_WHY_MAX] = "no JSON", text[FILE_MAX] = "";
	FILE *file = fopen(path, "re");
	int err = -EINVAL;
	size_t bytes;
	cJSON *root;

	if (!file)
		return param_fail(-EINVAL, why, "can't read '%s': %s", path, strerror(errno));
	bytes = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	root = bytes < sizeof(text) - 1 ? cJSON_ParseWithOpts(text, NULL, true) : NULL;
	if (root)
		err = read(root, arg, what);
	cJSON_Delete(root);
	return err ? param_fail(err, why, "%s: %s", path, what) : 0;
}
