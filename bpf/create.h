/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which backend serves a flow from now on, and under which tuple? */
#ifndef KUBE_SHUNT_CREATE_H
#define KUBE_SHUNT_CREATE_H

#include "claim.h"
#include "csum.h"
#include "select.h"
#include "snat.h"

/* Other backends tried when a backend already has the tuple, then other source ports. */
#define BACKEND_ATTEMPTS  4
#define PORT_ATTEMPTS	  32
#define SNAT_PORT_ROUNDS  32
/* A prime, so that the attempts run through every port of a range before one comes again. */
#define PORT_STRIDE	  7919
/* New source ports of pods stay clear of listeners and of the NodePort range. */
#define SOURCE_PORT_FIRST 33000
#define SOURCE_PORT_COUNT 32000

/* A pod that gets itself would not answer its own address: its packets get one of ours. */
static __always_inline void choose_hairpin_source(const struct flow_key *key, struct flow *flow)
{
	bool is_ipv4 = is_mapped_ipv4(&key->saddr);

	if (!is_same_addr(&key->saddr, &flow->daddr))
		return;
	flow->flags |= FLOW_HAIRPIN;
	for (int i = 0; i < 4; i++)
		flow->saddr.word[i] = is_ipv4 ? hairpin_addr4.word[i] : hairpin_addr6.word[i];
}

/* What the rewrite to the flow's tuple adds to checksums. */
static __always_inline void fill_deltas(const struct flow_key *key, struct flow *flow)
{
	__u32 before, after;

	before = csum_addr(&key->saddr) + csum_addr(&key->daddr);
	after = csum_addr(&flow->saddr) + csum_addr(&flow->daddr);
	flow->address_delta = csum_delta(before, after);
	if (flow->flags & FLOW_SNAT)
		flow->port_delta = flow_echo(key);
	else
		fill_port_delta(key, flow);
}

/*
 * The client's half of the flow that this attempt leads to. Returns 0 or the counter that says
 * why there is none: the extent is not ours (any more), or there is no way to be its client.
 * Not inlined: the verifier would walk it again for each attempt.
 */
__noinline int fill_choice(struct hook_ctx *ctx, const struct flow_key *key,
			   struct backend_set *set, __u32 attempt, struct flow *flow)
{
	if (!key || !set || !flow)
		return COUNT_DROP_BACKEND_STALE;
	const struct backend *backend = select_backend(set, key, attempt);

	if (!backend)
		return COUNT_DROP_BACKEND_STALE;
	flow->flags = 0;
	flow->saddr = key->saddr;
	flow->daddr = backend->addr;
	flow->sport = key->sport;
	flow->dport = backend->port;
	flow->frontend = backend->frontend;
	flow->backend = backend->id;
	flow->backend_generation = backend->generation;
	if (set->is_from_host) {
		if (!route_ifindex(ctx, &key->saddr, &flow->daddr))
			return COUNT_DROP_HOST_TO_ITSELF;
		flow->flags |= FLOW_FROM_HOST | FLOW_AT_EGRESS;
	} else if (!set->is_outside) {
		choose_hairpin_source(key, flow);
	} else if (!(backend->flags & BACKEND_LOCAL) && choose_snat_source(ctx, key, flow)) {
		return COUNT_DROP_SNAT_NO_ADDRESS;
	}
	fill_deltas(key, flow);
	return 0;
}

/* Enters our own half beside the reverse half. */
static __always_inline void enter_forward(const struct flow_key *key, struct flow *flow)
{
	/* EEXIST: the same first packet on another CPU; its entry is as good. */
	insert_half(&half_open, key, flow);
	if (flow->flags & FLOW_SNAT)
		count(COUNT_FLOW_SNAT);
	else if (flow->flags & FLOW_PORT_CHANGED)
		count(COUNT_FLOW_PORT_CHANGED);
	count(COUNT_FLOW_CREATED);
	count_frontend(flow->frontend, false);
}

/* Tries to enter a flow: both halves, the reverse half first. */
static __always_inline int enter_flow(const struct flow_key *key, struct flow *flow, __u32 now)
{
	int claim = claim_reply(key, flow, now);

	if (claim == CLAIM_OVER) {
		remove_owner(key, flow);
		claim = claim_reply(key, flow, now);
	}
	if (claim == CLAIM_ESTABLISHED)
		return rejoin_flow(key, flow, now) ? CLAIM_OURS : CLAIM_REFUSED;
	if (claim == CLAIM_OURS)
		enter_forward(key, flow);
	return claim;
}

/* Of which ports of the node's own the flow may have any. */
static __always_inline bool has_snat_port(const struct flow *flow)
{
	return flow->flags & (FLOW_SNAT | FLOW_FROM_HOST);
}

/* Tries to enter a flow under the source port of this number. */
__noinline int try_port(struct hook_ctx *ctx, const struct flow_key *key, struct flow *flow,
			__u32 number, __u32 now)
{
	if (!key || !flow)
		return CLAIM_REFUSED;
	flow->sport = has_snat_port(flow)
			      ? snat_port(number)
			      : bpf_htons(SOURCE_PORT_FIRST + number % SOURCE_PORT_COUNT);
	if (!(flow->flags & FLOW_SNAT))
		fill_port_delta(key, flow);
	if (has_snat_port(flow) && is_port_bound(ctx, key->proto, flow))
		return CLAIM_TAKEN;
	return enter_flow(key, flow, now);
}

