/* SPDX-License-Identifier: Apache-2.0 */
/* Connection requests as frames: who they claim to be from is drawn from a range. */
#ifndef TRAFFIC_FLOOD_FRAMES_H
#define TRAFFIC_FLOOD_FRAMES_H

#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include "address.h"

/* The padding aligns what follows the Ethernet header. */
struct frame {
	uint16_t padding;
	struct ethhdr eth;
	union {
		struct {
			struct iphdr ip;
			struct tcphdr tcp;
		} v4;
		struct {
			struct ip6_hdr ip;
			struct tcphdr tcp;
		} v6;
	};
};

static struct address target, sources;
static unsigned prefix_length;
static uint64_t seed; /* not 0 */

static uint64_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint32_t add_up(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i += 2)
		sum += bytes[i] << 8 | bytes[i + 1];
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

/* The bits below the prefix are random. */
static void spoof(uint8_t *to, const uint8_t *range, unsigned bytes)
{
	uint64_t random = draw();

	memcpy(to, range, bytes);
	for (unsigned i = 0; i < 8 && i < bytes; i++) {
		unsigned at = bytes - 1 - i, first_bit = at * 8;
		uint8_t free_bits = prefix_length <= first_bit ? 0xff
				    : prefix_length >= first_bit + 8
					    ? 0
					    : 0xff >> (prefix_length - first_bit);

		to[at] = (range[at] & ~free_bits) | ((random >> (i * 8)) & free_bits);
	}
}

static void write_tcp(struct tcphdr *tcp, uint16_t target_port)
{
	uint64_t random = draw();

	tcp->source = htons(1024 + random % 64512);
	tcp->dest = target_port;
	tcp->seq = random >> 32;
	tcp->doff = 5;
	tcp->syn = 1;
	tcp->window = htons(64240);
	tcp->check = 0;
}

static void write4(struct frame *f)
{
	struct sockaddr_in *to = (void *)&target.sa, *from = (void *)&sources.sa;
	struct iphdr *ip = &f->v4.ip;

	f->eth.h_proto = htons(ETH_P_IP);
	*ip = (struct iphdr){.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP};
	ip->tot_len = htons(sizeof(f->v4));
	ip->daddr = to->sin_addr.s_addr;
	spoof((uint8_t *)&f->v4.ip + offsetof(struct iphdr, saddr), (void *)&from->sin_addr, 4);
	ip->check = fold(add_up(0, ip, sizeof(*ip)));
	write_tcp(&f->v4.tcp, to->sin_port);
	f->v4.tcp.check = fold(add_up(IPPROTO_TCP + sizeof(struct tcphdr),
				      (uint8_t *)ip + offsetof(struct iphdr, saddr),
				      8 + sizeof(struct tcphdr)));
}

static void write6(struct frame *f)
{
	struct sockaddr_in6 *to = (void *)&target.sa, *from = (void *)&sources.sa;
	struct ip6_hdr *ip = &f->v6.ip;

	f->eth.h_proto = htons(ETH_P_IPV6);
	*ip = (struct ip6_hdr){.ip6_flow = htonl(6u << 28)};
	ip->ip6_plen = htons(sizeof(struct tcphdr));
	ip->ip6_nxt = IPPROTO_TCP;
	ip->ip6_hlim = 64;
	ip->ip6_dst = to->sin6_addr;
	spoof((uint8_t *)ip + offsetof(struct ip6_hdr, ip6_src), (void *)&from->sin6_addr, 16);
	write_tcp(&f->v6.tcp, to->sin6_port);
	f->v6.tcp.check = fold(add_up(IPPROTO_TCP + sizeof(struct tcphdr),
				      (uint8_t *)ip + offsetof(struct ip6_hdr, ip6_src),
				      32 + sizeof(struct tcphdr)));
}

#endif
