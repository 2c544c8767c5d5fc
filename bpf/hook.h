/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where does a program look at packets? */
#ifndef KUBE_SHUNT_HOOK_H
#define KUBE_SHUNT_HOOK_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"

/* What the kernel calls a program with; functions that tc and XDP share take either. */
#ifdef SHUNT_XDP
#define hook_ctx xdp_md
#else
#define hook_ctx __sk_buff
#endif

static __always_inline __u32 ingress_ifindex(const struct hook_ctx *ctx)
{
#ifdef SHUNT_XDP
	return ctx->ingress_ifindex;
#else
	return ctx->ifindex;
#endif
}

/* Ingress is what the device hands to the node, egress what the node hands to the device. */
enum hook {
	HOOK_POD_INGRESS = 0,
	HOOK_POD_EGRESS,
	HOOK_UPLINK_INGRESS,
	HOOK_UPLINK_EGRESS,
};

static __always_inline bool is_egress(enum hook hook)
{
	return hook == HOOK_POD_EGRESS || hook == HOOK_UPLINK_EGRESS;
}

/* Uplinks and tunnels: between this node and others. */
static __always_inline bool is_uplink(enum hook hook)
{
	return hook == HOOK_UPLINK_INGRESS || hook == HOOK_UPLINK_EGRESS;
}

/* Is this half applied at this hook? */
static __always_inline bool is_at_hook(const struct flow *flow, enum hook hook)
{
	/*
	 * A pod that claims to be a client outside is none, and no such flow has a backend here.
	 * The node's own flows have: their answers come in by the pod.
	 */
	__u16 mask = is_uplink(hook) ? FLOW_AT_EGRESS : FLOW_AT_EGRESS | FLOW_SNAT;

	return (flow->flags & mask) == (is_egress(hook) ? FLOW_AT_EGRESS : 0);
}

#endif
