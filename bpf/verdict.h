/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What was decided about a packet, and the one place that counts it. */
#ifndef KUBE_SHUNT_VERDICT_H
#define KUBE_SHUNT_VERDICT_H

#include "maps.h"

/* Kernel headers before 6.6 lack these; on clsact UNSPEC (-1) has the same meaning. */
#define ACTION_NEXT -1
#define ACTION_DROP 2

/* Meanings, not kernel actions; only service_tc.bpf.c turns one into an action. */
enum verdict {
	VERDICT_PASS = 0, /* not ours: untouched, the next program sees it */
	VERDICT_TRANSLATED, /* rewritten, the host stack carries on */
	VERDICT_SEND_BACK, /* rewritten, out of the device it came from */
	VERDICT_NEIGHBOUR, /* rewritten, to a backend on the client's bridge */
	VERDICT_ROUTE, /* rewritten on its way out, to where its backend is */
	VERDICT_REJECT_NO_ENDPOINT, /* tell the client */
	VERDICT_REJECT_UNUSED_PORT, /* tell the client */
	VERDICT_REJECT_MIDFLOW, /* tell the client */
	VERDICT_CREATE, /* give it a flow, then translate */
	VERDICT_FOLLOW, /* it has a flow: translate */
	VERDICT_DROP, /* counted where it was decided */
};

static __always_inline void count(enum counter counter)
{
	__u32 index = counter;
	__u64 *cell = bpf_map_lookup_elem(&counters, &index);

	if (cell)
		(*cell)++;
}

static __always_inline enum verdict drop(enum counter reason)
{
	count(reason);
	return VERDICT_DROP;
}

#endif
