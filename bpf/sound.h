/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Do a packet's lengths and flags make sense? Asked before a packet opens a flow
 * or is answered. Packets of a flow need not be asked: whoever gets them looks
 * himself, and a wrong packet is as wrong after its translation.
 */
#ifndef KUBE_SHUNT_SOUND_H
#define KUBE_SHUNT_SOUND_H

#include "packet.h"
#include "sctp.h"
#include "sound_transport.h"

/* Packets longer than their length field can say (GSO) have zero in it. */
#define IP_LENGTH_MAX 0xffff

/* Bytes from the IP header to the end of the packet by its own account, or 0. */
static __always_inline __u32 ip_length(struct __sk_buff *skb, const struct packet *packet)
{
	__u32 available = skb->len - packet->l3;
	__u32 length, at;
	__be16 field = 0;

	at = packet->is_ipv6 ? offsetof(struct ipv6hdr, payload_len)
			     : offsetof(struct iphdr, tot_len);
	if (bpf_skb_load_bytes(skb, packet->l3 + at, &field, sizeof(field)))
		return 0;
	if (!field)
		return available > IP_LENGTH_MAX ? available : 0;
	length = bpf_ntohs(field) + (packet->is_ipv6 ? sizeof(struct ipv6hdr) : 0);
	return length <= available ? length : 0;
}

__noinline int is_sound(struct __sk_buff *skb, const struct packet *packet)
{
	if (!packet)
		return 0;
	__u32 length = ip_length(skb, packet);
	__u32 header = packet->l4 - packet->l3;
	struct tcphdr tcph;
	struct udphdr udph;

	if (length < header)
		return 0;
	if (packet->tuple.proto == IPPROTO_SCTP)
		return length - header >= sizeof(struct sctp_header);
	if (is_tcp(packet))
		return !bpf_skb_load_bytes(skb, packet->l4, &tcph, sizeof(tcph)) &&
		       is_tcp_sound(packet, &tcph, length - header);
	return !bpf_skb_load_bytes(skb, packet->l4, &udph, sizeof(udph)) &&
	       is_udp_sound(packet, &udph, length - header);
}

#endif
