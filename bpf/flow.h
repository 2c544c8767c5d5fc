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

#define FLOW_FIN (FLOW_FIN_FORWARD | FLOW_FIN_REVERSE)
#define FLOW_RESET (FLOW_RESET_FORWARD | FLOW_RESET_REVERSE)
#define FLOW_CLOSING (FLOW_FIN | FLOW_RESET)

/* Where a flow was found. */
struct found_flow {
	struct flow *flow;
	bool is_half_open;
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

/* The other half: its tuple undoes this one's. */
static __always_inline void twin_flow(const struct flow_key *key, const struct flow *flow,
				      struct flow *twin)
{
	*twin = *flow;
	twin->saddr = key->daddr;
	twin->daddr = key->saddr;
	twin->sport = key->dport;
	twin->dport = key->sport;
	twin->address_delta = ~flow->address_delta;
	twin->port_delta = ~flow->port_delta;
	twin->flags ^= FLOW_REVERSE;
	twin->flags &= ~FLOW_AT_EGRESS;
	if ((twin->flags & (FLOW_REVERSE | FLOW_HAIRPIN)) == FLOW_REVERSE)
		twin->flags |= FLOW_AT_EGRESS;
	__builtin_memset(twin->dmac, 0, sizeof(twin->dmac));
}

static __always_inline bool is_twin(const struct flow *twin, const struct flow_key *key)
{
	return twin->sport == key->dport && twin->dport == key->sport &&
	       is_same_addr(&twin->saddr, &key->daddr) && is_same_addr(&twin->daddr, &key->saddr);
}

/* Both ends of a TCP connection have closed it, or one has reset it. */
static __always_inline bool is_over(__u16 flags)
{
	return flags & FLOW_RESET || (flags & FLOW_FIN) == FLOW_FIN;
}

/* Ticks a flow may stay silent. */
static __always_inline __u32 flow_lifetime(__u8 proto, __u16 flags)
{
	if (proto != IPPROTO_TCP)
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

/* Off the established path, hence not inlined: keeps that path short. */
__noinline int remove_flow(const struct flow_key *key, const struct flow *flow)
{
	if (!key || !flow)
		return -1;
	struct flow_key twin = {};

	twin_key(key, flow, &twin);
	bpf_map_delete_elem(&flows, &twin);
	bpf_map_delete_elem(&half_open, &twin);
	bpf_map_delete_elem(&flows, key);
	bpf_map_delete_elem(&half_open, key);
	return 0;
}

/*
 * Once a tick: marks both halves as alive. A half that the LRU has taken is put
 * back from this one. Not inlined, to keep the established path short.
 */
__noinline int refresh_flow(const struct flow_key *key, struct flow *flow, bool is_half_open,
				   __u32 now)
{
	if (!key || !flow)
		return -1;
	struct flow_key other_key = {};
	struct flow *twin, fresh;

	flow->last_seen = now;
	twin_key(key, flow, &other_key);
	if (is_half_open)
		twin = bpf_map_lookup_elem(&half_open, &other_key);
	else
		twin = bpf_map_lookup_elem(&flows, &other_key);
	if (twin) {
		twin->last_seen = now;
		return 0;
	}
	if (is_half_open)
		return 0;
	twin_flow(key, flow, &fresh);
	if (!bpf_map_update_elem(&flows, &other_key, &fresh, BPF_NOEXIST))
		count(COUNT_FLOW_TWIN_REBUILT);
	return 0;
}

/*
 * A half-open flow was answered: both halves move to `flows`, where a flood of
 * first packets cannot reach them. If there is no room they stay, still usable.
 */
__noinline int promote_flow(const struct flow_key *key, struct flow *flow, __u32 now)
{
	if (!key || !flow)
		return -1;
	struct flow_key other_key = {};
	struct flow fresh = *flow;

	fresh.flags |= FLOW_REPLIED;
	fresh.last_seen = now;
	if (bpf_map_update_elem(&flows, key, &fresh, BPF_NOEXIST))
		return 0;
	twin_key(key, &fresh, &other_key);
	struct flow *twin = bpf_map_lookup_elem(&half_open, &other_key);
	if (twin) {
		/* The stored forward half also knows the way to its backend (dmac). */
		fresh = *twin;
		fresh.flags |= FLOW_REPLIED;
		fresh.last_seen = now;
	} else {
		struct flow reply = fresh;

		twin_flow(key, &reply, &fresh);
	}
	bpf_map_update_elem(&flows, &other_key, &fresh, BPF_NOEXIST);
	bpf_map_delete_elem(&half_open, key);
	bpf_map_delete_elem(&half_open, &other_key);
	count(COUNT_FLOW_PROMOTED);
	return 0;
}

/* FIN and RST are noted on both halves, so that either can be judged alone. */
__noinline int close_flow(const struct flow_key *key, struct flow *flow, __u8 tcp_flags)
{
	if (!key || !flow)
		return -1;
	struct flow_key other_key = {};
	struct flow *twin;
	__u16 fin, reset, flags;

	fin = flow->flags & FLOW_REVERSE ? FLOW_FIN_REVERSE : FLOW_FIN_FORWARD;
	reset = flow->flags & FLOW_REVERSE ? FLOW_RESET_REVERSE : FLOW_RESET_FORWARD;
	flags = flow->flags;
	if (tcp_flags & TCP_RST)
		flags |= reset;
	else
		flags &= ~reset; /* its sender goes on talking: the RST was not accepted */
	if (tcp_flags & TCP_FIN)
		flags |= fin;
	flow->flags = flags;
	twin_key(key, flow, &other_key);
	twin = bpf_map_lookup_elem(&flows, &other_key);
	if (!twin)
		twin = bpf_map_lookup_elem(&half_open, &other_key);
	if (twin)
		twin->flags = (twin->flags & ~FLOW_CLOSING) | (flags & FLOW_CLOSING);
	return 0;
}

/* May this packet use the flow? If not, the flow is removed and the packet opens a new one. */
static __always_inline bool is_usable(const struct packet *packet, const struct flow *flow,
				      __u32 now)
{
	if (flow->last_seen != now && is_expired(&packet->tuple, flow, now)) {
		count(COUNT_FLOW_EXPIRED);
		return false;
	}
	/* A handshake after the end: the client now dials this backend without us. */
	if (flow->flags & FLOW_REVERSE)
		return !(packet->tcp_flags & TCP_SYN && is_over(flow->flags));
	if (is_tcp(packet)) {
		if (!is_syn(packet))
			return true;
		if (flow->flags & FLOW_CLOSING)
			return false;
	}
	if (is_backend_current(flow->backend, flow->backend_generation))
		return true;
	count(COUNT_FLOW_BACKEND_GONE);
	return false;
}

/* Brings the flow up to date with a packet that uses it. */
static __always_inline void track_flow(const struct packet *packet, struct found_flow *found,
				       __u32 now)
{
	struct flow *flow = found->flow;

	if (flow->last_seen != now)
		refresh_flow(&packet->tuple, flow, found->is_half_open, now);
	if (packet->tcp_flags & (TCP_FIN | TCP_RST) || flow->flags & FLOW_RESET)
		close_flow(&packet->tuple, flow, packet->tcp_flags);
	if (found->is_half_open && flow->flags & FLOW_REVERSE && !(packet->tcp_flags & TCP_RST))
		promote_flow(&packet->tuple, flow, now);
}

/* Later packets of a TCP connection are only ever in `flows`. */
static __always_inline struct found_flow find_flow(const struct packet *packet)
{
	struct found_flow found = {};

	found.flow = bpf_map_lookup_elem(&flows, &packet->tuple);
	if (found.flow || (is_tcp(packet) && !(packet->tcp_flags & (TCP_SYN | TCP_RST))))
		return found;
	found.flow = bpf_map_lookup_elem(&half_open, &packet->tuple);
	found.is_half_open = true;
	return found;
}

/* The flow that open_flow has just entered or recovered. */
static __always_inline struct found_flow find_created(const struct packet *packet)
{
	struct found_flow found = {};

	found.flow = bpf_map_lookup_elem(&half_open, &packet->tuple);
	found.is_half_open = found.flow;
	if (!found.flow)
		found.flow = bpf_map_lookup_elem(&flows, &packet->tuple);
	return found;
}

#endif
