/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * XDP on an uplink: packets between clients outside and backends on other nodes,
 * sent on before the kernel makes a socket buffer of them. The same flows as in
 * service_tc.bpf.c, both steps of their rewrite at once. Whatever is not plain, not
 * for another node, or not sure of its way is passed on untouched: tc serves it.
 */
#define SHUNT_XDP
#include "create.h"
#include "parse_xdp.h"
#include "reject_xdp.h"
#include "route.h"
#include "sound_transport.h"
#include "track.h"
#include "tunnel.h"

/* Where XDP sends packets of a half: the next hop's MAC address, asked for once a tick. */
__noinline int find_next_hop(struct xdp_md *ctx, const struct packet *packet, struct flow *flow)
{
	if (!packet || !flow)
		return 0;
	__u32 size = ctx->data_end - ctx->data - sizeof(struct ethhdr);
	struct bpf_fib_lookup route = {.ifindex = ctx->ingress_ifindex, .tot_len = size};

	ask_route(&route, &flow->saddr, &flow->daddr);
	if (bpf_fib_lookup(ctx, &route, sizeof(route), 0) != BPF_FIB_LKUP_RET_SUCCESS ||
	    route.ifindex != ctx->ingress_ifindex || route.mtu_result < uplink_mtu) {
		clear_flags(flow, FLOW_DIRECT);
		return 0;
	}
	__builtin_memcpy(flow->dmac, route.dmac, ETH_ALEN);
	set_flags(flow, FLOW_DIRECT);
	return 1;
}

static __always_inline __u16 lower_ttl(__u8 *ttl)
{
	(*ttl)--;
	/* The field is the first byte of its 16-bit word. */
	return 0xffff & ~bpf_htons(0x0100);
}

static __always_inline bool write_network(void *l3, void *data_end, const struct packet *packet,
					  const struct flow *flow)
{
	struct ipv6hdr *ip6h = l3;
	struct iphdr *iph = l3;

	if (packet->is_ipv6) {
		if ((void *)(ip6h + 1) > data_end)
			return false;
		__builtin_memcpy(&ip6h->saddr, &flow->saddr, sizeof(struct addr));
		__builtin_memcpy(&ip6h->daddr, &flow->daddr, sizeof(struct addr));
		lower_ttl(&ip6h->hop_limit);
		return true;
	}
	if ((void *)(iph + 1) > data_end)
		return false;
	iph->saddr = flow->saddr.word[3];
	iph->daddr = flow->daddr.word[3];
	iph->check = csum_apply(iph->check,
				csum_fold((__u32)flow->address_delta + lower_ttl(&iph->ttl)));
	return true;
}

static __always_inline bool write_transport(void *l4, void *data_end, const struct packet *packet,
					    const struct flow *flow)
{
	const struct flow_key *key = &packet->tuple;
	__u16 port_delta =
		csum_delta((__u32)key->sport + key->dport, (__u32)flow->sport + flow->dport);
	__u16 delta = csum_fold((__u32)flow->address_delta + port_delta);
	struct tcphdr *tcph = l4;
	struct udphdr *udph = l4;

	if (is_tcp(packet)) {
		if ((void *)(tcph + 1) > data_end)
			return false;
		tcph->source = flow->sport;
		tcph->dest = flow->dport;
		tcph->check = csum_apply(tcph->check, delta);
		return true;
	}
	if ((void *)(udph + 1) > data_end)
		return false;
	udph->source = flow->sport;
	udph->dest = flow->dport;
	if (udph->check)
		udph->check = csum_apply(udph->check, delta) ?: CSUM_MANGLED_0;
	return true;
}

/* Both steps of the half, and the frame's way back out of the device. */
static __always_inline int forward(struct xdp_md *ctx, const struct packet *packet,
				   const struct flow *flow)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	__u16 flags = flow->flags;
	struct ethhdr *eth = data;

	if ((void *)(eth + 1) > data_end ||
	    !write_transport(data + (packet->l4 & OFFSET_MASK), data_end, packet, flow) ||
	    !write_network(eth + 1, data_end, packet, flow)) {
		count(COUNT_DROP_REWRITE);
		return XDP_DROP;
	}
	__builtin_memcpy(eth->h_source, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, flow->dmac, ETH_ALEN);
	count(flags & FLOW_REVERSE ? COUNT_XDP_REVERSE : COUNT_XDP_FORWARD);
	return XDP_TX;
}

