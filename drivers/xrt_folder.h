/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a device's folder, which the driver and, where the driver's process is gone, its child see to. */
#ifndef VETO_XRT_FOLDER_H
#define VETO_XRT_FOLDER_H

#include <ftw.h>
#include <stdio.h>

static inline int folder_remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
	(void)info;
	(void)kind;
	(void)at;
	remove(path);
	return 0;
}

/* Remove it with whatever is in it, even with hardly a descriptor left; what can't be removed stays. */
static inline void folder_remove(const char *folder) { nftw(folder, folder_remove_one, 1, FTW_DEPTH | FTW_PHYS); }

#endif
