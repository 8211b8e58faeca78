/* SPDX-License-Identifier: Apache-2.0 */
/* The clock that durations are measured with. */
#ifndef VETO_CLOCK_H
#define VETO_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

#endif
