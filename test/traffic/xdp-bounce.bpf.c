/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sends datagrams to UDP port 7 back where they came from, before any network stack sees them:
 * swapping sender and receiver changes no checksum, so a sender that left one to its hardware is
 * found out.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define SWAP(a, b)                                                                                 \
	do {                                                                                       \
		typeof(a) t = (a);                                                                 \
		(a) = (b);                                                                         \
		(b) = t;                                                                           \
	} while (0)

static __always_inline int bounce(struct ethhdr *eth, struct udphdr *udp)
{
	__u8 mac[ETH_ALEN];

	if (udp->dest != bpf_htons(7))
		return XDP_PASS;
	__builtin_memcpy(mac, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, mac, ETH_ALEN);
	SWAP(udp->source, udp->dest);
	return XDP_TX;
}

SEC("xdp.frags")
int echo(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct ipv6hdr *ip6 = (void *)(eth + 1);
	int verdict = XDP_PASS;

	if ((void *)(ip + 1) > end)
		return XDP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP) && ip->protocol == IPPROTO_UDP && ip->ihl == 5 &&
	    (void *)(ip + 1) + sizeof(struct udphdr) <= end) {
		verdict = bounce(eth, (void *)(ip + 1));
		if (verdict == XDP_TX)
			SWAP(ip->saddr, ip->daddr);
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6) &&
		   (void *)(ip6 + 1) + sizeof(struct udphdr) <= end &&
		   ip6->nexthdr == IPPROTO_UDP) {
		verdict = bounce(eth, (void *)(ip6 + 1));
		if (verdict == XDP_TX)
			SWAP(ip6->saddr, ip6->daddr);
	}
	return verdict;
}
