/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Headers to tuple: what does this packet carry, and where is it? */
#ifndef KUBE_SHUNT_PACKET_H
#define KUBE_SHUNT_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <linux/icmpv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"
#include "config.h"

#define IP_OFFSET_MASK 0x1fff
#define IP_MORE_FRAGMENTS 0x2000
#define IPV6_EXTENSIONS_MAX 6
#define VLAN_TAGS_MAX 2
/* Enough for VLAN tags, IPv6 extensions, and the packet inside an ICMP error. */
#define HEADERS_MAX 256
/* Bounds an offset for the verifier after it was kept on the stack. */
#define OFFSET_MASK 0xff

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

enum fragment_part {
	FRAGMENT_NONE = 0,
	FRAGMENT_FIRST,
	FRAGMENT_LATER, /* carries no ports */
};

struct packet {
	struct flow_key tuple; /* as on the wire; ports 0 for later fragments and ICMP */
	__be32 fragment_id;
	__u16 l3; /* offset of the IP header */
	__u16 l4; /* offset of the transport header */
	__u8 fragment; /* enum fragment_part */
	__u8 tcp_flags;
	__u8 icmp_type;
	bool is_ipv6;
};

enum parsed {
	PARSED = 0,
	PARSED_FOREIGN, /* not a packet we translate */
	PARSED_SHORT,	/* headers end before they should, or are not linear */
};

struct hdr_cursor {
	void *pos;
};

/*
 * ICMP and ICMPv6 share this shape. The system's linux/icmp.h cannot be included
 * for the BPF target: it drags in the C library's headers.
 */
struct icmp_hdr {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__be32 rest;
};

enum icmp_error {
	ICMP_DEST_UNREACH = 3,
	ICMP_TIME_EXCEEDED = 11,
	ICMP_PARAMETERPROB = 12,
};

#define ICMP_PORT_UNREACH 3

struct vlan_hdr {
	__be16 tci;
	__be16 proto;
};

struct ipv6_extension {
	__u8 next;
	__u8 len; /* in 8 bytes, the first not counted */
};

struct ipv6_fragment {
	__u8 next;
	__u8 reserved;
	__be16 offset;
	__be32 id;
};

static __always_inline void map_ipv4(struct addr *to, __be32 from)
{
	to->word[2] = bpf_htonl(0xffff);
	to->word[3] = from;
}

static __always_inline bool is_same_addr(const struct addr *a, const struct addr *b)
{
	return a->word[3] == b->word[3] && a->word[2] == b->word[2] && a->word[1] == b->word[1] &&
	       a->word[0] == b->word[0];
}

/* Returns the network protocol, or 0 when the packet ends before it. */
static __always_inline __be16 parse_l2(struct hdr_cursor *nh, void *data_end,
				       struct __sk_buff *skb)
{
	struct ethhdr *eth = nh->pos;
	__be16 proto;

	if (l2_len == 0)
		return skb->protocol;
	if ((void *)(eth + 1) > data_end)
		return 0;
	nh->pos = eth + 1;
	proto = eth->h_proto;
	for (int i = 0; i < VLAN_TAGS_MAX; i++) {
		struct vlan_hdr *vlan = nh->pos;

		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(vlan + 1) > data_end)
			return 0;
		proto = vlan->proto;
		nh->pos = vlan + 1;
	}
	return proto;
}

static __always_inline enum parsed parse_ipv4(struct hdr_cursor *nh, void *data_end,
					      struct packet *packet)
{
	struct iphdr *iph = nh->pos;
	__u32 len;
	__u16 offset;

	if ((void *)(iph + 1) > data_end)
		return PARSED_SHORT;
	len = iph->ihl * 4;
	if (iph->version != 4 || len < sizeof(*iph))
		return PARSED_FOREIGN;
	map_ipv4(&packet->tuple.saddr, iph->saddr);
	map_ipv4(&packet->tuple.daddr, iph->daddr);
	packet->tuple.proto = iph->protocol;
	offset = bpf_ntohs(iph->frag_off);
	if (offset & (IP_OFFSET_MASK | IP_MORE_FRAGMENTS)) {
		packet->fragment = offset & IP_OFFSET_MASK ? FRAGMENT_LATER : FRAGMENT_FIRST;
		packet->fragment_id = iph->id;
	}
	nh->pos += len;
	return PARSED;
}

