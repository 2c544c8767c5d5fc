/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Applies a flow's tuple to a packet, checksums included. */
#ifndef KUBE_SHUNT_REWRITE_H
#define KUBE_SHUNT_REWRITE_H

#include "csum.h"
#include "packet.h"
#include "sound.h"
#include "verdict.h"

static __always_inline bool write_ipv4(void *data, void *data_end, const struct packet *packet,
				       const struct flow *flow)
{
	struct iphdr *iph = data + (packet->l3 & OFFSET_MASK);

	if ((void *)(iph + 1) > data_end)
		return false;
	iph->saddr = flow->saddr.word[3];
	iph->daddr = flow->daddr.word[3];
	iph->check = csum_apply(iph->check, flow->address_delta);
	return true;
}

static __always_inline bool write_ipv6(void *data, void *data_end, const struct packet *packet,
				       const struct flow *flow)
{
	struct ipv6hdr *ip6h = data + (packet->l3 & OFFSET_MASK);

	if ((void *)(ip6h + 1) > data_end)
		return false;
	__builtin_memcpy(&ip6h->saddr, &flow->saddr, sizeof(struct addr));
	__builtin_memcpy(&ip6h->daddr, &flow->daddr, sizeof(struct addr));
	return true;
}

static __always_inline bool write_ports(void *data, void *data_end, const struct packet *packet,
					const struct flow *flow)
{
	__be16 *ports = data + (packet->l4 & OFFSET_MASK);

	if ((void *)(ports + 2) > data_end)
		return false;
	ports[0] = flow->sport;
	ports[1] = flow->dport;
	return true;
}

/* The field that covers the ports, or NULL; UDP leaves it zero for "none". */
static __always_inline __u16 *transport_check(struct __sk_buff *skb, __u32 at)
{
	void *data = (void *)(long)skb->data;
	void *data_end = (void *)(long)skb->data_end;
	__u16 *check = data + (at & OFFSET_MASK);

	return (void *)(check + 1) > data_end ? NULL : check;
}

/*
 * The transport checksum covers addresses through the pseudo-header and ports
 * directly. With CHECKSUM_PARTIAL only the first part may be applied, and it is
 * added instead of subtracted: that shows which of the two it was, and spares us
 * a second call of the helper, which costs as much as the lookup of the flow.
 * For CHECKSUM_COMPLETE over IPv6 the kernel also changes its sum of the packet,
 * although the address bytes and the checksum cancel out there: bpf_csum_update
 * takes that back.
 */
static __always_inline bool fix_transport_checksum(struct __sk_buff *skb,
						   const struct packet *packet, __u16 address_delta,
						   __u16 port_delta)
{
	bool is_udp = !is_tcp(packet);
	__u32 at = packet->l4 +
		   (is_udp ? offsetof(struct udphdr, check) : offsetof(struct tcphdr, check));
	__u64 flags = is_udp ? BPF_F_MARK_MANGLED_0 : 0;
	__u16 *check = transport_check(skb, at);
	__u16 partial;

	if (!check)
		return false;
	partial = csum_fold((__u32)*check + address_delta);
	if (bpf_l4_csum_replace(skb, at, 0, address_delta, BPF_F_PSEUDO_HDR | flags))
		return false;
	if (packet->is_ipv6)
		bpf_csum_update(skb, address_delta);
	if (is_zero_delta(port_delta))
		return true;
	/* Addresses of equal sums: nothing to tell by. */
	if (is_zero_delta(address_delta))
		return !bpf_l4_csum_replace(skb, at, 0, port_delta, flags);
	check = transport_check(skb, at);
	if (!check)
		return false;
	if (*check != partial && !(is_udp && !*check))
		*check = csum_apply(*check, port_delta) ?: CSUM_MANGLED_0;
	return true;
}

/*
 * SCTP's checksum covers no addresses; it must know the packet's whole length, so
 * a first fragment cannot get other ports.
 */
__noinline int fix_sctp_checksum(struct __sk_buff *skb, const struct packet *packet,
				 __u32 ports_difference)
{
	if (!packet)
		return 0;
	__u32 at = packet->l4 + offsetof(struct sctp_header, checksum);
	__u32 length = ip_length(skb, packet);
	__u32 header = packet->l4 - packet->l3;
	__u32 checksum;

	if (!ports_difference)
		return 1;
	if (packet->fragment || length <= header || bpf_skb_load_bytes(skb, at, &checksum, 4))
		return 0;
	checksum ^= crc32c_delta(ports_difference, length - header);
	return !bpf_skb_store_bytes(skb, at, &checksum, sizeof(checksum), 0);
}

/* Sender's port in the low half, as the two lie in memory on the machines there are. */
static __always_inline __u32 ports_word(__be16 sport, __be16 dport)
{
	return sport | (__u32)dport << 16;
}

/* Later fragments carry addresses only; their ports are in the first. */
static __always_inline bool rewrite_packet(struct __sk_buff *skb, const struct packet *packet,
					   const struct flow *flow)
{
	void *data = (void *)(long)skb->data;
	void *data_end = (void *)(long)skb->data_end;
	__u16 address_delta = flow->address_delta;
	__u16 port_delta = flow->port_delta;

	if (packet->fragment == FRAGMENT_LATER) {
		if (packet->is_ipv6)
			bpf_csum_update(skb, address_delta);
	} else if (!write_ports(data, data_end, packet, flow)) {
		return false;
	}
	if (!(packet->is_ipv6 ? write_ipv6(data, data_end, packet, flow)
			      : write_ipv4(data, data_end, packet, flow)))
		return false;
	if (packet->tuple.proto == IPPROTO_SCTP)
		return packet->fragment == FRAGMENT_LATER ||
		       fix_sctp_checksum(
			       skb, packet,
			       ports_word(flow->sport, flow->dport) ^
				       ports_word(packet->tuple.sport, packet->tuple.dport));
	return packet->fragment == FRAGMENT_LATER ||
	       fix_transport_checksum(skb, packet, address_delta, port_delta);
}

#endif
