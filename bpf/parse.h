/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Headers to tuple: reads the headers of any packet. */
#ifndef KUBE_SHUNT_PARSE_H
#define KUBE_SHUNT_PARSE_H

#include "packet.h"
#include "sctp.h"

/* Version 4, five words: an IPv4 header without options. */
#define PLAIN_IPV4	    0x45
#define IPV6_EXTENSIONS_MAX 6
#define IPV6_OFFSET_MASK    0xfff8
#define IPV6_MORE_FRAGMENTS 1
#define VLAN_TAGS_MAX	    2
/* Enough for VLAN tags, IPv6 extensions, and the packet inside an ICMP error. */
#define HEADERS_MAX	    256

enum parsed {
	PARSED = 0,
	PARSED_FOREIGN, /* not a packet we translate */
	PARSED_SHORT, /* headers end before they should */
};

/* Where the next header begins. */
struct hdr_cursor {
	struct __sk_buff *skb;
	__u32 at;
};

struct vlan_hdr {
	__be16 tci;
	__be16 proto;
};

struct ipv6_extension {
	__u8 next;
	__u8 len; /* in 8 bytes, the first not counted */
	__u8 type; /* of a routing header; others have options from here on */
	__u8 segments_left;
};

/* Copies the header at the cursor; false when the packet ends before it does. */
static __always_inline bool load_header(const struct hdr_cursor *nh, void *header, __u32 size)
{
	return !bpf_skb_load_bytes(nh->skb, nh->at, header, size);
}

/* Returns the network protocol, or 0 when the packet ends before it. */
static __always_inline __be16 parse_l2(struct hdr_cursor *nh)
{
	struct vlan_hdr vlan;
	struct ethhdr eth;

	if (l2_len == 0)
		return nh->skb->protocol;
	if (!load_header(nh, &eth, sizeof(eth)))
		return 0;
	nh->at += sizeof(eth);
	vlan.proto = eth.h_proto;
	for (int i = 0; i < VLAN_TAGS_MAX; i++) {
		if (vlan.proto != bpf_htons(ETH_P_8021Q) && vlan.proto != bpf_htons(ETH_P_8021AD))
			break;
		if (!load_header(nh, &vlan, sizeof(vlan)))
			return 0;
		nh->at += sizeof(vlan);
	}
	return vlan.proto;
}

static __always_inline enum parsed parse_ipv4(struct hdr_cursor *nh, struct packet *packet)
{
	struct iphdr iph;
	__u16 offset;

	if (!load_header(nh, &iph, sizeof(iph)))
		return PARSED_SHORT;
	if (iph.version != 4 || iph.ihl < 5)
		return PARSED_FOREIGN;
	map_ipv4(&packet->tuple.saddr, iph.saddr);
	map_ipv4(&packet->tuple.daddr, iph.daddr);
	packet->tuple.proto = iph.protocol;
	offset = bpf_ntohs(iph.frag_off);
	if (offset & (IP_OFFSET_MASK | IP_MORE_FRAGMENTS)) {
		packet->fragment = offset & IP_OFFSET_MASK ? FRAGMENT_LATER : FRAGMENT_FIRST;
		packet->fragment_id = iph.id;
	}
	nh->at += iph.ihl * 4;
	return PARSED;
}

static __always_inline enum parsed parse_ipv6_fragment(struct hdr_cursor *nh, struct packet *packet)
{
	struct ipv6_fragment frag;

	if (!load_header(nh, &frag, sizeof(frag)))
		return PARSED_SHORT;
	packet->fragment_id = frag.id;
	packet->tuple.proto = frag.next;
	if (frag.offset & bpf_htons(IPV6_OFFSET_MASK))
		packet->fragment = FRAGMENT_LATER;
	else if (frag.offset & bpf_htons(IPV6_MORE_FRAGMENTS))
		packet->fragment = FRAGMENT_FIRST;
	nh->at += sizeof(frag);
	return PARSED;
}

static __always_inline enum parsed parse_ipv6_extension(struct hdr_cursor *nh,
							struct packet *packet)
{
	struct ipv6_extension ext;

	if (!load_header(nh, &ext, sizeof(ext)))
		return PARSED_SHORT;
	/* Still to visit other routers: this is not its last destination. */
	if (packet->tuple.proto == IPPROTO_ROUTING && ext.segments_left)
		return PARSED_FOREIGN;
	packet->tuple.proto = ext.next;
	nh->at += ext.len * 8 + 8;
	return PARSED;
}

/* Walks extension headers; leaves the cursor at the transport header. */
static __always_inline enum parsed parse_ipv6(struct hdr_cursor *nh, struct packet *packet)
{
	struct ipv6hdr ip6h;

	if (!load_header(nh, &ip6h, sizeof(ip6h)))
		return PARSED_SHORT;
	if (ip6h.version != 6)
		return PARSED_FOREIGN;
	__builtin_memcpy(&packet->tuple.saddr, &ip6h.saddr, sizeof(struct addr));
	__builtin_memcpy(&packet->tuple.daddr, &ip6h.daddr, sizeof(struct addr));
	packet->tuple.proto = ip6h.nexthdr;
	packet->is_ipv6 = true;
	nh->at += sizeof(ip6h);
	for (int i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
		enum parsed parsed;
		__u8 next = packet->tuple.proto;

		if (next == IPPROTO_FRAGMENT)
			parsed = parse_ipv6_fragment(nh, packet);
		else if (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING ||
			 next == IPPROTO_DSTOPTS)
			parsed = parse_ipv6_extension(nh, packet);
		else
			break;
		if (parsed != PARSED)
			return parsed;
		if (packet->fragment == FRAGMENT_LATER)
			break;
	}
	return PARSED;
}

