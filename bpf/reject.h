/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tells a client that nobody serves it: TCP RST, or ICMP port-unreachable. */
#ifndef KUBE_SHUNT_REJECT_H
#define KUBE_SHUNT_REJECT_H

#include "csum.h"
#include "packet.h"
#include "reject_headers.h"
#include "send.h"
#include "verdict.h"

/*
 * Is the checksum of this packet left to a device (CHECKSUM_PARTIAL)? The only
 * sign a program gets is that a plain checksum update does nothing.
 */
static __always_inline bool is_checksum_partial(struct __sk_buff *skb, __u32 check_at)
{
	__u16 before = 0, after = 0;

	bpf_skb_load_bytes(skb, check_at, &before, sizeof(before));
	bpf_l4_csum_replace(skb, check_at, 0, 1, sizeof(before));
	bpf_skb_load_bytes(skb, check_at, &after, sizeof(after));
	bpf_skb_store_bytes(skb, check_at, &before, sizeof(before), 0);
	return before == after;
}

static __always_inline __u16 transport_len(struct __sk_buff *skb, const struct packet *packet)
{
	__be16 len = 0;

	if (packet->is_ipv6) {
		bpf_skb_load_bytes(skb, packet->l3 + offsetof(struct ipv6hdr, payload_len), &len,
				   2);
		return bpf_ntohs(len);
	}
	bpf_skb_load_bytes(skb, packet->l3 + offsetof(struct iphdr, tot_len), &len, 2);
	return bpf_ntohs(len) - sizeof(struct iphdr);
}

/* Turns the packet into the RST that answers it. Returns 0 or an error. */
__noinline int write_reset(struct __sk_buff *skb, const struct packet *packet)
{
	if (!packet)
		return -1;
	__u32 ip_len = packet->is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	__u32 check_at = packet->l4 + offsetof(struct tcphdr, check);
	__u32 sum = pseudo_sum(packet, IPPROTO_TCP, sizeof(struct tcphdr));
	struct tcphdr from, tcph = {};
	__u16 check;

	if (bpf_skb_load_bytes(skb, packet->l4, &from, sizeof(from)))
		return -1;
	fill_reset(packet, &from, transport_len(skb, packet) - from.doff * 4, &tcph);
	if (bpf_skb_change_tail(skb, packet->l3 + ip_len + sizeof(tcph), 0))
		return -1;
	if (packet->is_ipv6) {
		struct ipv6hdr ip6h = {};

		fill_ipv6(&ip6h, packet, IPPROTO_TCP, sizeof(tcph));
		if (bpf_skb_store_bytes(skb, packet->l3, &ip6h, sizeof(ip6h), BPF_F_RECOMPUTE_CSUM))
			return -1;
	} else {
		struct iphdr iph = {};

		fill_ipv4(&iph, packet, IPPROTO_TCP, sizeof(iph) + sizeof(tcph));
		if (bpf_skb_store_bytes(skb, packet->l3, &iph, sizeof(iph), BPF_F_RECOMPUTE_CSUM))
			return -1;
	}
	if (bpf_skb_store_bytes(skb, packet->l4, &tcph, sizeof(tcph), BPF_F_RECOMPUTE_CSUM))
		return -1;
	if (is_checksum_partial(skb, check_at))
		check = csum_fold(sum);
	else
		check = ~csum_fold(bpf_csum_diff(NULL, 0, (void *)&tcph, sizeof(tcph), sum));
	return bpf_skb_store_bytes(skb, check_at, &check, sizeof(check), BPF_F_RECOMPUTE_CSUM);
}

/*
 * Turns the packet into an ICMP port-unreachable that quotes it, in place: the
 * quote moves up by the two new headers.
 */
__noinline int write_unreachable_ipv4(struct __sk_buff *skb, const struct packet *packet)
{
	if (!packet)
		return -1;
	struct {
		struct iphdr iph;
		struct icmp_hdr icmph;
		__u8 quote[sizeof(struct iphdr) + QUOTED_BYTES];
	} error = {};

	if (bpf_skb_load_bytes(skb, packet->l3, error.quote, sizeof(error.quote)) ||
	    bpf_skb_change_tail(skb, packet->l3 + sizeof(error), 0))
		return -1;
	fill_ipv4(&error.iph, packet, IPPROTO_ICMP, sizeof(error));
	error.icmph.type = ICMP_DEST_UNREACH;
	error.icmph.code = ICMP_PORT_UNREACH;
	error.icmph.checksum = ~csum_fold(bpf_csum_diff(
		NULL, 0, (void *)&error.icmph, sizeof(error.icmph) + sizeof(error.quote), 0));
	return bpf_skb_store_bytes(skb, packet->l3, &error, sizeof(error), BPF_F_RECOMPUTE_CSUM);
}

__noinline int write_unreachable_ipv6(struct __sk_buff *skb, const struct packet *packet)
{
	if (!packet)
		return -1;
	struct {
		struct ipv6hdr ip6h;
		struct icmp_hdr icmph;
		__u8 quote[sizeof(struct ipv6hdr) + QUOTED_BYTES];
	} error = {};
	__u16 len = sizeof(error) - sizeof(error.ip6h);
	__u32 sum = pseudo_sum(packet, IPPROTO_ICMPV6, len);
	bool is_partial = is_checksum_partial(skb, packet->l4 + offsetof(struct udphdr, check));

	if (bpf_skb_load_bytes(skb, packet->l3, error.quote, sizeof(error.quote)) ||
	    bpf_skb_change_tail(skb, packet->l3 + sizeof(error), 0))
		return -1;
	fill_ipv6(&error.ip6h, packet, IPPROTO_ICMPV6, len);
	error.icmph.type = ICMPV6_DEST_UNREACH;
	error.icmph.code = ICMPV6_PORT_UNREACH;
	error.icmph.checksum = ~csum_fold(bpf_csum_diff(
		NULL, 0, (void *)&error.icmph, sizeof(error.icmph) + sizeof(error.quote), sum));
	/*
	 * The kernel still takes this for a datagram whose checksum is to be completed, and will
	 * put a sum where its checksum was: into unused bytes of ours. What it must find there so
	 * that the result is right is the sum of the pseudo-header.
	 */
	if (is_partial)
		error.icmph.rest = bpf_htonl(bpf_ntohs(csum_fold(sum)));
	return bpf_skb_store_bytes(skb, packet->l3, &error, sizeof(error), BPF_F_RECOMPUTE_CSUM);
}

/* Packets with IP options or extension headers are dropped instead: see docs/limits.md. */
static __always_inline enum verdict reject_packet(struct __sk_buff *skb,
						  const struct packet *packet, enum counter reason)
{
	__u32 ip_len = packet->is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	int failed;

	if (!is_within_limit(&packet->tuple.saddr))
		return drop(COUNT_DROP_REJECT_LIMITED);
	if (packet->l4 - packet->l3 != ip_len)
		return drop(COUNT_DROP_REJECT_FAILED);
	if (is_tcp(packet))
		failed = write_reset(skb, packet);
	else if (packet->is_ipv6)
		failed = write_unreachable_ipv6(skb, packet);
	else
		failed = write_unreachable_ipv4(skb, packet);
	if (failed)
		return drop(COUNT_DROP_REJECT_FAILED);
	count(reason);
	return VERDICT_SEND_BACK;
}

#endif
