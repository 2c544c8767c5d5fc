// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A program the verifier must refuse, after enough steps for a log longer than is kept. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int overreaching(struct __sk_buff *skb)
{
	volatile __u32 sum = 0;

#pragma unroll
	for (int i = 0; i < 200; i++)
		sum += bpf_get_prandom_u32();
	/* beyond data_end: never checked */
	return *(__u32 *)(long)skb->data + sum;
}
