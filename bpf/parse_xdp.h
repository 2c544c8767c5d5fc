/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Headers to tuple for XDP: the plain packets only, everything else is left to tc. */
#ifndef KUBE_SHUNT_PARSE_XDP_H
#define KUBE_SHUNT_PARSE_XDP_H

#include "packet.h"

#define PLAIN_IPV4 0x45

/* Is the frame for this device, and not only seen by it? */
static __always_inline bool is_for_us(const struct ethhdr *eth)
{
	__u32 high = *(const volatile __u32 *)uplink_mac;
	__u16 low = *(const volatile __u16 *)(uplink_mac + 4);
	__u16 seen[3];

	__builtin_memcpy(seen, eth->h_dest, ETH_ALEN);
	return !(high | low) || ((seen[0] | (__u32)seen[1] << 16) == high && seen[2] == low);
}

/* Without options, whole, and with a hop left to go. */
static __always_inline bool parse_xdp_ipv4(const struct iphdr *iph, const void *data_end,
					   struct packet *packet)
{
	if ((const void *)(iph + 1) > data_end || *(const __u8 *)iph != PLAIN_IPV4 ||
	    iph->frag_off & bpf_htons(IP_OFFSET_MASK | IP_MORE_FRAGMENTS) || iph->ttl <= 1)
		return false;
	map_ipv4(&packet->tuple.saddr, iph->saddr);
	map_ipv4(&packet->tuple.daddr, iph->daddr);
	packet->tuple.proto = iph->protocol;
	packet->l4 = packet->l3 + sizeof(*iph);
	return true;
}

static __always_inline bool parse_xdp_ipv6(const struct ipv6hdr *ip6h, const void *data_end,
					   struct packet *packet)
{
	if ((const void *)(ip6h + 1) > data_end || ip6h->version != 6 || ip6h->hop_limit <= 1)
		return false;
	__builtin_memcpy(&packet->tuple.saddr, &ip6h->saddr, sizeof(struct addr));
	__builtin_memcpy(&packet->tuple.daddr, &ip6h->daddr, sizeof(struct addr));
	packet->tuple.proto = ip6h->nexthdr;
	packet->l4 = packet->l3 + sizeof(*ip6h);
	packet->is_ipv6 = true;
	return true;
}

/* False: a packet for tc, or for nobody. */
static __always_inline bool parse_xdp(struct xdp_md *ctx, struct packet *packet)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct tcphdr *tcph;
	struct udphdr *udph;

	packet->l3 = sizeof(*eth);
	if ((void *)(eth + 1) > data_end || !is_for_us(eth))
		return false;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		if (!parse_xdp_ipv4((void *)(eth + 1), data_end, packet))
			return false;
	} else if (eth->h_proto != bpf_htons(ETH_P_IPV6) ||
		   !parse_xdp_ipv6((void *)(eth + 1), data_end, packet)) {
		return false;
	}
	if (is_tcp(packet)) {
		tcph = data + (packet->l4 & OFFSET_MASK);
		if ((void *)(tcph + 1) > data_end)
			return false;
		packet->tcp_flags = ((__u8 *)tcph)[13];
		packet->tuple.sport = tcph->source;
		packet->tuple.dport = tcph->dest;
		return true;
	}
	udph = data + (packet->l4 & OFFSET_MASK);
	if (packet->tuple.proto != IPPROTO_UDP || (void *)(udph + 1) > data_end)
		return false;
	packet->tuple.sport = udph->source;
	packet->tuple.dport = udph->dest;
	return true;
}

#endif
