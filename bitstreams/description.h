/* SPDX-License-Identifier: Apache-2.0 */
/* Files of JSON that describe kernels and boards. */
#ifndef VETO_DESCRIPTION_H
#define VETO_DESCRIPTION_H

struct cJSON;

/* Read a file and hand its value to read(), whose message then stands behind the path.
 *   -EINVAL  can't be read, no JSON, or what read() returned */
int description_read(
	const char *path, int (*read)(const struct cJSON *root, void *arg, char *why), void *arg, char *why);

#endif
