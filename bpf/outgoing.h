/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets of the node's own (processes of the host, and pods that the host
 * masquerades) on their way out of an uplink, when they have no flow: their answers
 * must find them, and VIPs must not leave.
 */
#ifndef KUBE_SHUNT_OUTGOING_H
#define KUBE_SHUNT_OUTGOING_H

#include "admit.h"

/* Is it one of the addresses that this node is a client with? */
static __always_inline bool is_own_addr(__u32 ifindex, const struct addr *addr)
{
	bool is_ipv4 = is_mapped_ipv4(addr);
	struct addr own = {};

	if (read_uplink_addr(ifindex, is_ipv4, &own) && is_same_addr(&own, addr))
		return true;
	return read_uplink_addr(0, is_ipv4, &own) && is_same_addr(&own, addr);
}

static __always_inline void reply_key(const struct flow_key *tuple, struct flow_key *reply)
{
	reply->saddr = tuple->daddr;
	reply->daddr = tuple->saddr;
	reply->sport = tuple->dport;
	reply->dport = tuple->sport;
	reply->proto = tuple->proto;
}

/*
 * A datagram from a port that is also a NodePort: without a mark the answer would look like a
 * client of the NodePort. In `flows`, where no flood of clients reaches it.
 */
__noinline int keep_own_exchange(const struct flow_key *tuple, const struct flow_key *reply,
				 __u32 now)
{
	if (!tuple || !reply)
		return -1;
	struct frontend_key key = {
		.addr = tuple->saddr, .port = tuple->sport, .proto = tuple->proto};
	struct flow own = {
		.saddr = reply->saddr,
		.daddr = reply->daddr,
		.sport = reply->sport,
		.dport = reply->dport,
		.last_seen = now,
		.frontend = FRONTEND_NOBODY,
		.flags = FLOW_OWN | FLOW_REVERSE | FLOW_REPLIED,
	};
	struct flow *known;
	__u32 index;

	if (!find_ref(&key, &index))
		return 0;
	known = bpf_map_lookup_elem(&flows, reply);
	if (known)
		known->last_seen = now;
	else if (!insert_half(&flows, reply, &own))
		count(COUNT_FLOW_OWN);
	return 0;
}

/* Does the node itself dial a VIP? No socket program has seen it, and its route leads out here. */
__noinline int is_own_request(struct __sk_buff *skb, const struct packet *packet)
{
	if (!packet)
		return 0;
	return is_vip(&packet->tuple.daddr) && is_own_addr(skb->ifindex, &packet->tuple.saddr);
}

/*
 * VERDICT_FOLLOW: another flow has the reply's tuple, so this one goes on from another port.
 */
__noinline int admit_outgoing(struct __sk_buff *skb, const struct packet *packet, __u32 now)
{
	if (!packet || packet->fragment == FRAGMENT_LATER)
		return VERDICT_PASS;
	const struct flow_key *tuple = &packet->tuple;
	struct flow flow = {
		.saddr = tuple->saddr,
		.daddr = tuple->daddr,
		.dport = tuple->dport,
		.last_seen = now,
		.frontend = FRONTEND_NOBODY,
		.flags = FLOW_FROM_HOST | FLOW_AT_EGRESS,
	};
	struct flow_key reply = {};
	struct flow *owner;

	if (has_handshake(tuple->proto) ? !is_syn(packet)
					: !is_own_addr(skb->ifindex, &tuple->saddr))
		return VERDICT_PASS;
	reply_key(tuple, &reply);
	owner = lookup_owner(&reply);
	if (owner && (owner->flags & (FLOW_SNAT | FLOW_INNER)) == FLOW_SNAT &&
	    !is_expired(&reply, owner, now)) {
		if (change_port(skb, tuple, &flow, now) == CLAIM_OURS)
			return VERDICT_FOLLOW;
		return drop(COUNT_DROP_SNAT_EXHAUSTED);
	}
	if (tuple->proto == IPPROTO_UDP && is_node_port(tuple->sport))
		keep_own_exchange(tuple, &reply, now);
	return VERDICT_PASS;
}

#endif
