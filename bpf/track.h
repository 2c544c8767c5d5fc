/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What does a packet change about its flow? Off the established path, except for one question. */
#ifndef KUBE_SHUNT_TRACK_H
#define KUBE_SHUNT_TRACK_H

#include "flow.h"

/* Marks the other half as alive, unless another flow has its tuple by now. */
static __always_inline void touch_twin(struct flow *twin, const struct flow_key *key, __u32 now)
{
	if (is_twin(twin, key))
		twin->last_seen = now;
}

/*
 * Once a tick, and for each SYN and request: marks both halves as alive. A half that the LRU has
 * taken is put back from this one, unless its tuple is somebody else's by now.
 */
__noinline int refresh_flow(const struct flow_key *key, struct flow *flow, bool is_half_open,
			    __u32 now)
{
	if (!key || !flow)
		return -1;
	struct flow fresh = *flow, *twin;
	struct flow_key other_key = {};
	long failed;

	if (!is_of_client(key, &fresh))
		return 0;
	flow->last_seen = now;
	fresh.last_seen = now;
	twin_key(key, &fresh, &other_key);
	twin = bpf_map_lookup_elem(&flows, &other_key);
	if (!twin && is_half_open)
		twin = bpf_map_lookup_elem(&half_open, &other_key);
	if (twin) {
		touch_twin(twin, key, now);
		return 0;
	}
	turn_flow(key, &fresh);
	if (is_half_open)
		failed = insert_half(&half_open, &other_key, &fresh);
	else
		failed = insert_half(&flows, &other_key, &fresh);
	if (!failed)
		count(COUNT_FLOW_TWIN_REBUILT);
	return 0;
}

/*
 * The backend answered the handshake: noted on both halves. Whoever floods us with requests from
 * other people's addresses gets this far, so it is the client's next word that promotes.
 */
__noinline int note_answer(const struct flow_key *key, struct flow *flow)
{
	if (!key || !flow)
		return -1;
	struct flow_key other_key = {};
	struct flow *twin;

	twin_key(key, flow, &other_key);
	set_flags(flow, FLOW_ANSWERED);
	twin = lookup_twin(&half_open, &other_key, key);
	if (twin)
		set_flags(twin, FLOW_ANSWERED);
	return 0;
}

/*
 * A half-open flow goes both ways: both halves move to `flows`, where a flood of
 * first packets cannot reach them. If there is no room they stay, still usable.
 * `flow` is an element of half_open: afterwards it may belong to anybody.
 */
__noinline int promote_flow(const struct flow_key *key, const struct flow *flow, __u32 now)
{
	if (!key || !flow)
		return -1;
	struct flow fresh = *flow, *other;
	struct flow_key other_key = {};

	if (!is_of_client(key, &fresh))
		return 0;
	fresh.flags |= FLOW_REPLIED;
	fresh.flags &= ~FLOW_ANSWERED;
	fresh.last_seen = now;
	if (insert_half(&flows, key, &fresh))
		return 0;
	twin_key(key, &fresh, &other_key);
	other = bpf_map_lookup_elem(&half_open, &other_key);
	if (!other || is_twin(other, key)) {
		turn_flow(key, &fresh);
		/* Unlike one made from the reply it knows the way to its backend. */
		if (other) {
			fresh.flags |= other->flags & FLOW_BRIDGED;
			__builtin_memcpy(fresh.dmac, other->dmac, sizeof(fresh.dmac));
		}
		bpf_map_update_elem(&flows, &other_key, &fresh, BPF_NOEXIST);
		bpf_map_delete_elem(&half_open, &other_key);
	}
	bpf_map_delete_elem(&half_open, key);
	count(COUNT_FLOW_PROMOTED);
	return 0;
}

