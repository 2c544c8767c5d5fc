/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow table: find a flow, keep both halves alive, notice that it is over.
 * A lookup in `flows` is all that a packet of an established flow needs.
 */
#ifndef KUBE_SHUNT_FLOW_H
#define KUBE_SHUNT_FLOW_H

#include "clock.h"
#include "config.h"
#include "maps.h"
#include "packet.h"
#include "select.h"
#include "verdict.h"

#define FLOW_FIN     (FLOW_FIN_FORWARD | FLOW_FIN_REVERSE)
#define FLOW_RESET   (FLOW_RESET_FORWARD | FLOW_RESET_REVERSE)
#define FLOW_CLOSING (FLOW_FIN | FLOW_RESET)

/* Where a flow was found. */
struct found_flow {
	struct flow *flow;
	bool is_half_open;
	bool is_new;
};

static __always_inline void twin_key(const struct flow_key *key, const struct flow *flow,
				     struct flow_key *twin)
{
	twin->saddr = flow->daddr;
	twin->daddr = flow->saddr;
	twin->sport = flow->dport;
	twin->dport = flow->sport;
	twin->proto = key->proto;
}

/*
 * What a half with FLOW_SNAT repeats of its key. Neither end of its tuple is in its key, so
 * nothing else tells that the element has become another flow's.
 */
static __always_inline __u16 flow_echo(const struct flow_key *key)
{
	__u32 mixed = key->saddr.word[3] * 0x9e3779b1 + key->daddr.word[3];

	mixed ^= key->sport | (__u32)key->dport << 16;
	return (mixed * 0x85ebca6b) >> 16;
}

/* At which hook is this half applied? Known from whose flow it is and from its direction. */
static __always_inline bool belongs_at_egress(__u16 flags)
{
	if (flags & FLOW_REVERSE)
		return !(flags & (FLOW_HAIRPIN | FLOW_SNAT | FLOW_FROM_HOST));
	return flags & FLOW_FROM_HOST;
}

/* Turns a half into the other: its tuple undoes this one's. */
static __always_inline void turn_flow(const struct flow_key *key, struct flow *flow)
{
	struct flow_key other_key = {};

	twin_key(key, flow, &other_key);
	flow->saddr = key->daddr;
	flow->daddr = key->saddr;
	flow->sport = key->dport;
	flow->dport = key->sport;
	flow->address_delta = ~flow->address_delta;
	flow->port_delta = ~flow->port_delta;
	flow->flags ^= FLOW_REVERSE;
	flow->flags &= ~(FLOW_AT_EGRESS | FLOW_BRIDGED | FLOW_DIRECT);
	if (belongs_at_egress(flow->flags))
		flow->flags |= FLOW_AT_EGRESS;
	__builtin_memset(flow->dmac, 0, sizeof(flow->dmac));
	if (flow->flags & FLOW_SNAT)
		flow->port_delta = flow_echo(&other_key);
}

static __always_inline bool is_twin(const struct flow *twin, const struct flow_key *key)
{
	return twin->sport == key->dport && twin->dport == key->sport &&
	       is_same_addr(&twin->saddr, &key->daddr) && is_same_addr(&twin->daddr, &key->saddr);
}

/*
 * Does this flow lead to or from the client of this packet? An element of the
 * tables can become another flow's while we look at it (other CPUs insert), and
 * answers for a client at another end then: that is a miss.
 */
static __always_inline bool is_of_client(const struct flow_key *tuple, const struct flow *flow)
{
	bool is_reverse = flow->flags & FLOW_REVERSE;
	const struct addr *addr = is_reverse ? &flow->daddr : &flow->saddr;
	const struct addr *wanted = is_reverse ? &tuple->daddr : &tuple->saddr;
	__be16 port = is_reverse ? flow->dport : flow->sport;
	__be16 wanted_port = is_reverse ? tuple->dport : tuple->sport;

	if (flow->flags & FLOW_SNAT)
		return flow->port_delta == flow_echo(tuple);
	return (addr->word[3] == wanted->word[3] || flow->flags & FLOW_HAIRPIN) &&
	       (port == wanted_port || flow->flags & FLOW_PORT_CHANGED);
}

/* Both ends of a TCP connection have closed it, or one has reset it. */
static __always_inline bool is_over(__u16 flags)
{
	return flags & FLOW_RESET || (flags & FLOW_FIN) == FLOW_FIN;
}

/* Ticks a flow may stay silent. */
static __always_inline __u32 flow_lifetime(__u8 proto, __u16 flags)
{
	/* Made anew by each packet that comes to it. */
	if (flags & FLOW_INNER)
		return ticks_udp_unreplied;
	if (!has_handshake(proto))
		return flags & FLOW_REPLIED ? ticks_udp_replied : ticks_udp_unreplied;
	if (flags & FLOW_RESET)
		return ticks_tcp_reset;
	if ((flags & FLOW_FIN) == FLOW_FIN)
		return ticks_tcp_fin;
	if (!(flags & FLOW_REPLIED))
		return ticks_tcp_syn;
	return flags & FLOW_FIN ? ticks_tcp_half_closed : ticks_tcp_established;
}

