/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is counted. A part of abi.h, on which packet programs and control plane agree. */
#ifndef KUBE_SHUNT_COUNTERS_H
#define KUBE_SHUNT_COUNTERS_H

/* Index into `counters`; one u64 per CPU each. Names from here appear in metrics and docs. */
enum counter {
	COUNT_FORWARD = 0, /* packets translated client -> backend */
	COUNT_REVERSE, /* packets translated backend -> client */
	COUNT_XDP_FORWARD, /* the same two by XDP, sent on past the host stack */
	COUNT_XDP_REVERSE,
	COUNT_FLOW_CREATED,
	COUNT_FLOW_PROMOTED, /* half_open -> flows */
	COUNT_FLOW_TWIN_REBUILT, /* a lost half was rebuilt from the other */
	COUNT_FLOW_CHOICE_REPEATED, /* both halves lost: the same choice was made again */
	COUNT_FLOW_PORT_CHANGED, /* source port rewritten because the tuple was taken */
	COUNT_FLOW_SNAT, /* flows created whose backend sees this node as the client */
	COUNT_FLOW_OWN, /* exchanges of the node's own kept from a NodePort */
	COUNT_FLOW_REUSED, /* a tuple whose connection was closing began another */
	COUNT_FLOW_BACKEND_GONE, /* UDP flow moved because its backend is gone */
	COUNT_FLOW_EXPIRED, /* removed by GC or found expired by a packet */
	COUNT_HAIRPIN,
	COUNT_ICMP_TRANSLATED,
	COUNT_FRAGMENT_TRANSLATED,
	COUNT_MIDFLOW_PASSED, /* TCP for a VIP without a flow, left to the host stack */
	COUNT_REJECT_NO_ENDPOINT, /* RST or ICMP port-unreachable sent */
	COUNT_REJECT_UNUSED_PORT,
	COUNT_REJECT_MIDFLOW, /* RST for TCP of a VIP that has no flow and no frontend */
	COUNT_DROP_MALFORMED,
	COUNT_DROP_NO_LOCAL_ENDPOINT,
	COUNT_DROP_BACKEND_STALE, /* a slot kept changing under the reader */
	COUNT_DROP_MIDFLOW_RESET, /* a stray RST for a VIP */
	COUNT_DROP_FLOW_INSERT, /* the flow table refused an entry */
	COUNT_DROP_TUPLE_TAKEN, /* no free source port towards any backend */
	COUNT_DROP_SNAT_EXHAUSTED, /* no free source port of this node towards any backend */
	COUNT_DROP_SNAT_NO_ADDRESS, /* this node has no address to be the client with */
	COUNT_DROP_HOST_TO_ITSELF, /* a process of this node, and all its backends are here too */
	COUNT_DROP_SOURCE_RANGE, /* the client is in none of the frontend's source ranges */
	COUNT_DROP_UNALLOCATED_VIP, /* in a service range, but no Service has the address */
	COUNT_DROP_FRAGMENT, /* later fragment of a VIP packet whose first was not seen */
	COUNT_DROP_REWRITE, /* a packet helper refused the rewrite */
	COUNT_DROP_REJECT_LIMITED,
	COUNT_DROP_REJECT_FAILED,
	COUNTER_MAX,
};

#endif