/* FIN and RST are noted on both halves, so that either can be judged alone. */
__noinline int close_flow(const struct flow_key *key, struct flow *flow, __u8 tcp_flags)
{
	if (!key || !flow)
		return -1;
	bool is_reverse = flow->flags & FLOW_REVERSE;
	__u16 reset = is_reverse ? FLOW_RESET_REVERSE : FLOW_RESET_FORWARD;
	__u16 fin = is_reverse ? FLOW_FIN_REVERSE : FLOW_FIN_FORWARD;
	struct flow_key other_key = {};
	struct flow *twin;
	__u16 noted = 0;

	twin_key(key, flow, &other_key);
	twin = lookup_twin(&flows, &other_key, key);
	if (!twin)
		twin = lookup_twin(&half_open, &other_key, key);
	if (tcp_flags & TCP_RST)
		noted |= reset;
	if (tcp_flags & TCP_FIN)
		noted |= fin;
	/* Its sender goes on talking: the RST was not accepted. */
	if (!(tcp_flags & TCP_RST)) {
		clear_flags(flow, reset);
		if (twin)
			clear_flags(twin, reset);
	}
	set_flags(flow, noted);
	if (twin)
		set_flags(twin, noted);
	return 0;
}

/*
 * Does the client wait for an answer now? Then the other half is looked after at once: without
 * it the answer would reach the client under the backend's own address, and be met with a reset.
 */
static __always_inline bool is_request(const struct packet *packet, const struct flow *flow)
{
	return packet->tcp_flags & TCP_PSH && !(flow->flags & FLOW_REVERSE);
}

/* Is it the answer to the first packet of a connection? */
static __always_inline bool is_answer(const struct packet *packet, const struct flow *flow)
{
	return flow->flags & FLOW_REVERSE && packet->tcp_flags & TCP_SYN;
}

/*
 * Does this packet show that a half-open flow goes both ways? The node's own connections need
 * not prove that: nobody floods with those, and their egress looks into half_open for SYNs only.
 */
static __always_inline bool is_promotion(const struct packet *packet, const struct flow *flow)
{
	if (packet->tcp_flags & TCP_RST)
		return false;
	if (packet->tcp_flags & TCP_SYN)
		return flow->flags & FLOW_REVERSE && flow->flags & FLOW_FROM_HOST;
	return flow->flags & (FLOW_REVERSE | FLOW_ANSWERED);
}

/*
 * Brings the flow up to date with a packet that uses it. What may insert an entry
 * comes last: a full table can give the new entry our own element.
 */
__noinline int track_flow(const struct packet *packet, struct flow *flow, bool is_half_open,
			  __u32 now)
{
	if (!packet || !flow)
		return -1;
	if (packet->tcp_flags & (TCP_FIN | TCP_RST) || flow->flags & FLOW_RESET)
		close_flow(&packet->tuple, flow, packet->tcp_flags);
	if (is_half_open) {
		if (is_promotion(packet, flow))
			return promote_flow(&packet->tuple, flow, now);
		if (is_answer(packet, flow))
			note_answer(&packet->tuple, flow);
		else if (has_handshake(packet->tuple.proto) &&
			 !(packet->tcp_flags & (TCP_SYN | TCP_RST)))
			last_midflow = now;
	}
	if (flow->last_seen != now || packet->tcp_flags & TCP_SYN || is_request(packet, flow))
		return refresh_flow(&packet->tuple, flow, is_half_open, now);
	return 0;
}

/* Is there more to this packet than that the flow lives? */
static __always_inline bool needs_tracking(const struct packet *packet,
					   const struct found_flow *found, __u32 now)
{
	if (found->is_new)
		return has_handshake(packet->tuple.proto) && !is_syn(packet);
	return found->is_half_open || found->flow->last_seen != now ||
	       packet->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST) ||
	       is_request(packet, found->flow) || found->flow->flags & FLOW_RESET;
}

/*
 * Of the two steps of a half with FLOW_SNAT: may the second be missing, or be about to expire? XDP
 * needs none and makes none.
 */
static __always_inline bool needs_second_steps(const struct packet *packet,
					       const struct found_flow *found, __u32 now)
{
	return found->is_new || found->is_half_open || found->flow->last_seen != now ||
	       packet->tcp_flags & TCP_SYN || found->flow->flags & FLOW_DIRECT;
}

/* Will the flow be half open when the packet has been tracked? */
static __always_inline bool is_still_half_open(const struct packet *packet,
					       const struct found_flow *found)
{
	return found->is_half_open && !is_promotion(packet, found->flow);
}

#endif
