/* SPDX-License-Identifier: Apache-2.0 */
/* What the processes of a crowd count, and the sum of it as a line of JSON. */
#ifndef TRAFFIC_CROWD_REPORT_H
#define TRAFFIC_CROWD_REPORT_H

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include "clock.h"
#include "crowd-options.h"

#define WORKERS_MAX 8
#define TIMEOUT	    0
#define CLOSED	    134 /* beyond all errno numbers */
#define ERRORS	    135

/* Written by one worker each, read by all. */
struct worker {
	pid_t pid;
	atomic_uint spares_taken; /* of the first worker: by all of them */
	atomic_uint tried, open, answered, resets, closed, checked, rounds;
	atomic_uint failed[ERRORS];
};

static unsigned workers_count;
static struct worker *workers;
static uint64_t started_at;

#define SUM(field)                                                                                 \
	({                                                                                         \
		unsigned sum = 0;                                                                  \
		for (unsigned i = 0; i < workers_count; i++)                                       \
			sum += atomic_load(&workers[i].field);                                     \
		sum;                                                                               \
	})

static unsigned sum_failed(void)
{
	unsigned sum = 0;

	for (unsigned e = 0; e < ERRORS; e++)
		sum += SUM(failed[e]);
	return sum;
}

static void report(const char *event)
{
	const char *comma = "";

	printf("{\"event\":\"%s\",\"seconds\":%.3f,\"connections\":%u,\"tried\":%u,\"answered\":%u,"
	       "\"open\":%u,\"resets\":%u,\"closed\":%u,\"checked\":%u,\"failures\":%u,\"failed\":"
	       "{",
	       event, (now_ns() - started_at) / 1e9, count, SUM(tried), SUM(answered), SUM(open),
	       SUM(resets), SUM(closed), SUM(checked), sum_failed());
	for (unsigned e = 0; e < ERRORS; e++) {
		if (!SUM(failed[e]))
			continue;
		printf("%s\"%s\":%u", comma,
		       e == TIMEOUT  ? "timeout"
		       : e == CLOSED ? "closed"
				     : strerrorname_np(e),
		       SUM(failed[e]));
		comma = ",";
	}
	printf("}}\n");
	fflush(stdout);
}

#endif
