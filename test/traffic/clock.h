/* SPDX-License-Identifier: Apache-2.0 */
/* The time, in nanoseconds of CLOCK_MONOTONIC. */
#ifndef TRAFFIC_CLOCK_H
#define TRAFFIC_CLOCK_H

#include <stdint.h>
#include <time.h>

#define MS     1000000ull
#define SECOND 1000000000ull

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

/* Milliseconds to sleep until `when`, at least 0, rounded up so as not to wake too early. */
static inline int wait_ms(uint64_t now, uint64_t when)
{
	return when <= now ? 0 : (int)((when - now + MS - 1) / MS);
}

#endif
