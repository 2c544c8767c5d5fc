/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The headers of a reject, and whether its client may have another. For tc and XDP alike. */
#ifndef KUBE_SHUNT_REJECT_HEADERS_H
#define KUBE_SHUNT_REJECT_HEADERS_H

#include "config.h"
#include "csum.h"
#include "maps.h"
#include "packet.h"

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

#endif