static __always_inline enum parsed parse_transport(struct hdr_cursor *nh, struct packet *packet)
{
	struct sctp_header sctph;
	struct icmp_hdr icmph;
	struct tcphdr tcph;
	struct udphdr udph;

	if (is_icmp(packet) && packet->fragment != FRAGMENT_LATER) {
		if (!load_header(nh, &icmph, sizeof(icmph)))
			return PARSED_SHORT;
		packet->icmp_type = icmph.type;
		return PARSED;
	}
	if (packet->tuple.proto != IPPROTO_UDP && !has_handshake(packet->tuple.proto))
		return PARSED_FOREIGN;
	if (packet->fragment == FRAGMENT_LATER)
		return PARSED;
	if (!load_header(nh, &udph, sizeof(udph)))
		return PARSED_SHORT;
	packet->tuple.sport = udph.source;
	packet->tuple.dport = udph.dest;
	if (packet->tuple.proto == IPPROTO_TCP) {
		if (!load_header(nh, &tcph, sizeof(tcph)))
			return PARSED_SHORT;
		packet->tcp_flags = ((__u8 *)&tcph)[13];
	} else if (packet->tuple.proto == IPPROTO_SCTP) {
		if (!load_header(nh, &sctph, sizeof(sctph)))
			return PARSED_SHORT;
		packet->tcp_flags = sctp_as_tcp_flags(sctph.chunk);
	}
	return PARSED;
}

/*
 * Fills `packet`. What headers lie in page fragments are first pulled into the
 * linear part, where rewrite.h wants them.
 */
__noinline int parse_packet(struct __sk_buff *skb, struct packet *packet)
{
	struct hdr_cursor nh = {.skb = skb};
	enum parsed parsed;
	__u32 linear, wanted;
	__be16 proto;

	if (!packet)
		return PARSED_FOREIGN;
	__builtin_memset(packet, 0, sizeof(*packet));
	linear = skb->data_end - skb->data;
	wanted = skb->len < HEADERS_MAX ? skb->len : HEADERS_MAX;
	if (linear < wanted && bpf_skb_pull_data(skb, wanted))
		return PARSED_FOREIGN;
	proto = parse_l2(&nh);
	packet->l3 = nh.at;
	if (proto == bpf_htons(ETH_P_IP))
		parsed = parse_ipv4(&nh, packet);
	else if (proto == bpf_htons(ETH_P_IPV6))
		parsed = parse_ipv6(&nh, packet);
	else
		return PARSED_FOREIGN;
	if (parsed != PARSED)
		return parsed;
	packet->l4 = nh.at;
	/* What lies deeper than this is not in the part that was pulled. */
	if (nh.at > OFFSET_MASK)
		return PARSED_FOREIGN;
	return parse_transport(&nh, packet);
}

static __always_inline bool parse_plain_ports(void *transport, void *data_end,
					      struct packet *packet)
{
	struct tcphdr *tcph = transport;
	struct udphdr *udph = transport;

	if (packet->tuple.proto == IPPROTO_TCP) {
		if ((void *)(tcph + 1) > data_end)
			return false;
		packet->tcp_flags = ((__u8 *)tcph)[13];
	} else if (packet->tuple.proto != IPPROTO_UDP || (void *)(udph + 1) > data_end) {
		return false;
	}
	packet->tuple.sport = udph->source;
	packet->tuple.dport = udph->dest;
	return true;
}

/*
 * The packets that come in millions: TCP and UDP in linear headers, without VLAN tag, option,
 * extension or fragment. Inlined, because the call alone would cost a tenth of such a packet.
 * False: `packet` (zeroed by the caller) is unusable and parse_packet must have a look.
 */
static __always_inline bool parse_plain(struct __sk_buff *skb, struct packet *packet)
{
	void *data = (void *)(long)skb->data;
	void *data_end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct iphdr *iph = data + l2_len;
	struct ipv6hdr *ip6h = data + l2_len;
	__be16 proto;

	/* Both branches need at least this much. */
	if ((void *)(iph + 1) > data_end)
		return false;
	proto = l2_len ? eth->h_proto : (__be16)skb->protocol;
	packet->l3 = l2_len;
	if (proto == bpf_htons(ETH_P_IP)) {
		if (*(__u8 *)iph != PLAIN_IPV4 ||
		    iph->frag_off & bpf_htons(IP_OFFSET_MASK | IP_MORE_FRAGMENTS))
			return false;
		map_ipv4(&packet->tuple.saddr, iph->saddr);
		map_ipv4(&packet->tuple.daddr, iph->daddr);
		packet->tuple.proto = iph->protocol;
		packet->l4 = l2_len + sizeof(*iph);
		return parse_plain_ports(iph + 1, data_end, packet);
	}
	if (proto != bpf_htons(ETH_P_IPV6) || (void *)(ip6h + 1) > data_end || ip6h->version != 6)
		return false;
	__builtin_memcpy(&packet->tuple.saddr, &ip6h->saddr, sizeof(struct addr));
	__builtin_memcpy(&packet->tuple.daddr, &ip6h->daddr, sizeof(struct addr));
	packet->tuple.proto = ip6h->nexthdr;
	packet->is_ipv6 = true;
	packet->l4 = l2_len + sizeof(*ip6h);
	return parse_plain_ports(ip6h + 1, data_end, packet);
}

#endif
