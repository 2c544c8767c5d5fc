/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors quote the packet they are about as the reporter saw it. The quoted
 * tuple reversed is the key of the half that translates this direction, so the
 * quote gets the reverse of that half's rewrite.
 */
#ifndef KUBE_SHUNT_ICMP_H
#define KUBE_SHUNT_ICMP_H

#include "csum.h"
#include "flow.h"
#include "hook.h"
#include "packet.h"
#include "snat.h"

/* Where the quoted packet's parts are, as offsets into the skb. */
struct quote {
	struct flow_key reply; /* the quoted tuple, reversed */
	__u16 l3;
	__u16 l4;
	bool is_ipv6;
};

static __always_inline bool is_icmp_error(const struct packet *packet)
{
	if (packet->is_ipv6)
		return packet->icmp_type >= ICMPV6_DEST_UNREACH &&
		       packet->icmp_type <= ICMPV6_PARAMPROB;
	return packet->icmp_type == ICMP_DEST_UNREACH || packet->icmp_type == ICMP_TIME_EXCEEDED ||
	       packet->icmp_type == ICMP_PARAMETERPROB;
}

static __always_inline bool load_quote_ipv4(struct __sk_buff *skb, struct quote *quote)
{
	struct iphdr iph;

	if (bpf_skb_load_bytes(skb, quote->l3, &iph, sizeof(iph)))
		return false;
	if (iph.version != 4 || iph.ihl < 5 || iph.frag_off & bpf_htons(IP_OFFSET_MASK))
		return false;
	map_ipv4(&quote->reply.saddr, iph.daddr);
	map_ipv4(&quote->reply.daddr, iph.saddr);
	quote->reply.proto = iph.protocol;
	quote->l4 = quote->l3 + iph.ihl * 4;
	return true;
}

static __always_inline bool load_quote_ipv6(struct __sk_buff *skb, struct quote *quote)
{
	struct ipv6hdr ip6h;

	if (bpf_skb_load_bytes(skb, quote->l3, &ip6h, sizeof(ip6h)) || ip6h.version != 6)
		return false;
	__builtin_memcpy(&quote->reply.saddr, &ip6h.daddr, sizeof(struct addr));
	__builtin_memcpy(&quote->reply.daddr, &ip6h.saddr, sizeof(struct addr));
	quote->reply.proto = ip6h.nexthdr;
	quote->l4 = quote->l3 + sizeof(ip6h);
	if (ip6h.nexthdr == IPPROTO_FRAGMENT) {
		struct ipv6_fragment frag;

		if (bpf_skb_load_bytes(skb, quote->l4, &frag, sizeof(frag)) ||
		    frag.offset & bpf_htons(0xfff8))
			return false;
		quote->reply.proto = frag.next;
		quote->l4 += sizeof(frag);
	}
	quote->is_ipv6 = true;
	return true;
}

static __always_inline bool load_quote(struct __sk_buff *skb, const struct packet *packet,
				       struct quote *quote)
{
	__be16 ports[2];

	quote->l3 = packet->l4 + sizeof(struct icmp_hdr);
	if (!(packet->is_ipv6 ? load_quote_ipv6(skb, quote) : load_quote_ipv4(skb, quote)))
		return false;
	if (quote->reply.proto != IPPROTO_UDP && !has_handshake(quote->reply.proto))
		return false;
	if (bpf_skb_load_bytes(skb, quote->l4, ports, sizeof(ports)))
		return false;
	quote->reply.sport = ports[1];
	quote->reply.dport = ports[0];
	return true;
}

/*
 * Adjusts the quoted transport checksum if the quote reaches that far. Returns the
 * change this makes to a sum over the quote.
 */
static __always_inline __u16 write_quoted_checksum(struct __sk_buff *skb, const struct quote *quote,
						   __u16 delta)
{
	bool is_udp = quote->reply.proto == IPPROTO_UDP;
	__u32 at = quote->l4 +
		   (is_udp ? offsetof(struct udphdr, check) : offsetof(struct tcphdr, check));
	__u16 before, after;

	/* SCTP's covers bytes that are not quoted. */
	if (quote->reply.proto == IPPROTO_SCTP ||
	    bpf_skb_load_bytes(skb, at, &before, sizeof(before)) || (is_udp && !before))
		return 0;
	after = csum_apply(before, delta) ?: CSUM_MANGLED_0;
	if (bpf_skb_store_bytes(skb, at, &after, sizeof(after), 0))
		return 0;
	return csum_delta(before, after);
}