static __always_inline int refuse(enum counter reason)
{
	count(reason);
	return XDP_DROP;
}

/* May it open a flow? What is not sound is tc's to name and to drop. */
static __always_inline bool is_xdp_sound(struct xdp_md *ctx, const struct packet *packet)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	__u32 available = bpf_xdp_get_buff_len(ctx) - packet->l3, length;
	void *l4 = data + (packet->l4 & OFFSET_MASK);
	struct ipv6hdr *ip6h = data + sizeof(struct ethhdr);
	struct iphdr *iph = (void *)ip6h;

	if ((void *)(ip6h + 1) > data_end || l4 + sizeof(struct tcphdr) > data_end)
		return false;
	length = packet->is_ipv6 ? bpf_ntohs(ip6h->payload_len) + sizeof(*ip6h)
				 : bpf_ntohs(iph->tot_len);
	if (length > available || length < (__u32)(packet->l4 - packet->l3))
		return false;
	length -= packet->l4 - packet->l3;
	return is_tcp(packet) ? is_tcp_sound(packet, l4, length) : is_udp_sound(packet, l4, length);
}

/* Does the choice for this tuple lead to another node? Backends of this one are tc's. */
__noinline int is_elsewhere(struct xdp_md *ctx, const struct flow_key *key, struct backend_set *set)
{
	if (!key || !set)
		return 0;
	struct flow choice = {};

	return !fill_choice(ctx, key, set, 0, &choice) && choice.flags & FLOW_SNAT;
}

/*
 * What becomes of a packet without a flow; XDP_REDIRECT: it has one now. Local backends and odd
 * packets are tc's.
 */
__noinline int admit_xdp(struct xdp_md *ctx, const struct packet *packet, __u32 now)
{
	if (!packet)
		return XDP_PASS;
	struct backend_set set = {.is_outside = true};
	int reason;

	if ((is_tcp(packet) && !is_syn(packet)) || !is_xdp_sound(ctx, packet))
		return XDP_PASS;
	switch (lookup_frontend(&packet->tuple, &set.frontend)) {
	case FRONTEND_NONE:
		return XDP_PASS;
	case FRONTEND_UNUSED:
		return reject_xdp(ctx, packet, COUNT_REJECT_UNUSED_PORT);
	case FRONTEND_FOUND:
		break;
	}
	if (!read_backend_set(set.frontend, &set))
		return XDP_PASS;
	if (!is_admitted(packet, &set))
		return refuse(COUNT_DROP_SOURCE_RANGE);
	if (!set.total) {
		count_frontend(set.frontend, true);
		return reject_xdp(ctx, packet, COUNT_REJECT_NO_ENDPOINT);
	}
	if (!set.count)
		return refuse(COUNT_DROP_NO_LOCAL_ENDPOINT);
	if (!is_elsewhere(ctx, &packet->tuple, &set))
		return XDP_PASS;
	reason = create_flow(ctx, &packet->tuple, &set, now);
	return reason ? refuse(reason) : XDP_REDIRECT;
}

SEC("xdp.frags")
int shunt_uplink_xdp(struct xdp_md *ctx)
{
	struct packet packet = {};
	struct found_flow found;
	int action;
	__u32 now;

	if (!parse_xdp(ctx, &packet) || is_tunnel(&packet))
		return XDP_PASS;
	now = now_ticks();
	found = find_flow(&packet, now);
	if (!found.flow) {
		action = admit_xdp(ctx, &packet, now);
		if (action != XDP_REDIRECT)
			return action;
		found = find_created(&packet);
		if (!found.flow)
			return XDP_PASS;
	}
	if (!is_of_client(&packet.tuple, found.flow) ||
	    (found.flow->flags & (FLOW_SNAT | FLOW_INNER)) != FLOW_SNAT ||
	    (!found.is_new && why_unusable(&packet, found.flow, now)))
		return XDP_PASS;
	if ((found.is_new || found.flow->last_seen != now || !(found.flow->flags & FLOW_DIRECT)) &&
	    !find_next_hop(ctx, &packet, found.flow))
		return XDP_PASS;
	action = forward(ctx, &packet, found.flow);
	if (needs_tracking(&packet, &found, now))
		track_flow(&packet, found.flow, found.is_half_open, now);
	return action;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
