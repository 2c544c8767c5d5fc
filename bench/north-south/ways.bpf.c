/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ways that docs/adr/0010 decided against, as small as they can be: TCP over IPv4, one NodePort,
 * one backend, no timeouts, no ICMP, no fragments. What they cost is the least such a way can cost.
 *   redirect            rewrites everything at ingress and emits past the stack
 *   mark, mark_replies  rewrite the destination and mark; a rule of netfilter masquerades
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define AF_INET	   2
#define MARK	   0x4000
#define PORT_MIN   1024
#define PORT_COUNT 28976 /* ends where NodePorts begin */
#define TRIES	   8

struct tuple {
	__be32 saddr, daddr;
	__be16 sport, dport;
};

/* Addresses and ports in network order. */
const volatile __u32 node_address, backend_address;
const volatile __u16 node_port, backend_port;

/* Each half of a flow, and what its packets become. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct tuple);
	__type(value, struct tuple);
} flows SEC(".maps");

/* Pulls the headers in; false for whatever is not plain TCP over IPv4. */
static __always_inline bool read_tuple(struct __sk_buff *skb, struct tuple *tuple)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct iphdr *ip = data + ETH_HLEN;
	struct tcphdr *tcp = (void *)(ip + 1);

	if (skb->protocol != bpf_htons(ETH_P_IP))
		return false;
	if ((void *)(tcp + 1) > end) {
		if (bpf_skb_pull_data(skb, ETH_HLEN + sizeof(*ip) + sizeof(*tcp)))
			return false;
		data = (void *)(long)skb->data, end = (void *)(long)skb->data_end;
		ip = data + ETH_HLEN, tcp = (void *)(ip + 1);
		if ((void *)(tcp + 1) > end)
			return false;
	}
	if (ip->ihl != 5 || ip->protocol != IPPROTO_TCP || ip->frag_off & bpf_htons(0x3fff))
		return false;
	if (ip->ttl <= 1)
		return false; /* the stack tells the sender */
	*tuple = (struct tuple){ ip->saddr, ip->daddr, tcp->source, tcp->dest };
	return true;
}

static __always_inline bool is_to_node_port(const struct tuple *tuple)
{
	return tuple->daddr == node_address && tuple->dport == node_port;
}

#define IP_AT(field)  (ETH_HLEN + offsetof(struct iphdr, field))
#define TCP_AT(field) (ETH_HLEN + sizeof(struct iphdr) + offsetof(struct tcphdr, field))

static __always_inline void write_address(struct __sk_buff *skb, __u32 at, __be32 from, __be32 to)
{
	if (from == to)
		return;
	bpf_l4_csum_replace(skb, TCP_AT(check), from, to, BPF_F_PSEUDO_HDR | sizeof(to));
	bpf_l3_csum_replace(skb, IP_AT(check), from, to, sizeof(to));
	bpf_skb_store_bytes(skb, at, &to, sizeof(to), 0);
}

static __always_inline void write_port(struct __sk_buff *skb, __u32 at, __be16 from, __be16 to)
{
	if (from == to)
		return;
	bpf_l4_csum_replace(skb, TCP_AT(check), from, to, sizeof(to));
	bpf_skb_store_bytes(skb, at, &to, sizeof(to), 0);
}

static __always_inline void rewrite(struct __sk_buff *skb, const struct tuple *from,
				    const struct tuple *to)
{
	write_address(skb, IP_AT(saddr), from->saddr, to->saddr);
	write_address(skb, IP_AT(daddr), from->daddr, to->daddr);
	write_port(skb, TCP_AT(source), from->sport, to->sport);
	write_port(skb, TCP_AT(dest), from->dport, to->dport);
}

/* A port of our own is free if nothing has the reply's tuple. */
static __always_inline bool create_flow(const struct tuple *request, struct tuple *becomes)
{
	struct tuple reply = { backend_address, node_address, backend_port, request->sport };
	struct tuple answer = { node_address, request->saddr, node_port, request->sport };
	__u16 port = bpf_ntohs(request->sport);

	for (int i = 0; i < TRIES; i++) {
		reply.dport = bpf_htons(port);
		if (!bpf_map_update_elem(&flows, &reply, &answer, BPF_NOEXIST)) {
			*becomes = (struct tuple){ node_address, backend_address, reply.dport,
						   backend_port };
			return !bpf_map_update_elem(&flows, request, becomes, BPF_ANY);
		}
		port = PORT_MIN + (port + 7919) % PORT_COUNT;
	}
	return false;
}

/* As a router: one hop less to live, and to the next hop of the route. */
static __always_inline int emit(struct __sk_buff *skb, const struct tuple *tuple)
{
	struct bpf_fib_lookup route = { .family = AF_INET, .ifindex = skb->ifindex };
	struct bpf_redir_neigh hop = { .nh_family = AF_INET };
	__be16 before, after;

	route.l4_protocol = IPPROTO_TCP;
	route.ipv4_src = tuple->saddr;
	route.ipv4_dst = tuple->daddr;
	if (bpf_fib_lookup(skb, &route, sizeof(route), BPF_FIB_LOOKUP_SKIP_NEIGH))
		return TC_ACT_SHOT;
	if (bpf_skb_load_bytes(skb, IP_AT(ttl), &before, sizeof(before)))
		return TC_ACT_SHOT;
	after = before - bpf_htons(0x0100);
	bpf_l3_csum_replace(skb, IP_AT(check), before, after, sizeof(after));
	bpf_skb_store_bytes(skb, IP_AT(ttl), &after, sizeof(after), 0);
	hop.ipv4_nh = route.ipv4_dst;
	return bpf_redirect_neigh(route.ifindex, &hop, sizeof(hop), 0);
}

SEC("tc")
int redirect(struct __sk_buff *skb)
{
	struct tuple tuple, becomes, *known;

	if (!read_tuple(skb, &tuple))
		return TC_ACT_OK;
	known = bpf_map_lookup_elem(&flows, &tuple);
	if (known)
		becomes = *known;
	else if (!is_to_node_port(&tuple) || !create_flow(&tuple, &becomes))
		return TC_ACT_OK;
	rewrite(skb, &tuple, &becomes);
	return emit(skb, &becomes);
}

SEC("tc")
int mark(struct __sk_buff *skb)
{
	struct tuple tuple, becomes, reply, answer, *known;

	if (!read_tuple(skb, &tuple) || !is_to_node_port(&tuple))
		return TC_ACT_OK;
	known = bpf_map_lookup_elem(&flows, &tuple);
	if (known) {
		becomes = *known;
	} else {
		becomes = (struct tuple){ tuple.saddr, backend_address, tuple.sport, backend_port };
		reply = (struct tuple){ becomes.daddr, becomes.saddr, becomes.dport,
					becomes.sport };
		answer = (struct tuple){ tuple.daddr, tuple.saddr, tuple.dport, tuple.sport };
		bpf_map_update_elem(&flows, &tuple, &becomes, BPF_ANY);
		bpf_map_update_elem(&flows, &reply, &answer, BPF_ANY);
	}
	rewrite(skb, &tuple, &becomes);
	skb->mark |= MARK;
	return TC_ACT_OK;
}

SEC("tc")
int mark_replies(struct __sk_buff *skb)
{
	struct tuple tuple, becomes, *known;

	if (!read_tuple(skb, &tuple))
		return TC_ACT_OK;
	known = bpf_map_lookup_elem(&flows, &tuple);
	if (!known)
		return TC_ACT_OK;
	becomes = *known;
	rewrite(skb, &tuple, &becomes);
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "GPL";
