/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What does a packet carry, and where is it? parse.h finds out. */
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

#ifndef AF_INET
#define AF_INET	 2
#define AF_INET6 10
#endif

#define IP_OFFSET_MASK	  0x1fff
#define IP_MORE_FRAGMENTS 0x2000
/* Bounds an offset for the verifier after it was kept on the stack. */
#define OFFSET_MASK	  0xff

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
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
	__u8 tcp_flags; /* for SCTP what its first chunk means in TCP's words */
	__u8 icmp_type;
	bool is_ipv6;
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

static __always_inline bool is_mapped_ipv4(const struct addr *addr)
{
	return addr->word[2] == bpf_htonl(0xffff) && !addr->word[1];
}

static __always_inline bool is_same_addr(const struct addr *a, const struct addr *b)
{
	return a->word[3] == b->word[3] && a->word[2] == b->word[2] && a->word[1] == b->word[1] &&
	       a->word[0] == b->word[0];
}

static __always_inline bool is_icmp(const struct packet *packet)
{
	return packet->tuple.proto == (packet->is_ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

/* The first packet of a TCP connection or SCTP association. */
static __always_inline bool is_syn(const struct packet *packet)
{
	return (packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

static __always_inline bool is_tcp(const struct packet *packet)
{
	return packet->tuple.proto == IPPROTO_TCP;
}

/* Protocols whose flows begin with a handshake and end with a word. */
static __always_inline bool has_handshake(__u8 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_SCTP;
}

#endif