/* Writes the reverse of the flow's tuple into the quote; returns the change of its sum. */
static __always_inline int write_quote(struct __sk_buff *skb, const struct quote *quote,
				       const struct flow *flow)
{
	__be16 ports[2] = {flow->dport, flow->sport};
	__u32 delta = flow->port_delta;
	int failed;

	if (quote->is_ipv6) {
		__u32 at = quote->l3 + offsetof(struct ipv6hdr, saddr);

		failed = bpf_skb_store_bytes(skb, at, &flow->daddr, sizeof(struct addr), 0) |
			 bpf_skb_store_bytes(skb, at + sizeof(struct addr), &flow->saddr,
					     sizeof(struct addr), 0);
		delta += flow->address_delta;
	} else {
		__u32 at = quote->l3 + offsetof(struct iphdr, check);
		__u16 check = 0;

		failed = bpf_skb_load_bytes(skb, at, &check, sizeof(check));
		check = csum_apply(check, flow->address_delta);
		failed |= bpf_skb_store_bytes(skb, at, &check, sizeof(check), 0) |
			  bpf_skb_store_bytes(skb, at + 2, &flow->daddr.word[3], 4, 0) |
			  bpf_skb_store_bytes(skb, at + 6, &flow->saddr.word[3], 4, 0);
	}
	failed |= bpf_skb_store_bytes(skb, quote->l4, ports, sizeof(ports), 0);
	if (failed)
		return -1;
	delta += write_quoted_checksum(skb, quote,
				       csum_fold((__u32)flow->address_delta + flow->port_delta));
	return csum_fold(delta);
}

/* The outer addresses: an end of the flow gets its other name, a router keeps its own. */
static __always_inline int write_outer(struct __sk_buff *skb, const struct packet *packet,
				       const struct flow_key *reply, const struct flow *flow)
{
	const struct addr *saddr = &packet->tuple.saddr, *daddr = &packet->tuple.daddr;
	__u32 before = csum_addr(saddr) + csum_addr(daddr);
	__u16 delta, check;
	int failed;

	if (is_same_addr(saddr, &reply->saddr))
		saddr = &flow->saddr;
	if (is_same_addr(daddr, &reply->daddr))
		daddr = &flow->daddr;
	delta = csum_delta(before, csum_addr(saddr) + csum_addr(daddr));
	if (packet->is_ipv6) {
		__u32 at = packet->l3 + offsetof(struct ipv6hdr, saddr);

		failed = bpf_skb_store_bytes(skb, at, saddr, sizeof(*saddr), 0) |
			 bpf_skb_store_bytes(skb, at + sizeof(*saddr), daddr, sizeof(*daddr), 0) |
			 bpf_l4_csum_replace(skb, packet->l4 + offsetof(struct icmp_hdr, checksum),
					     0, delta, BPF_F_PSEUDO_HDR);
		bpf_csum_update(skb, delta);
		return failed;
	}
	__u32 at = packet->l3 + offsetof(struct iphdr, check);

	failed = bpf_skb_load_bytes(skb, at, &check, sizeof(check));
	check = csum_apply(check, delta);
	return failed | bpf_skb_store_bytes(skb, at, &check, sizeof(check), 0) |
	       bpf_skb_store_bytes(skb, at + 2, &saddr->word[3], 4, 0) |
	       bpf_skb_store_bytes(skb, at + 6, &daddr->word[3], 4, 0);
}

/*
 * Translates an ICMP error of a flow inside and out. Not inlined: rare, and it
 * needs the stack that the established path does not have.
 */
__noinline int translate_icmp_error(struct __sk_buff *skb, const struct packet *packet, __u32 hook)
{
	if (!packet)
		return VERDICT_PASS;
	struct quote quote = {};
	struct flow flow, *found;
	__u32 check_at = packet->l4 + offsetof(struct icmp_hdr, checksum);
	int delta;

	if (!load_quote(skb, packet, &quote))
		return VERDICT_PASS;
	found = bpf_map_lookup_elem(&flows, &quote.reply);
	if (!found)
		found = bpf_map_lookup_elem(&half_open, &quote.reply);
	if (!found || !is_at_hook(found, hook) || found->flags & FLOW_OWN)
		return VERDICT_PASS;
	flow = *found;
	if (flow.flags & FLOW_SNAT)
		turn_to_step(&quote.reply, &flow);
	/* ---- the ownership line */
	delta = write_quote(skb, &quote, &flow);
	if (delta < 0 || bpf_l4_csum_replace(skb, check_at, 0, delta, 0) ||
	    write_outer(skb, packet, &quote.reply, &flow))
		return drop(COUNT_DROP_REWRITE);
	count(COUNT_ICMP_TRANSLATED);
	return flow.flags & FLOW_HAIRPIN ? VERDICT_SEND_BACK : VERDICT_TRANSLATED;
}

#endif
