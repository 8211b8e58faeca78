/* SPDX-License-Identifier: Apache-2.0 */
/* The table of drivers. */
#include "backend.h"

extern const struct backend cpu_backend, xrt_backend;

const struct backend *const backends[] = {
	&cpu_backend,
#ifdef VETO_HAS_XRT
	&xrt_backend,
#endif
	NULL,
};

const struct backend_absent backends_absent[] = {
#ifndef VETO_HAS_XRT
	{"xrt", "XRT, of Debian's libxrt-dev"},
#endif
	{NULL, NULL},
};
