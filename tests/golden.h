/* SPDX-License-Identifier: Apache-2.0 */
/* The golden rows: files made by golden.py, which shares no code with the library. */
#ifndef VETO_TESTS_GOLDEN_H
#define VETO_TESTS_GOLDEN_H

#include "veto.h"

struct golden {
	char name[64];
	struct veto_rows rows;
	struct veto_record *record; /* [rows.rows] as they must be */
	char *file; /* what rows.data points into */
};

/* Call test() with every golden case; fails the test if there is none, or one can't be read. */
void golden_each(void (*test)(const struct golden *golden, void *arg), void *arg);

#endif
