/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flows whose backend sees this node as its client, so that its answers come back
 * to us: those of outside clients to backends on other nodes.
 *
 * The host stack is not to notice: the uplink's ingress turns client -> VIP into
 * client -> backend, the stack routes that, and the egress of whatever device it
 * leaves by writes this node's address. Answers go the same way back. The port is
 * chosen once and written at ingress, so two clients' steps never meet
 * (docs/adr/0010).
 */
#ifndef KUBE_SHUNT_SNAT_H
#define KUBE_SHUNT_SNAT_H

#include "config.h"
#include "csum.h"
#include "flow.h"
#include "hook.h"
#include "maps.h"
#include "packet.h"
#include "route.h"

/* Ports of our range that NodePorts are taken from. */
static __always_inline __u32 count_node_ports(__u32 *first)
{
	__u32 last = node_port_last < snat_port_last ? node_port_last : snat_port_last;

	*first = node_port_first > snat_port_first ? node_port_first : snat_port_first;
	return last >= *first ? last - *first + 1 : 0;
}

/* The source port of a number: any number leads to one, equal numbers to the same. */
static __always_inline __be16 snat_port(__u32 number)
{
	__u32 hole, size = count_node_ports(&hole);
	__u32 count = snat_port_last - snat_port_first + 1 - size;
	__u32 port = snat_port_first + (count ? number % count : 0);

	return bpf_htons(size && port >= hole ? port + size : port);
}

static __always_inline bool is_snat_port(__be16 port)
{
	__u32 number = bpf_ntohs(port);

	return number >= snat_port_first && number <= snat_port_last &&
	       (number < node_port_first || number > node_port_last);
}

/* The device that packets from this client to this backend leave by, or 0. */
__noinline __u32 route_ifindex(struct hook_ctx *ctx, const struct addr *saddr,
			       const struct addr *daddr)
{
	if (!saddr || !daddr)
		return 0;
	struct bpf_fib_lookup route = {.ifindex = ingress_ifindex(ctx)};
	long result;

	ask_route(&route, saddr, daddr);
	result = bpf_fib_lookup(ctx, &route, sizeof(route), 0);
	if (result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH)
		return 0;
	return route.ifindex;
}

static __always_inline bool read_uplink_addr(__u32 ifindex, bool is_ipv4, struct addr *addr)
{
	struct uplink *uplink = bpf_map_lookup_elem(&uplinks, &ifindex);

	if (!uplink)
		return false;
	*addr = is_ipv4 ? uplink->addr4 : uplink->addr6;
	return addr->word[0] | addr->word[1] | addr->word[2] | addr->word[3];
}

/*
 * Does a socket of this node have what would be the reply's tuple, or listen at its port?
 * Sockets of pods are elsewhere and none of our business.
 */
__noinline int is_port_bound(struct hook_ctx *ctx, __u8 proto, const struct flow *flow)
{
	if (!flow)
		return 0;
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sock;
	__u32 size;

	if (is_mapped_ipv4(&flow->daddr)) {
		tuple.ipv4.saddr = flow->daddr.word[3];
		tuple.ipv4.daddr = flow->saddr.word[3];
		tuple.ipv4.sport = flow->dport;
		tuple.ipv4.dport = flow->sport;
		size = sizeof(tuple.ipv4);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, &flow->daddr, sizeof(struct addr));
		__builtin_memcpy(tuple.ipv6.daddr, &flow->saddr, sizeof(struct addr));
		tuple.ipv6.sport = flow->dport;
		tuple.ipv6.dport = flow->sport;
		size = sizeof(tuple.ipv6);
	}
	if (proto == IPPROTO_TCP)
		sock = bpf_skc_lookup_tcp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else if (proto == IPPROTO_UDP)
		sock = bpf_sk_lookup_udp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		return 0;
	if (!sock)
		return 0;
	bpf_sk_release(sock);
	return 1;
}

/*
 * Makes this node the client of a flow: its address at the device the backend is behind, and the
 * client's own port, or the one its tuple leads to. Returns 0, or -1 without an address.
 */
