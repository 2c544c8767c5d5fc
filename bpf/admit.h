/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet without a flow: is it for a frontend, and what becomes of it? */
#ifndef KUBE_SHUNT_ADMIT_H
#define KUBE_SHUNT_ADMIT_H

#include "create.h"
#include "hook.h"
#include "reject.h"
#include "sound.h"

static __always_inline bool is_midflow_passed(void)
{
	__u32 zero = 0;
	struct settings *config = bpf_map_lookup_elem(&settings, &zero);

	return config && bpf_ktime_get_coarse_ns() < config->midflow_pass_until;
}

static __always_inline bool is_in_range(const struct addr *addr, const struct service_range *range)
{
	for (int i = 0; i < 4; i++)
		if ((addr->word[i] & range->mask.word[i]) != range->base.word[i])
			return false;
	return true;
}

/* Can this address only be a cluster IP? */
static __always_inline bool is_service_addr(const struct addr *addr)
{
	__u32 zero = 0;
	struct network *known = bpf_map_lookup_elem(&network, &zero);

	if (!known)
		return false;
	for (__u32 i = 0; i < SERVICE_RANGES_MAX; i++) {
		if (i >= known->range_count)
			break;
		if (is_in_range(addr, &known->service_ranges[i]))
			return i >= known->exempt_count;
	}
	return false;
}

/* Nobody has this address. If it is of a service range, a router would send it back to us. */
static __always_inline int refuse_unallocated(const struct packet *packet, bool is_midflow)
{
	if (!is_service_addr(&packet->tuple.daddr) || (is_midflow && is_midflow_passed()))
		return VERDICT_PASS;
	return drop(COUNT_DROP_UNALLOCATED_VIP);
}

/*
 * A TCP packet of a connection we have no flow for. Never a random backend: first
 * the half that may be left, then (while connections of a former proxy may be
 * alive) the host stack, and last the choice its first packet led to. At a
 * NodePort it may as well be for a process of the node, or a pod it masquerades.
 */
static __always_inline int resume_flow(struct __sk_buff *skb, const struct packet *packet,
				       struct backend_set *set, __u32 now)
{
	bool is_owned = is_vip(&packet->tuple.daddr);
	enum frontend_match match = FRONTEND_NONE;
	struct flow *flow;
	bool is_offered;

	/* All foreign TCP comes by here: one lookup. */
	if (is_owned || is_node_port(packet->tuple.dport))
		match = lookup_frontend(&packet->tuple, &set->frontend);
	if (match == FRONTEND_NONE)
		return refuse_unallocated(packet, true);
	flow = bpf_map_lookup_elem(&half_open, &packet->tuple);
	if (flow && !is_expired(&packet->tuple, flow, now))
		return VERDICT_FOLLOW;
	is_offered =
		match == FRONTEND_FOUND && read_backend_set(set->frontend, set) && set->total > 0;
	if (is_offered && !is_admitted(packet, set))
		return drop(COUNT_DROP_SOURCE_RANGE);
	if (is_offered && recover_flow(skb, &packet->tuple, set, now))
		return VERDICT_FOLLOW;
	if (is_midflow_passed()) {
		count(COUNT_MIDFLOW_PASSED);
		return VERDICT_PASS;
	}
	if (!is_owned)
		return VERDICT_PASS;
	if (packet->tcp_flags & TCP_RST)
		return drop(COUNT_DROP_MIDFLOW_RESET);
	if (!is_offered)
		return VERDICT_REJECT_MIDFLOW;
	return set->count ? VERDICT_CREATE : drop(COUNT_DROP_NO_LOCAL_ENDPOINT);
}

/* A packet that may open a flow: a SYN or a datagram. */
static __always_inline int open_flow(const struct packet *packet, struct backend_set *set)
{
	switch (lookup_frontend(&packet->tuple, &set->frontend)) {
	case FRONTEND_NONE:
		return refuse_unallocated(packet, false);
	case FRONTEND_UNUSED:
		return VERDICT_REJECT_UNUSED_PORT;
	case FRONTEND_FOUND:
		break;
	}
	if (!read_backend_set(set->frontend, set))
		return drop(COUNT_DROP_BACKEND_STALE);
	if (!is_admitted(packet, set))
		return drop(COUNT_DROP_SOURCE_RANGE);
	if (set->total == 0)
		return VERDICT_REJECT_NO_ENDPOINT;
	return set->count ? VERDICT_CREATE : drop(COUNT_DROP_NO_LOCAL_ENDPOINT);
}

/* Who only comes after a first packet opens nothing. */
static __always_inline enum verdict refuse_fragment(const struct packet *packet)
{
	return is_vip(&packet->tuple.daddr) ? drop(COUNT_DROP_FRAGMENT) : VERDICT_PASS;
}

static __always_inline enum verdict reject(struct __sk_buff *skb, const struct packet *packet,
					   const struct backend_set *set, int verdict)
{
	if (verdict == VERDICT_REJECT_UNUSED_PORT)
		return reject_packet(skb, packet, COUNT_REJECT_UNUSED_PORT);
	if (verdict == VERDICT_REJECT_MIDFLOW)
		return reject_packet(skb, packet, COUNT_REJECT_MIDFLOW);
	count_frontend(set->frontend, true);
	return reject_packet(skb, packet, COUNT_REJECT_NO_ENDPOINT);
}

/*
 * VERDICT_CREATE: `set` is to serve it; VERDICT_FOLLOW: its flow was recovered.
 * A function of its own, because the established path must not pay for its
 * registers and stack.
 */
__noinline int admit_packet(struct __sk_buff *skb, const struct packet *packet,
			    struct backend_set *set, __u32 now)
{
	bool is_midflow;
	int verdict;

	if (!packet || !set)
		return VERDICT_PASS;
	if (packet->fragment == FRAGMENT_LATER)
		return refuse_fragment(packet);
	is_midflow = has_handshake(packet->tuple.proto) && !is_syn(packet);
	verdict = is_midflow ? resume_flow(skb, packet, set, now) : open_flow(packet, set);
	if (verdict == VERDICT_PASS || verdict == VERDICT_FOLLOW || verdict == VERDICT_DROP)
		return verdict;
	/* ---- the ownership line: from here on the packet is ours, and a bad one is dropped */
	if (!is_sound(skb, packet))
		return drop(COUNT_DROP_MALFORMED);
	if (verdict != VERDICT_CREATE)
		return reject(skb, packet, set, verdict);
	if (is_midflow)
		count(COUNT_FLOW_CHOICE_REPEATED);
	return verdict;
}

/* Gives the packet a flow (VERDICT_FOLLOW), or says what else becomes of it. */
static __always_inline int find_server(struct __sk_buff *skb, const struct packet *packet,
				       enum hook hook, __u32 now)
{
	struct backend_set set = {.is_outside = hook == HOOK_UPLINK_INGRESS,
				  .is_from_host = hook == HOOK_UPLINK_EGRESS};
	int verdict = admit_packet(skb, packet, &set, now);
	int reason;

	if (verdict != VERDICT_CREATE)
		return verdict;
	reason = create_flow(skb, &packet->tuple, &set, now);
	return reason ? drop(reason) : VERDICT_FOLLOW;
}

#endif
