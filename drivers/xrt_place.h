/* SPDX-License-Identifier: Apache-2.0 */
/* Where XRT finds what it wants: a folder of its own for each device. */
#ifndef VETO_XRT_PLACE_H
#define VETO_XRT_PLACE_H

#include <stdint.h>

#define PLACE_PATH_MAX 1024
#define PLACE_VARIABLES 16

struct place {
	char folder[64]; /* its last part is also the USER whose sockets lie in it; "": none */
	int lock; /* the folder, held */
	char child[PLACE_PATH_MAX], image[PLACE_PATH_MAX]; /* of veto-xrt, and of what the card loads */
	char *variable[PLACE_VARIABLES + 1]; /* NAME=VALUE, set for the child */
	char **environment; /* this process's with these; ends with NULL */
};

/* Make the folder and the environment for a mode (enum xclbin_mode).
 *   -ENODEV  a part of veto, or what XRT runs, is not installed; -errno of what could not be made.  `why` says what. */
int place_make(struct place *p, uint16_t mode, char *why);

/* What the card loads, from now on by a path in the folder: XRT hands it to a shell.
 *   -errno  it is not there */
int place_use_image(struct place *p, const char *path, char *why);

/* Removes the folder, whatever is in it. */
void place_remove(struct place *p);

#endif