__noinline int choose_snat_source(struct hook_ctx *ctx, const struct flow_key *key,
				  struct flow *flow)
{
	if (!key || !flow)
		return -1;
	bool is_ipv4 = is_mapped_ipv4(&key->saddr);
	__u32 ifindex = route_ifindex(ctx, &key->saddr, &flow->daddr);

	if (!(ifindex && read_uplink_addr(ifindex, is_ipv4, &flow->saddr)) &&
	    !read_uplink_addr(0, is_ipv4, &flow->saddr))
		return -1;
	flow->flags |= FLOW_SNAT;
	if (!is_snat_port(key->sport) || is_port_bound(ctx, key->proto, flow)) {
		flow->sport = snat_port(hash_tuple(key, 0));
		flow->flags |= FLOW_PORT_CHANGED;
	}
	return 0;
}

/* What the ports of a step add to a checksum; a half with FLOW_SNAT has no room for it. */
static __always_inline void fill_port_delta(const struct flow_key *key, struct flow *flow)
{
	__u32 before = (__u32)key->sport + key->dport;
	__u32 after = (__u32)flow->sport + flow->dport;

	flow->port_delta = csum_delta(before, after);
}

/*
 * The step of a half that the uplink's ingress does: all but the client's side.
 *   client -> VIP    becomes  client:port -> backend
 *   backend -> node  becomes  backend -> client:port
 */
static __always_inline void turn_to_first_step(const struct flow_key *key, struct flow *flow)
{
	flow->saddr = key->saddr;
	if (flow->flags & FLOW_REVERSE) {
		flow->sport = key->sport;
		flow->dport = key->dport;
	}
	flow->address_delta = csum_delta(csum_addr(&key->daddr), csum_addr(&flow->daddr));
}

/*
 * The step that the uplink's egress does, as a half of its own: from where the first step leads to
 * where the whole half leads. `key` and `flow` are the whole half, and become the step.
 */
static __always_inline void turn_to_second_step(struct flow_key *key, struct flow *flow)
{
	struct flow first = *flow;

	turn_to_first_step(key, &first);
	key->saddr = first.saddr;
	key->daddr = first.daddr;
	key->sport = first.sport;
	key->dport = first.dport;
	flow->address_delta = csum_delta(csum_addr(&key->saddr), csum_addr(&flow->saddr));
	flow->flags &= ~FLOW_DIRECT;
	flow->flags |= FLOW_INNER | FLOW_AT_EGRESS;
	flow->port_delta = flow_echo(key);
}

/* What a tc hook does with packets of a half with FLOW_SNAT: one of the steps. */
static __always_inline void turn_to_step(const struct flow_key *key, struct flow *flow)
{
	if (!(flow->flags & FLOW_INNER))
		turn_to_first_step(key, flow);
	fill_port_delta(key, flow);
}

/* Puts the second step of a half where the egress finds it, or marks it as used. */
__noinline int enter_second_step(const struct flow_key *key, const struct flow *half,
				 bool is_half_open, __u32 now)
{
	if (!key || !half)
		return -1;
	struct flow_key step_key = *key;
	struct flow step = *half, *known;

	turn_to_second_step(&step_key, &step);
	step.last_seen = now;
	known = is_half_open ? bpf_map_lookup_elem(&half_open, &step_key)
			     : bpf_map_lookup_elem(&flows, &step_key);
	if (known && known->sport == step.sport && known->dport == step.dport &&
	    is_same_addr(&known->saddr, &step.saddr) && is_same_addr(&known->daddr, &step.daddr)) {
		known->last_seen = now;
		return 0;
	}
	/* One left in the other table would be found first, or once the new one is gone. */
	bpf_map_delete_elem(&half_open, &step_key);
	bpf_map_delete_elem(&flows, &step_key);
	return is_half_open ? insert_half(&half_open, &step_key, &step)
			    : insert_half(&flows, &step_key, &step);
}

/* Both second steps of the flow of this half. */
__noinline int enter_second_steps(const struct flow_key *key, const struct flow *half,
				  bool is_half_open, __u32 now)
{
	if (!key || !half)
		return -1;
	struct flow_key other_key = {};
	struct flow other = *half;

	twin_key(key, half, &other_key);
	turn_flow(key, &other);
	enter_second_step(key, half, is_half_open, now);
	return enter_second_step(&other_key, &other, is_half_open, now);
}

#endif
