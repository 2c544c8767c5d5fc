/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Lets every frame pass: a veth whose peer has it can be transmitted to by XDP. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp.frags")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}