/* Walks extension headers; leaves the cursor at the transport header. */
static __always_inline enum parsed parse_ipv6_extensions(struct hdr_cursor *nh, void *data_end,
							 struct packet *packet, __u8 next)
{
	for (int i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
		struct ipv6_extension *ext = nh->pos;

		if (next == IPPROTO_FRAGMENT) {
			struct ipv6_fragment *frag = nh->pos;
			__u16 offset;

			if ((void *)(frag + 1) > data_end)
				return PARSED_SHORT;
			offset = bpf_ntohs(frag->offset);
			packet->fragment_id = frag->id;
			if (offset & 0xfff8)
				packet->fragment = FRAGMENT_LATER;
			else if (offset & 1)
				packet->fragment = FRAGMENT_FIRST;
			next = frag->next;
			nh->pos = frag + 1;
			if (packet->fragment == FRAGMENT_LATER)
				break;
			continue;
		}
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS)
			break;
		if ((void *)(ext + 1) > data_end)
			return PARSED_SHORT;
		next = ext->next;
		nh->pos += (ext->len & 0x1f) * 8 + 8;
		if (ext->len > 0x1f)
			return PARSED_FOREIGN;
	}
	packet->tuple.proto = next;
	return PARSED;
}

static __always_inline enum parsed parse_ipv6(struct hdr_cursor *nh, void *data_end,
					      struct packet *packet)
{
	struct ipv6hdr *ip6h = nh->pos;

	if ((void *)(ip6h + 1) > data_end)
		return PARSED_SHORT;
	if (ip6h->version != 6)
		return PARSED_FOREIGN;
	__builtin_memcpy(&packet->tuple.saddr, &ip6h->saddr, sizeof(struct addr));
	__builtin_memcpy(&packet->tuple.daddr, &ip6h->daddr, sizeof(struct addr));
	packet->is_ipv6 = true;
	nh->pos = ip6h + 1;
	return parse_ipv6_extensions(nh, data_end, packet, ip6h->nexthdr);
}

static __always_inline enum parsed parse_l4(struct hdr_cursor *nh, void *data_end,
					    struct packet *packet)
{
	if (packet->fragment == FRAGMENT_LATER)
		return packet->tuple.proto == IPPROTO_UDP || packet->tuple.proto == IPPROTO_TCP ?
			       PARSED :
			       PARSED_FOREIGN;
	if (packet->tuple.proto == IPPROTO_TCP) {
		struct tcphdr *tcph = nh->pos;

		if ((void *)(tcph + 1) > data_end)
			return PARSED_SHORT;
		packet->tuple.sport = tcph->source;
		packet->tuple.dport = tcph->dest;
		packet->tcp_flags = ((__u8 *)tcph)[13];
		return PARSED;
	}
	if (packet->tuple.proto == IPPROTO_UDP) {
		struct udphdr *udph = nh->pos;

		if ((void *)(udph + 1) > data_end)
			return PARSED_SHORT;
		packet->tuple.sport = udph->source;
		packet->tuple.dport = udph->dest;
		return PARSED;
	}
	if (packet->tuple.proto == (packet->is_ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) {
		struct icmp_hdr *icmph = nh->pos;

		if ((void *)(icmph + 1) > data_end)
			return PARSED_SHORT;
		packet->icmp_type = icmph->type;
		return PARSED;
	}
	return PARSED_FOREIGN;
}

static __always_inline enum parsed parse_headers(struct __sk_buff *skb, struct packet *packet)
{
	void *data = (void *)(long)skb->data;
	void *data_end = (void *)(long)skb->data_end;
	struct hdr_cursor nh = { .pos = data };
	enum parsed parsed;
	__be16 proto;

	proto = parse_l2(&nh, data_end, skb);
	packet->l3 = nh.pos - data;
	if (proto == bpf_htons(ETH_P_IP))
		parsed = parse_ipv4(&nh, data_end, packet);
	else if (proto == bpf_htons(ETH_P_IPV6))
		parsed = parse_ipv6(&nh, data_end, packet);
	else
		return proto ? PARSED_FOREIGN : PARSED_SHORT;
	if (parsed != PARSED)
		return parsed;
	packet->l4 = nh.pos - data;
	/* What lies deeper than this is not worth the verifier's trouble. */
	if (packet->l4 > OFFSET_MASK)
		return PARSED_FOREIGN;
	return parse_l4(&nh, data_end, packet);
}

/*
 * Fills `packet`. The headers may lie in page fragments: then they are pulled into
 * the linear part once and read again.
 */
__noinline int parse_packet(struct __sk_buff *skb, struct packet *packet)
{
	enum parsed parsed;
	__u32 linear, wanted;

	if (!packet)
		return PARSED_FOREIGN;
	parsed = parse_headers(skb, packet);
	linear = skb->data_end - skb->data;
	wanted = skb->len < HEADERS_MAX ? skb->len : HEADERS_MAX;

	if (parsed != PARSED_SHORT || linear >= wanted)
		return parsed;
	if (bpf_skb_pull_data(skb, wanted))
		return PARSED_SHORT;
	__builtin_memset(packet, 0, sizeof(*packet));
	return parse_headers(skb, packet);
}

static __always_inline bool is_icmp(const struct packet *packet)
{
	return packet->tuple.proto == (packet->is_ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

/* The first packet of a TCP connection. */
static __always_inline bool is_syn(const struct packet *packet)
{
	return (packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

static __always_inline bool is_tcp(const struct packet *packet)
{
	return packet->tuple.proto == IPPROTO_TCP;
}

#endif
