/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The two programs of a pod's host-side device. docs/packet-walk.md draws the
 * way of each packet through the functions called here.
 */
#include "create.h"
#include "fragment.h"
#include "icmp.h"
#include "reject.h"
#include "rewrite.h"
#include "send.h"

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
	if (!has_dmac(flow))
		return VERDICT_NEIGHBOUR;
	return bpf_skb_store_bytes(skb, 0, flow->dmac, ETH_ALEN, 0) ? drop(COUNT_DROP_REWRITE) :
								       VERDICT_TRANSLATED;
}

/*
 * A packet whose flow was found (or has just been created). It is rewritten from a copy of its
 * own: once an entry has left its table (promotion does that here, other CPUs do it any time),
 * the kernel gives the element to another flow at once.
 */
static __always_inline enum verdict follow_flow(struct __sk_buff *skb, const struct packet *packet,
						struct found_flow *found, struct flow *copy,
						__u32 now)
{
	struct flow *flow = found->flow;
	bool is_due = flow->last_seen != now || !(flow->flags & FLOW_REPLIED);

	if (packet->fragment == FRAGMENT_FIRST)
		remember_ports(packet, now);
	else if (packet->fragment == FRAGMENT_LATER)
		count(COUNT_FRAGMENT_TRANSLATED);
	if (is_due && l2_len && !(flow->flags & FLOW_REVERSE))
		find_bridged_backend(skb, packet, flow);
	*copy = *flow;
	track_flow(packet, found, now);
	return translate(skb, packet, copy);
}

/*
 * Everything up to the verdict. `hook_flags` is FLOW_AT_EGRESS at egress, else 0; `flow` is
 * filled for a packet that was translated.
 */
static __always_inline enum verdict decide(struct __sk_buff *skb, struct packet *packet,
					   __u16 hook_flags, struct flow *flow)
{
	struct backend_set set = {};
	struct found_flow found;
	__u32 now;
	int verdict;

	if (parse_packet(skb, packet) != PARSED)
		return VERDICT_PASS;
	if (is_icmp(packet))
		return is_icmp_error(packet) ? translate_icmp_error(skb, packet, hook_flags) :
					       VERDICT_PASS;
	now = now_ticks();
	if (packet->fragment == FRAGMENT_LATER && recall_ports(packet, now)) {
		if (hook_flags || !is_vip(&packet->tuple.daddr))
			return VERDICT_PASS;
		return drop(COUNT_DROP_FRAGMENT);
	}
	found = find_flow(packet);
	if (found.flow) {
		if ((found.flow->flags & FLOW_AT_EGRESS) != hook_flags)
			return VERDICT_PASS;
		if (!is_usable(packet, found.flow, now)) {
			remove_flow(&packet->tuple, found.flow);
			found.flow = NULL;
		}
	}
	if (!found.flow) {
		if (hook_flags)
			return VERDICT_PASS;
		verdict = open_flow(packet, &set, now);
		if (verdict == VERDICT_CREATE) {
			verdict = create_flow(&packet->tuple, &set, now);
			if (verdict)
				return drop(verdict);
		} else if (verdict != VERDICT_TRANSLATED) {
			return verdict;
		}
		found = find_created(packet);
		if (!found.flow)
			return drop(COUNT_DROP_FLOW_INSERT);
	}
	return follow_flow(skb, packet, &found, flow, now);
}

static __always_inline enum verdict reject(struct __sk_buff *skb, const struct packet *packet,
					   enum verdict verdict)
{
	if (verdict == VERDICT_REJECT_NO_ENDPOINT)
		return reject_packet(skb, packet, COUNT_REJECT_NO_ENDPOINT);
	if (verdict == VERDICT_REJECT_UNUSED_PORT)
		return reject_packet(skb, packet, COUNT_REJECT_UNUSED_PORT);
	return reject_packet(skb, packet, COUNT_REJECT_MIDFLOW);
}

/* The only place that turns a verdict into the kernel's action. */
static __always_inline int act(struct __sk_buff *skb, __u16 hook_flags)
{
	struct packet packet = {};
	struct flow flow = {};
	enum verdict verdict = decide(skb, &packet, hook_flags, &flow);
	int action;

	if (verdict == VERDICT_REJECT_NO_ENDPOINT || verdict == VERDICT_REJECT_UNUSED_PORT ||
	    verdict == VERDICT_REJECT_MIDFLOW)
		verdict = reject(skb, &packet, verdict);
	switch (verdict) {
	case VERDICT_PASS:
	case VERDICT_TRANSLATED:
		return ACTION_NEXT;
	case VERDICT_SEND_BACK:
		action = send_back(skb);
		break;
	case VERDICT_NEIGHBOUR:
		action = send_to_neighbour(skb, &packet, &flow);
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
