/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where does a packet leave, when the host stack is not to decide? */
#ifndef KUBE_SHUNT_SEND_H
#define KUBE_SHUNT_SEND_H

#include "config.h"
#include "flow.h"
#include "hook.h"
#include "maps.h"
#include "packet.h"
#include "route.h"
#include "snat.h"

/*
 * To where the packet came from: out of its device, or up to the host stack if that was about to
 * send it; on Ethernet to the station that sent it.
 */
__noinline int send_back(struct __sk_buff *skb, __u32 hook)
{
	if (l2_len) {
		__u8 macs[2 * ETH_ALEN];
		__u8 swapped[2 * ETH_ALEN];

		if (bpf_skb_load_bytes(skb, 0, macs, sizeof(macs)))
			return -1;
		__builtin_memcpy(swapped, macs + ETH_ALEN, ETH_ALEN);
		__builtin_memcpy(swapped + ETH_ALEN, macs, ETH_ALEN);
		if (bpf_skb_store_bytes(skb, 0, swapped, sizeof(swapped), 0))
			return -1;
	}
	return bpf_redirect(skb->ifindex, is_egress(hook) ? BPF_F_INGRESS : 0);
}

/* Reads an address of the packet as it is now. */
static __always_inline int load_addr(struct __sk_buff *skb, __u32 at, bool is_ipv6,
				     struct addr *addr)
{
	map_ipv4(addr, 0);
	return is_ipv6 ? bpf_skb_load_bytes(skb, at, addr, sizeof(*addr))
		       : bpf_skb_load_bytes(skb, at, &addr->word[3], 4);
}

/* Out of the device that leads to its backend: the route it took was that of the VIP. */
__noinline int send_by_route(struct __sk_buff *skb, const struct packet *packet)
{
	if (!packet)
		return -1;
	__u32 at =
		packet->is_ipv6 ? offsetof(struct ipv6hdr, daddr) : offsetof(struct iphdr, daddr);
	struct addr daddr = {};
	__u32 ifindex;

	if (load_addr(skb, packet->l3 + at, packet->is_ipv6, &daddr))
		return -1;
	ifindex = route_ifindex(skb, &packet->tuple.saddr, &daddr);
	return ifindex ? bpf_redirect_neigh(ifindex, NULL, 0, 0) : -1;
}

/* Straight to a backend on the client's bridge; the kernel finds its MAC address. */
__noinline int send_to_neighbour(struct __sk_buff *skb, const struct packet *packet)
{
	if (!packet)
		return -1;
	__u32 ifindex = skb->ifindex;
	struct device *device = bpf_map_lookup_elem(&devices, &ifindex);
	struct bpf_redir_neigh nexthop = {};
	__u32 at = packet->l3;
	int failed;

	if (!device)
		return -1;
	if (packet->is_ipv6) {
		nexthop.nh_family = AF_INET6;
		at += offsetof(struct ipv6hdr, daddr);
		failed = bpf_skb_load_bytes(skb, at, nexthop.ipv6_nh, sizeof(nexthop.ipv6_nh));
	} else {
		nexthop.nh_family = AF_INET;
		at += offsetof(struct iphdr, daddr);
		failed = bpf_skb_load_bytes(skb, at, &nexthop.ipv4_nh, sizeof(nexthop.ipv4_nh));
	}
	return failed ? -1 : bpf_redirect_neigh(device->master, &nexthop, sizeof(nexthop), 0);
}

/* The lookup puts the next hop in place of the destination. */
static __always_inline bool is_gateway(const struct bpf_fib_lookup *route, bool is_ipv6,
				       const struct flow *flow)
{
	struct addr hop = {};

	if (is_ipv6)
		__builtin_memcpy(&hop, route->ipv6_dst, sizeof(hop));
	else
		map_ipv4(&hop, route->ipv4_dst);
	return !is_same_addr(&hop, &flow->daddr);
}

/*
 * Is this flow's backend a neighbour on the bridge? Then `dmac` is its MAC address,
 * or zero while the kernel does not know it.
 */
static __always_inline bool find_neighbour(struct __sk_buff *skb, __u32 bridge, bool is_ipv6,
					   const struct flow *flow, __u8 *dmac)
{
	struct bpf_fib_lookup route = {.ifindex = bridge};
	long result;

	ask_route(&route, &flow->saddr, &flow->daddr);
	result = bpf_fib_lookup(skb, &route, sizeof(route), 0);
	if (result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH)
		return false;
	if (result == BPF_FIB_LKUP_RET_SUCCESS)
		__builtin_memcpy(dmac, route.dmac, ETH_ALEN);
	/* On another subnet, or through a gateway: the reply is routed as well. */
	return route.ifindex == bridge && !is_gateway(&route, is_ipv6, flow);
}

/*
 * Client and backend on one bridge: replies are switched past the host stack, so
 * forward packets must be too, or netfilter sees half a connection. Repeated once
 * a tick, because an address can move to another pod.
 */
__noinline int find_bridged_backend(struct __sk_buff *skb, const struct packet *packet,
				    struct flow *flow)
{
	if (!packet || !flow)
		return -1;
	__u32 ifindex = skb->ifindex;
	struct device *device = bpf_map_lookup_elem(&devices, &ifindex);
	__u8 dmac[ETH_ALEN] = {};

	if (!device || !device->master || flow->flags & FLOW_HAIRPIN ||
	    !find_neighbour(skb, device->master, packet->is_ipv6, flow, dmac)) {
		if (flow->flags & FLOW_BRIDGED)
			clear_flags(flow, FLOW_BRIDGED);
		return 0;
	}
	__builtin_memcpy(flow->dmac, dmac, ETH_ALEN);
	set_flags(flow, FLOW_BRIDGED);
	return 0;
}

static __always_inline bool has_dmac(const struct flow *flow)
{
	return flow->dmac[0] | flow->dmac[1] | flow->dmac[2] | flow->dmac[3] | flow->dmac[4] |
	       flow->dmac[5];
}

/* The kernel did not know the backend's MAC address yet when it was last asked. */
static __always_inline bool lacks_dmac(const struct flow *flow)
{
	return flow->flags & FLOW_BRIDGED && !has_dmac(flow);
}

#endif