/*
 * Enters a flow in place of one that is half open. The last port tried stands for all of them: in
 * a busy hour it is hardly ever a half-open flow's, under a flood nearly always one of the
 * flood's. A client that it hits is served by its next SYN.
 */
__noinline int push_out(const struct flow_key *key, struct flow *flow, __u32 now)
{
	if (!key || !flow)
		return CLAIM_REFUSED;
	remove_owner(key, flow);
	return enter_flow(key, flow, now);
}

/* Tries a few ports; not inlined, so that the verifier walks the two loops one after the other. */
__noinline int try_ports(struct hook_ctx *ctx, const struct flow_key *key, struct flow *flow,
			 __u32 number, __u32 now)
{
	int claim = CLAIM_REFUSED;

	if (!key || !flow)
		return claim;
	for (__u32 attempt = 0; attempt < PORT_ATTEMPTS; attempt++) {
		claim = try_port(ctx, key, flow, number + attempt * PORT_STRIDE, now);
		if (claim == CLAIM_OURS)
			return claim;
	}
	return claim == CLAIM_WAITING && has_snat_port(flow) ? push_out(key, flow, now) : claim;
}

/*
 * Enters a flow under another source port, when no backend is free for the client's own: one of
 * a few random ones for a client in the cluster, any of ours for the node itself.
 */
__noinline int change_port(struct hook_ctx *ctx, const struct flow_key *key, struct flow *flow,
			   __u32 now)
{
	if (!key || !flow)
		return CLAIM_REFUSED;
	__u32 number = bpf_get_prandom_u32(), round = 0;
	int claim;

	flow->flags |= FLOW_PORT_CHANGED;
	do {
		claim = try_ports(ctx, key, flow, number, now);
		number += PORT_ATTEMPTS * PORT_STRIDE;
	} while (claim != CLAIM_OURS && has_snat_port(flow) && ++round < SNAT_PORT_ROUNDS);
	return claim;
}

/* Why a flow could not be entered anywhere. */
static __always_inline int refusal(int claim, const struct flow *flow)
{
	if (claim != CLAIM_TAKEN && claim != CLAIM_WAITING)
		return COUNT_DROP_FLOW_INSERT;
	return flow->flags & FLOW_SNAT ? COUNT_DROP_SNAT_EXHAUSTED : COUNT_DROP_TUPLE_TAKEN;
}

/*
 * Chooses a backend whose reply tuple is free and enters both halves. Returns 0,
 * or the counter that says why not.
 */
__noinline int create_flow(struct hook_ctx *ctx, const struct flow_key *key,
			   struct backend_set *set, __u32 now)
{
	if (!key || !set)
		return COUNT_DROP_FLOW_INSERT;
	struct flow flow = {.last_seen = now};
	int claim = CLAIM_REFUSED, failed;

	for (__u32 attempt = 0; attempt < BACKEND_ATTEMPTS; attempt++) {
		failed = fill_choice(ctx, key, set, attempt, &flow);
		/* Replaced while we looked: see the set that is published now. */
		if (failed == COUNT_DROP_BACKEND_STALE && read_backend_set(set->frontend, set))
			failed = fill_choice(ctx, key, set, attempt, &flow);
		/* Nobody but its own stack leads from the node to itself: perhaps another backend.
		 */
		if (failed == COUNT_DROP_HOST_TO_ITSELF && attempt < BACKEND_ATTEMPTS - 1)
			continue;
		if (failed)
			return failed;
		/* The client's own port was looked for among sockets when it was chosen. */
		claim = flow.flags & FLOW_PORT_CHANGED && is_port_bound(ctx, key->proto, &flow)
				? CLAIM_TAKEN
				: enter_flow(key, &flow, now);
		/* A client with affinity gets another port rather than another backend. */
		if (claim == CLAIM_OURS || flow.flags & FLOW_SNAT || set->count == 1 ||
		    set->affinity_seconds)
			break;
	}
	if (claim != CLAIM_OURS)
		claim = change_port(ctx, key, &flow, now);
	if (claim != CLAIM_OURS)
		return refusal(claim, &flow);
	if (set->affinity_seconds)
		remember_slot(&key->saddr, set, &flow);
	return 0;
}

/*
 * Is the backend's half of this connection still there? The same choice leads to
 * it. Returns whether the flow is whole again.
 */
__noinline int recover_flow(struct hook_ctx *ctx, const struct flow_key *key,
			    struct backend_set *set, __u32 now)
{
	if (!key || !set)
		return 0;
	for (__u32 attempt = 0; attempt < BACKEND_ATTEMPTS; attempt++) {
		struct flow flow = {.last_seen = now};

		if (!fill_choice(ctx, key, set, attempt, &flow) && rejoin_flow(key, &flow, now))
			return 1;
	}
	return 0;
}

#endif
