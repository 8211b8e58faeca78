/* SPDX-License-Identifier: Apache-2.0 */
/* The table of drivers. */
#include "backend.h"

extern const struct backend cpu_backend;

const struct backend *const backends[] = {
	&cpu_backend,
	NULL,
};
