/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What does a 16-byte address cost in a flow key? One program per key width,
 * each a single LRU lookup; docs/adr/0003 quotes the difference.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct narrow_key {
	__be32 saddr, daddr;
	__be16 sport, dport;
	__u8 proto, pad[3];
};

struct wide_key {
	__be32 saddr[4], daddr[4];
	__be16 sport, dport;
	__u8 proto, pad[3];
};

struct value {
	__u64 word[8];
};

#define LRU(key_type)                            \
	struct {                                 \
		__uint(type, BPF_MAP_TYPE_LRU_HASH); \
		__uint(max_entries, 524288);     \
		__type(key, key_type);           \
		__type(value, struct value);     \
	}

LRU(struct narrow_key) narrow SEC(".maps");
LRU(struct wide_key) wide SEC(".maps");

SEC("tc")
int empty(struct __sk_buff *skb)
{
	return 0;
}

SEC("tc")
int narrow_hit(struct __sk_buff *skb)
{
	struct narrow_key key = { .saddr = skb->len, .daddr = 2, .sport = 3 };
	struct value *value = bpf_map_lookup_elem(&narrow, &key);

	if (!value) {
		struct value fresh = {};

		bpf_map_update_elem(&narrow, &key, &fresh, BPF_ANY);
		return 1;
	}
	return value->word[0];
}

SEC("tc")
int wide_hit(struct __sk_buff *skb)
{
	struct wide_key key = { .sport = 3 };
	struct value *value;

	key.saddr[2] = 0xffff0000;
	key.saddr[3] = skb->len;
	key.daddr[2] = 0xffff0000;
	key.daddr[3] = 2;
	value = bpf_map_lookup_elem(&wide, &key);
	if (!value) {
		struct value fresh = {};

		bpf_map_update_elem(&wide, &key, &fresh, BPF_ANY);
		return 1;
	}
	return value->word[0];
}

char LICENSE[] SEC("license") = "GPL";
