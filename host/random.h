/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers that depend on a seed alone: splitmix64 (Steele, Lea and Flood, OOPSLA 2014). */
#ifndef VETO_RANDOM_H
#define VETO_RANDOM_H

#include <stdint.h>

static inline uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* 0 to n - 1. */
static inline uint32_t random_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)((unsigned __int128)random_next(state) * n >> 64);
}

#endif
