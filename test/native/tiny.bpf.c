// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One small program per question the tests of the addon ask. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

struct event {
	__u32 length;
	__u32 sequence;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} words SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u32);
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64[2]);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} keyed_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 262144);
} events SEC(".maps");

const volatile __u32 answer = 1;
const volatile __u8 small = 0;

/* Returns `answer` and leaves the first word of `words` as the mark. */
SEC("tc")
int answering(struct __sk_buff *skb)
{
	__u32 zero = 0;
	__u64 *word = bpf_map_lookup_elem(&words, &zero);

	skb->mark = word ? *word : 0;
	return answer + small;
}

/* Counts packets and bytes under index 3, and packets under key 7. */
SEC("tc")
int counting(struct __sk_buff *skb)
{
	__u32 index = 3, key = 7;
	__u64 one = 1;
	__u64 *count = bpf_map_lookup_elem(&counts, &index);
	__u64 *keyed = bpf_map_lookup_elem(&keyed_counts, &key);

	if (count) {
		count[0] += 1;
		count[1] += skb->len;
	}
	if (keyed)
		*keyed += 1;
	else
		bpf_map_update_elem(&keyed_counts, &key, &one, BPF_ANY);
	return TC_ACT_UNSPEC;
}

/* Reports each packet. */
SEC("tc")
int reporting(struct __sk_buff *skb)
{
	static __u32 sequence;
	struct event event = {.length = skb->len, .sequence = sequence++};

	bpf_ringbuf_output(&events, &event, sizeof(event), 0);
	return TC_ACT_UNSPEC;
}

/* Libbpf 1.1 does not know this section name. */
SEC("tcx/ingress")
int unnamed(struct __sk_buff *skb)
{
	return TC_ACT_SHOT;
}

SEC("xdp")
int wire(struct xdp_md *xdp)
{
	return XDP_PASS;
}

SEC("cgroup/connect4")
int refusing(struct bpf_sock_addr *address)
{
	return 0;
}
