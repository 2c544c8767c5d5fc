/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Gives the program under test a packet of another flow each time. A repeated test-run hands
 * over the same packet again and again, as the run before left it; turn() first writes the
 * packet anew, with the next address, and then jumps to the program.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define FRAME_SIZE 54 /* Ethernet, IPv4, TCP */
#define ADDRESS_AT 28 /* the lower half of the source address */
#define PORT_AT	   34 /* the source port */

struct turn {
	__u32 next;
	__u32 mask; /* flows - 1 */
	__u8 frame[56];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct turn);
} turns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} xdp_target SEC(".maps");

/* Flow n has port 1024 + n / 65536 and n % 65536 as lower half of its address. */
SEC("tc")
int turn(struct __sk_buff *skb)
{
	__u32 zero = 0, n;
	struct turn *turn = bpf_map_lookup_elem(&turns, &zero);

	if (!turn)
		return -1;
	/* an odd factor visits every flow once before any again, in an order without pattern */
	n = (turn->next++ * 2654435761u) & turn->mask;
	*(__be16 *)(turn->frame + ADDRESS_AT) = bpf_htons(n & 0xffff);
	*(__be16 *)(turn->frame + PORT_AT) = bpf_htons(1024 + (n >> 16));
	bpf_skb_store_bytes(skb, 0, turn->frame, FRAME_SIZE, 0);
	bpf_tail_call(skb, &target, 0);
	return -1;
}

/* The same packet anew, as XDP would get it: every run takes a hop off it. */
SEC("xdp.frags")
int turn_xdp(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	__u32 zero = 0;
	struct turn *turn = bpf_map_lookup_elem(&turns, &zero);

	if (!turn || data + FRAME_SIZE > data_end)
		return XDP_PASS;
	__builtin_memcpy(data, turn->frame, FRAME_SIZE);
	bpf_tail_call(ctx, &xdp_target, 0);
	return XDP_PASS;
}

SEC("xdp.frags")
int empty_xdp(struct xdp_md *ctx)
{
	return XDP_PASS;
}

/* What a program costs that does nothing. */
SEC("tc")
int empty(struct __sk_buff *skb)
{
	return -1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