static __always_inline bool is_expired(const struct flow_key *key, const struct flow *flow,
				       __u32 now)
{
	/* Another CPU may have written a later tick than ours. */
	return (__s32)(now - flow->last_seen) > (__s32)flow_lifetime(key->proto, flow->flags);
}

/*
 * Atomic, because another CPU may note something at the same moment; and only
 * these bits, because the element may be another flow's by now. In memory the
 * flags are the lower half of an aligned word.
 */
static __always_inline void set_flags(struct flow *flow, __u16 bits)
{
	__sync_fetch_and_or((__u32 *)&flow->flags, (__u32)bits);
}

static __always_inline void clear_flags(struct flow *flow, __u16 bits)
{
	__sync_fetch_and_and((__u32 *)&flow->flags, ~(__u32)bits);
}

/*
 * The other half, if it is in this table. An entry under its key may also belong to another flow
 * that has taken the tuple over since: that one is none of our business.
 */
static __always_inline struct flow *lookup_twin(void *table, const struct flow_key *twin_key,
						const struct flow_key *key)
{
	struct flow *twin = bpf_map_lookup_elem(table, twin_key);

	return twin && is_twin(twin, key) ? twin : NULL;
}

/*
 * Enters a half and uses it once. An LRU table that is full of used entries makes room for the
 * next one by taking the newest that nobody has used yet: the half just entered.
 */
static __always_inline long insert_half(void *table, const struct flow_key *key,
					const struct flow *flow)
{
	long failed = bpf_map_update_elem(table, key, flow, BPF_NOEXIST);

	if (!failed)
		bpf_map_lookup_elem(table, key);
	return failed;
}

/* Off the established path, hence not inlined: keeps that path short. */
__noinline int remove_flow(const struct flow_key *key, const struct flow *flow)
{
	if (!key || !flow)
		return -1;
	struct flow_key other_key = {};

	twin_key(key, flow, &other_key);
	if (lookup_twin(&flows, &other_key, key))
		bpf_map_delete_elem(&flows, &other_key);
	if (lookup_twin(&half_open, &other_key, key))
		bpf_map_delete_elem(&half_open, &other_key);
	bpf_map_delete_elem(&flows, key);
	bpf_map_delete_elem(&half_open, key);
	return 0;
}

/* May this packet use the flow? Returns 0, or what to count as the reason why not. */
static __always_inline enum counter why_unusable(const struct packet *packet,
						 const struct flow *flow, __u32 now)
{
	if (flow->last_seen != now && is_expired(&packet->tuple, flow, now))
		return COUNT_FLOW_EXPIRED;
	if (flow->flags & FLOW_INNER)
		return 0;
	/* A handshake after the end: the client now dials this backend without us. */
	if (flow->flags & FLOW_REVERSE)
		return packet->tcp_flags & TCP_SYN && is_over(flow->flags) ? COUNT_FLOW_REUSED : 0;
	if (has_handshake(packet->tuple.proto)) {
		if (!is_syn(packet))
			return 0;
		if (flow->flags & FLOW_CLOSING)
			return COUNT_FLOW_REUSED;
	}
	if (flow->frontend == FRONTEND_NOBODY ||
	    is_backend_current(flow->backend, flow->backend_generation))
		return 0;
	return COUNT_FLOW_BACKEND_GONE;
}

/* If the packet may not use the flow, the flow is removed and the packet opens a new one. */
static __always_inline bool is_usable(const struct packet *packet, const struct flow *flow,
				      __u32 now)
{
	enum counter reason = why_unusable(packet, flow, now);

	if (reason)
		count(reason);
	return !reason;
}

/* The tick when a TCP flow in half_open was last used by a packet from the middle of its life. */
static __u32 last_midflow;

/*
 * Both halves of a TCP flow are in half_open only until its SYN is answered, so
 * other packets need not look there, which spares all foreign TCP a lookup. A
 * flow opened from the middle of a connection waits there for a reply that is no
 * SYN-ACK; as long as there may be one, everybody looks.
 */
static __always_inline struct found_flow find_flow(const struct packet *packet, __u32 now)
{
	struct found_flow found = {};

	found.flow = bpf_map_lookup_elem(&flows, &packet->tuple);
	if (found.flow)
		return found;
	if (has_handshake(packet->tuple.proto) && !(packet->tcp_flags & (TCP_SYN | TCP_RST)) &&
	    !packet->fragment && (__s32)(now - last_midflow) > (__s32)ticks_tcp_syn)
		return found;
	found.flow = bpf_map_lookup_elem(&half_open, &packet->tuple);
	found.is_half_open = true;
	return found;
}

/* The flow that admit_packet has just entered or recovered. */
static __always_inline struct found_flow find_created(const struct packet *packet)
{
	struct found_flow found = {.is_new = true};

	found.flow = bpf_map_lookup_elem(&half_open, &packet->tuple);
	found.is_half_open = found.flow;
	if (!found.flow)
		found.flow = bpf_map_lookup_elem(&flows, &packet->tuple);
	return found;
}

#endif
