/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The programs of a pod's host-side device and those of an uplink.
 * docs/packet-walk.md draws the way of each packet through the functions called
 * here. `hook` is known when the program is compiled, and so are its branches.
 */
#include "admit.h"
#include "fragment.h"
#include "hook.h"
#include "icmp.h"
#include "outgoing.h"
#include "parse.h"
#include "rewrite.h"
#include "send.h"
#include "snat.h"
#include "track.h"
#include "tunnel.h"

/* Rewrites a packet of a half with FLOW_SNAT by the step that is done here. */
__noinline int rewrite_step(struct __sk_buff *skb, const struct packet *packet,
			    const struct flow *flow)
{
	if (!packet || !flow)
		return 0;
	struct flow step = *flow;

	turn_to_step(&packet->tuple, &step);
	return rewrite_packet(skb, packet, &step);
}

static __always_inline bool is_from_host_to_vip(const struct flow *flow)
{
	return (flow->flags & (FLOW_FROM_HOST | FLOW_REVERSE)) == FLOW_FROM_HOST &&
	       flow->frontend != FRONTEND_NOBODY;
}

/* Applies the flow's half to a packet at an uplink. */
static __always_inline enum verdict
translate_at_uplink(struct __sk_buff *skb, const struct packet *packet, const struct flow *flow)
{
	__u16 flags = flow->flags;

	if (flags & FLOW_SNAT ? !rewrite_step(skb, packet, flow)
			      : !rewrite_packet(skb, packet, flow))
		return drop(COUNT_DROP_REWRITE);
	if (!(flags & FLOW_INNER))
		count(flags & FLOW_REVERSE ? COUNT_REVERSE : COUNT_FORWARD);
	return is_from_host_to_vip(flow) ? VERDICT_ROUTE : VERDICT_TRANSLATED;
}

/* Applies the flow's half to a packet of a pod and says how it leaves. */
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
						struct found_flow *found, enum hook hook, __u32 now)
{
	struct flow *flow = found->flow;
	enum verdict verdict;

	if (packet->fragment == FRAGMENT_FIRST)
		remember_ports(packet, now);
	else if (packet->fragment == FRAGMENT_LATER)
		count(COUNT_FRAGMENT_TRANSLATED);
	if (is_uplink(hook)) {
		verdict = translate_at_uplink(skb, packet, flow);
		if (flow->flags & FLOW_INNER)
			return verdict;
		if (flow->flags & FLOW_SNAT && needs_second_steps(packet, found, now))
			enter_second_steps(&packet->tuple, flow, is_still_half_open(packet, found),
					   now);
		if (needs_tracking(packet, found, now))
			track_flow(packet, flow, found->is_half_open, now);
		return verdict;
	}
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
__noinline int inspect_packet(struct __sk_buff *skb, struct packet *packet, __u32 hook)
{
	int parsed;

	if (!packet)
		return VERDICT_PASS;
	parsed = parse_packet(skb, packet);
	/* The address is zero, and no VIP, if the packet ends before it. */
	if (parsed == PARSED_SHORT && !is_egress(hook) && is_vip(&packet->tuple.daddr))
		return drop(COUNT_DROP_MALFORMED);
	if (parsed != PARSED)
		return VERDICT_PASS;
	if (is_icmp(packet))
		return is_icmp_error(packet) ? translate_icmp_error(skb, packet, hook)
					     : VERDICT_PASS;
	if (packet->fragment == FRAGMENT_LATER && recall_ports(packet, now_ticks())) {
		if (is_egress(hook) || !is_vip(&packet->tuple.daddr))
			return VERDICT_PASS;
		return drop(COUNT_DROP_FRAGMENT);
	}
	return VERDICT_FOLLOW;
}

/* The packet's flow, if it has one that it may use; `verdict` says so if it is to be left alone. */
static __always_inline struct found_flow find_usable(const struct packet *packet, enum hook hook,
						     __u32 now, int *verdict)
{
	struct found_flow found = find_flow(packet, now);

	if (!found.flow)
		return found;
	if (!is_of_client(&packet->tuple, found.flow)) {
		found.flow = NULL;
		return found;
	}
	if (!is_at_hook(found.flow, hook)) {
		*verdict = VERDICT_PASS;
	} else if (is_uplink(hook) && found.flow->flags & FLOW_OWN) {
		found.flow->last_seen = now;
		*verdict = VERDICT_PASS;
	} else if (!is_usable(packet, found.flow, now)) {
		remove_flow(&packet->tuple, found.flow);
		found.flow = NULL;
	}
	return found;
}

/* Gives a packet without a flow one (VERDICT_FOLLOW), or says what else becomes of it. */
static __always_inline int admit(struct __sk_buff *skb, const struct packet *packet, enum hook hook,
				 __u32 now)
{
	if (hook == HOOK_POD_EGRESS)
		return VERDICT_PASS;
	if (hook == HOOK_UPLINK_EGRESS && !is_own_request(skb, packet))
		return admit_outgoing(skb, packet, now);
	return find_server(skb, packet, hook, now);
}

/* Everything up to the verdict. */
static __always_inline enum verdict decide(struct __sk_buff *skb, struct packet *packet,
					   enum hook hook)
{
	int verdict = VERDICT_FOLLOW;
	struct found_flow found;
	__u32 now;

	if (!parse_plain(skb, packet)) {
		verdict = inspect_packet(skb, packet, hook);
		if (verdict != VERDICT_FOLLOW)
			return verdict;
	}
	if (is_uplink(hook) && is_tunnel(packet))
		return VERDICT_PASS;
	now = now_ticks();
	found = find_usable(packet, hook, now, &verdict);
	if (verdict != VERDICT_FOLLOW)
		return verdict;
	if (!found.flow) {
		verdict = admit(skb, packet, hook, now);
		if (verdict != VERDICT_FOLLOW)
			return verdict;
		found = find_created(packet);
		if (!found.flow || !is_of_client(&packet->tuple, found.flow))
			return drop(COUNT_DROP_FLOW_INSERT);
	}
	return follow_flow(skb, packet, &found, hook, now);
}

/* The only place that turns a verdict into the kernel's action. */
static __always_inline int act(struct __sk_buff *skb, enum hook hook)
{
	struct packet packet = {};
	int action;

	switch (decide(skb, &packet, hook)) {
	case VERDICT_PASS:
	case VERDICT_TRANSLATED:
		return ACTION_NEXT;
	case VERDICT_SEND_BACK:
		action = send_back(skb, hook);
		break;
	case VERDICT_ROUTE:
		action = send_by_route(skb, &packet);
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
	return act(skb, HOOK_POD_INGRESS);
}

/* To the pod: replies of backends. */
SEC("tc")
int shunt_egress(struct __sk_buff *skb)
{
	return act(skb, HOOK_POD_EGRESS);
}

/* From other machines: clients outside, and answers to flows that this node is the client of. */
SEC("tc")
int shunt_uplink_ingress(struct __sk_buff *skb)
{
	return act(skb, HOOK_UPLINK_INGRESS);
}

/* To other machines: answers to clients outside, and packets to backends on other nodes. */
SEC("tc")
int shunt_uplink_egress(struct __sk_buff *skb)
{
	return act(skb, HOOK_UPLINK_EGRESS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
