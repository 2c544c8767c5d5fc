/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* reject.h for XDP: packets here are plain, and their checksums whole. */
#ifndef KUBE_SHUNT_REJECT_XDP_H
#define KUBE_SHUNT_REJECT_XDP_H

#include "reject_headers.h"
#include "verdict.h"

/* Gives the packet this length; the caller's pointers into it are void. */
static __always_inline int resize(struct xdp_md *ctx, __u32 length)
{
	return bpf_xdp_adjust_tail(ctx, (int)(length - bpf_xdp_get_buff_len(ctx)));
}

/* The sum of a transport message with the pseudo-header, as its checksum. */
static __always_inline __u16 seal(void *message, __u32 size, __u32 sum)
{
	return ~csum_fold(bpf_csum_diff(NULL, 0, message, size, sum));
}

static __always_inline bool turn_frame(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	__u8 sender[ETH_ALEN];

	if ((void *)(eth + 1) > data_end)
		return false;
	__builtin_memcpy(sender, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, sender, ETH_ALEN);
	return true;
}

/* Turns a segment into the RST that answers it. */
__noinline int write_xdp_reset(struct xdp_md *ctx, const struct packet *packet)
{
	if (!packet)
		return -1;
	__u32 ip_len = packet->l4 - packet->l3;
	__u32 sum = pseudo_sum(packet, IPPROTO_TCP, sizeof(struct tcphdr));
	struct tcphdr from, tcph = {};
	struct ipv6hdr ip6h = {};
	struct iphdr iph = {};
	__be16 field = 0;
	__u32 at;

	at = packet->is_ipv6 ? offsetof(struct ipv6hdr, payload_len)
			     : offsetof(struct iphdr, tot_len);
	if (bpf_xdp_load_bytes(ctx, packet->l3 + at, &field, sizeof(field)) ||
	    bpf_xdp_load_bytes(ctx, packet->l4, &from, sizeof(from)))
		return -1;
	fill_reset(packet, &from, bpf_ntohs(field) - (packet->is_ipv6 ? 0 : ip_len) - from.doff * 4,
		   &tcph);
	tcph.check = seal(&tcph, sizeof(tcph), sum);
	if (resize(ctx, packet->l4 + sizeof(tcph)))
		return -1;
	if (packet->is_ipv6) {
		fill_ipv6(&ip6h, packet, IPPROTO_TCP, sizeof(tcph));
		return bpf_xdp_store_bytes(ctx, packet->l3, &ip6h, sizeof(ip6h)) |
		       bpf_xdp_store_bytes(ctx, packet->l4, &tcph, sizeof(tcph));
	}
	fill_ipv4(&iph, packet, IPPROTO_TCP, sizeof(iph) + sizeof(tcph));
	return bpf_xdp_store_bytes(ctx, packet->l3, &iph, sizeof(iph)) |
	       bpf_xdp_store_bytes(ctx, packet->l4, &tcph, sizeof(tcph));
}

/* Turns a datagram into the ICMP port-unreachable that quotes it. */
__noinline int write_xdp_unreachable_ipv4(struct xdp_md *ctx, const struct packet *packet)
{
	if (!packet)
		return -1;
	struct {
		struct iphdr iph;
		struct icmp_hdr icmph;
		__u8 quote[sizeof(struct iphdr) + QUOTED_BYTES];
	} error = {};

	if (bpf_xdp_load_bytes(ctx, packet->l3, error.quote, sizeof(error.quote)) ||
	    resize(ctx, packet->l3 + sizeof(error)))
		return -1;
	fill_ipv4(&error.iph, packet, IPPROTO_ICMP, sizeof(error));
	error.icmph.type = ICMP_DEST_UNREACH;
	error.icmph.code = ICMP_PORT_UNREACH;
	error.icmph.checksum = seal(&error.icmph, sizeof(error) - sizeof(error.iph), 0);
	return bpf_xdp_store_bytes(ctx, packet->l3, &error, sizeof(error));
}

__noinline int write_xdp_unreachable_ipv6(struct xdp_md *ctx, const struct packet *packet)
{
	if (!packet)
		return -1;
	struct {
		struct ipv6hdr ip6h;
		struct icmp_hdr icmph;
		__u8 quote[sizeof(struct ipv6hdr) + QUOTED_BYTES];
	} error = {};
	__u16 size = sizeof(error) - sizeof(error.ip6h);

	if (bpf_xdp_load_bytes(ctx, packet->l3, error.quote, sizeof(error.quote)) ||
	    resize(ctx, packet->l3 + sizeof(error)))
		return -1;
	fill_ipv6(&error.ip6h, packet, IPPROTO_ICMPV6, size);
	error.icmph.type = ICMPV6_DEST_UNREACH;
	error.icmph.code = ICMPV6_PORT_UNREACH;
	error.icmph.checksum = seal(&error.icmph, size, pseudo_sum(packet, IPPROTO_ICMPV6, size));
	return bpf_xdp_store_bytes(ctx, packet->l3, &error, sizeof(error));
}

/* Tells the client that nobody serves it. */
static __always_inline int reject_xdp(struct xdp_md *ctx, const struct packet *packet,
				      enum counter reason)
{
	int failed;

	if (!is_within_limit(&packet->tuple.saddr)) {
		count(COUNT_DROP_REJECT_LIMITED);
		return XDP_DROP;
	}
	if (is_tcp(packet))
		failed = write_xdp_reset(ctx, packet);
	else if (packet->is_ipv6)
		failed = write_xdp_unreachable_ipv6(ctx, packet);
	else
		failed = write_xdp_unreachable_ipv4(ctx, packet);
	if (failed || !turn_frame(ctx)) {
		count(COUNT_DROP_REJECT_FAILED);
		return XDP_DROP;
	}
	count(reason);
	return XDP_TX;
}

#endif
