/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Do a transport header's lengths and flags make sense? For tc and XDP alike. */
#ifndef KUBE_SHUNT_SOUND_TRANSPORT_H
#define KUBE_SHUNT_SOUND_TRANSPORT_H

#include "packet.h"

/* A connection begins with SYN alone; everything later acknowledges, and has no SYN. */
static __always_inline bool is_tcp_sound(const struct packet *packet, const struct tcphdr *tcph,
					 __u32 length)
{
	__u32 header = tcph->doff * 4;

	if (header < sizeof(*tcph) || header > length)
		return false;
	if (packet->tcp_flags & TCP_SYN)
		return !(packet->tcp_flags & (TCP_ACK | TCP_FIN));
	return packet->tcp_flags & TCP_ACK;
}

/* The length of a first fragment is that of the whole datagram. */
static __always_inline bool is_udp_sound(const struct packet *packet, const struct udphdr *udph,
					 __u32 length)
{
	__u32 claimed = bpf_ntohs(udph->len);

	return claimed >= sizeof(*udph) && length >= sizeof(*udph) &&
	       (claimed <= length || packet->fragment);
}

#endif
