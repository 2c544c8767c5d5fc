/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The two programs of a pod's host-side device. docs/packet-walk.md draws the
 * way of each packet through the functions called here.
 */
#include "admit.h"
#include "fragment.h"
#include "icmp.h"
#include "parse.h"
#include "rewrite.h"
#include "send.h"
#include "track.h"

/* Applies the flow's half to the packet and says how it leaves. */
static __always_inline enum verdict translate(struct __sk_buff *skb, const struct packet *packet,
					      const struct flow *flow)
{
	__u16 flags = flow->flags;

	if (!rewrite_packet(skb, packet, flow))
		return drop(COUNT_DROP_REWRITE);
	count(flags & FLOW_REVERSE ? COUNT_REVERSE : COUNT_FORWARD);
	if (flags & FLOW_HAIRPIN) {
		count(COUNT_HAIRPIN);
		return VERDICT_SEND_BACK;
	}
	if ((flags & (FLOW_BRIDGED | FLOW_REVERSE)) != FLOW_BRIDGED || !l2_len)
		return VERDICT_TRANSLATED;
	/* netfilter may look into the bridge, and is to see the beginning before a reply */
	if (!has_dmac(flow))
		return flags & FLOW_REPLIED ? VERDICT_NEIGHBOUR : VERDICT_TRANSLATED;
	return bpf_skb_store_bytes(skb, 0, flow->dmac, ETH_ALEN, 0) ? drop(COUNT_DROP_REWRITE)
								    : VERDICT_TRANSLATED;
}

/*
 * A packet whose flow was found (or has just been created). Its rewrite comes
 * before the flow's bookkeeping: an element that has left its table (promotion
 * does that, other CPUs may do it any time) can be another flow's a moment later,
 * so what it says is used at once.
 */
static __always_inline enum verdict follow_flow(struct __sk_buff *skb, const struct packet *packet,
						struct found_flow *found, __u32 now)
{
	struct flow *flow = found->flow;
	enum verdict verdict;

	if (packet->fragment == FRAGMENT_FIRST)
		remember_ports(packet, now);
	else if (packet->fragment == FRAGMENT_LATER)
		count(COUNT_FRAGMENT_TRANSLATED);
	if (l2_len && !(flow->flags & FLOW_REVERSE) &&
	    (flow->last_seen != now || found->is_new || lacks_dmac(flow)))
		find_bridged_backend(skb, packet, flow);
	verdict = translate(skb, packet, flow);
	if (needs_tracking(packet, found, now))
		track_flow(packet, flow, found->is_half_open, now);
	return verdict;
}

/*
 * Any packet but the plain ones. VERDICT_FOLLOW: a packet with ports, go on with it.
 */
__noinline int inspect_packet(struct __sk_buff *skb, struct packet *packet, __u16 hook_flags)
{
	int parsed;

	if (!packet)
		return VERDICT_PASS;
	parsed = parse_packet(skb, packet);
	/* The address is zero, and no VIP, if the packet ends before it. */
	if (parsed == PARSED_SHORT && !hook_flags && is_vip(&packet->tuple.daddr))
		return drop(COUNT_DROP_MALFORMED);
	if (parsed != PARSED)
		return VERDICT_PASS;
	if (is_icmp(packet))
		return is_icmp_error(packet) ? translate_icmp_error(skb, packet, hook_flags)
					     : VERDICT_PASS;
	if (packet->fragment == FRAGMENT_LATER && recall_ports(packet, now_ticks())) {
		if (hook_flags || !is_vip(&packet->tuple.daddr))
			return VERDICT_PASS;
		return drop(COUNT_DROP_FRAGMENT);
	}
	return VERDICT_FOLLOW;
}

/* Everything up to the verdict. `hook_flags` is FLOW_AT_EGRESS at egress, else 0. */
static __always_inline enum verdict decide(struct __sk_buff *skb, struct packet *packet,
					   __u16 hook_flags)
{
	struct found_flow found;
	int verdict;
	__u32 now;

	if (!parse_plain(skb, packet)) {
		verdict = inspect_packet(skb, packet, hook_flags);
		if (verdict != VERDICT_FOLLOW)
			return verdict;
	}
	now = now_ticks();
	found = find_flow(packet, now);
	if (found.flow && is_of_client(&packet->tuple, found.flow)) {
		if ((found.flow->flags & FLOW_AT_EGRESS) != hook_flags)
			return VERDICT_PASS;
		if (!is_usable(packet, found.flow, now)) {
			remove_flow(&packet->tuple, found.flow);
			found.flow = NULL;
		}
	} else {
		found.flow = NULL;
	}
	if (!found.flow) {
		if (hook_flags)
			return VERDICT_PASS;
		verdict = find_server(skb, packet, now);
		if (verdict != VERDICT_FOLLOW)
			return verdict;
		found = find_created(packet);
		if (!found.flow || !is_of_client(&packet->tuple, found.flow))
			return drop(COUNT_DROP_FLOW_INSERT);
	}
	return follow_flow(skb, packet, &found, now);
}

/* The only place that turns a verdict into the kernel's action. */
static __always_inline int act(struct __sk_buff *skb, __u16 hook_flags)
{
	struct packet packet = {};
	int action;

	switch (decide(skb, &packet, hook_flags)) {
	case VERDICT_PASS:
	case VERDICT_TRANSLATED:
		return ACTION_NEXT;
	case VERDICT_SEND_BACK:
		action = send_back(skb);
		break;
	case VERDICT_NEIGHBOUR:
		action = send_to_neighbour(skb, &packet);
		break;
	default:
		return ACTION_DROP;
	}
	if (action >= 0)
		return action;
	count(COUNT_DROP_REWRITE);
	return ACTION_DROP;
}

/* From the pod: forward packets, and both directions of a pod's hairpin flows. */
SEC("tc")
int shunt_ingress(struct __sk_buff *skb)
{
	return act(skb, 0);
}

/* To the pod: replies of backends. */
SEC("tc")
int shunt_egress(struct __sk_buff *skb)
{
	return act(skb, FLOW_AT_EGRESS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
