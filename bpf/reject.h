/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tells a client that nobody serves it: TCP RST, or ICMP port-unreachable. */
#ifndef KUBE_SHUNT_REJECT_H
#define KUBE_SHUNT_REJECT_H

#include "csum.h"
#include "packet.h"
#include "send.h"
#include "verdict.h"

#define REJECT_TTL   64
/* What an ICMP error quotes of the transport header: enough for the ports. */
#define QUOTED_BYTES 8

/* A token bucket per client address; racing CPUs may grant one more, which is harmless. */
static __always_inline bool is_within_limit(const struct addr *client)
{
	struct reject_bucket *bucket = bpf_map_lookup_elem(&reject_buckets, client);
	__u64 now = bpf_ktime_get_coarse_ns();
	__s64 elapsed;
	__u64 earned;

	if (!bucket) {
		struct reject_bucket fresh = {.refilled = now, .tokens = reject_burst - 1};

		bpf_map_update_elem(&reject_buckets, client, &fresh, BPF_ANY);
		return true;
	}
	/* Another CPU may have read a later time than ours. */
	elapsed = now - bucket->refilled;
	earned = elapsed > 0 ? elapsed * reject_rate / NS_PER_SECOND : 0;
	if (earned) {
		bucket->refilled = now;
		bucket->tokens = earned + bucket->tokens > reject_burst ? reject_burst
									: bucket->tokens + earned;
	}
	if (!bucket->tokens)
		return false;
	bucket->tokens--;
	return true;
}

static __always_inline void fill_ipv4(struct iphdr *iph, const struct packet *packet, __u8 proto,
				      __u16 len)
{
	iph->version = 4;
	iph->ihl = 5;
	iph->tot_len = bpf_htons(len);
	iph->frag_off = bpf_htons(0x4000);
	iph->ttl = REJECT_TTL;
	iph->protocol = proto;
	iph->saddr = packet->tuple.daddr.word[3];
	iph->daddr = packet->tuple.saddr.word[3];
	iph->check = ~csum_fold(bpf_csum_diff(NULL, 0, (void *)iph, sizeof(*iph), 0));
}

static __always_inline void fill_ipv6(struct ipv6hdr *ip6h, const struct packet *packet, __u8 proto,
				      __u16 payload_len)
{
	ip6h->version = 6;
	ip6h->payload_len = bpf_htons(payload_len);
	ip6h->nexthdr = proto;
	ip6h->hop_limit = REJECT_TTL;
	__builtin_memcpy(&ip6h->saddr, &packet->tuple.daddr, sizeof(struct addr));
	__builtin_memcpy(&ip6h->daddr, &packet->tuple.saddr, sizeof(struct addr));
}

/* The pseudo-header's sum; addresses are the same sum in either order. */
static __always_inline __u32 pseudo_sum(const struct packet *packet, __u8 proto, __u16 len)
{
	__u32 sum = bpf_htons(len) + bpf_htons(proto);

	if (packet->is_ipv6)
		return sum + csum_addr(&packet->tuple.saddr) + csum_addr(&packet->tuple.daddr);
	sum += csum_fold(packet->tuple.saddr.word[3]);
	return sum + csum_fold(packet->tuple.daddr.word[3]);
}

static __always_inline void fill_reset(const struct packet *packet, const struct tcphdr *from,
				       __u16 payload, struct tcphdr *tcph)
{
	__u32 consumed =
		payload + !!(packet->tcp_flags & TCP_SYN) + !!(packet->tcp_flags & TCP_FIN);

	tcph->source = from->dest;
	tcph->dest = from->source;
	tcph->doff = sizeof(*tcph) / 4;
	tcph->rst = 1;
	if (packet->tcp_flags & TCP_ACK) {
		tcph->seq = from->ack_seq;
	} else {
		tcph->ack = 1;
		tcph->ack_seq = bpf_htonl(bpf_ntohl(from->seq) + consumed);
	}
}

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
