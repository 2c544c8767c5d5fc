/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which backend serves a flow from now on, and under which tuple? */
#ifndef KUBE_SHUNT_CREATE_H
#define KUBE_SHUNT_CREATE_H

#include "claim.h"
#include "csum.h"
#include "select.h"

/* Other backends tried when a backend already has the tuple, then other source ports. */
#define BACKEND_ATTEMPTS  4
#define PORT_ATTEMPTS	  16
/* New source ports stay clear of listeners and of the NodePort range. */
#define SOURCE_PORT_FIRST 33000
#define SOURCE_PORT_COUNT 32000

/* A pod that gets itself would not answer its own address: its packets get one of ours. */
static __always_inline void choose_source(const struct flow_key *key, struct flow *flow)
{
	bool is_ipv4 = key->saddr.word[2] == bpf_htonl(0xffff) && !key->saddr.word[1];

	flow->saddr = key->saddr;
	if (!is_same_addr(&key->saddr, &flow->daddr))
		return;
	flow->flags |= FLOW_HAIRPIN;
	for (int i = 0; i < 4; i++)
		flow->saddr.word[i] = is_ipv4 ? hairpin_addr4.word[i] : hairpin_addr6.word[i];
}

/* The client's half of a flow to this backend. */
static __always_inline void fill_flow(const struct flow_key *key, const struct backend *backend,
				      struct flow *flow)
{
	__u32 before, after;

	flow->flags = 0;
	flow->daddr = backend->addr;
	choose_source(key, flow);
	flow->sport = key->sport;
	flow->dport = backend->port;
	flow->frontend = backend->frontend;
	flow->backend = backend->id;
	flow->backend_generation = backend->generation;
	before = csum_addr(&key->saddr) + csum_addr(&key->daddr);
	after = csum_addr(&flow->saddr) + csum_addr(&flow->daddr);
	flow->address_delta = csum_delta(before, after);
	before = (__u32)key->sport + key->dport;
	after = (__u32)flow->sport + flow->dport;
	flow->port_delta = csum_delta(before, after);
}

/*
 * The flow that this attempt leads to; false when the extent is not ours (any more).
 * Not inlined: the verifier would walk it again for each attempt.
 */
__noinline int fill_choice(const struct flow_key *key, struct backend_set *set, __u32 attempt,
			   struct flow *flow)
{
	if (!key || !set || !flow)
		return 0;
	const struct backend *backend = select_backend(set, key, attempt);

	if (!backend)
		return 0;
	fill_flow(key, backend, flow);
	return 1;
}

/* Enters our own half beside the reverse half. */
static __always_inline void enter_forward(const struct flow_key *key, struct flow *flow)
{
	/* EEXIST: the same first packet on another CPU; its entry is as good. */
	bpf_map_update_elem(&half_open, key, flow, BPF_NOEXIST);
	if (flow->flags & FLOW_PORT_CHANGED)
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

/* Enters a flow under another source port, when no backend is free for the client's own. */
__noinline int change_port(const struct flow_key *key, struct flow *flow, __u32 now)
{
	if (!key || !flow)
		return CLAIM_REFUSED;
	__u32 before = (__u32)key->sport + key->dport;
	int claim = CLAIM_REFUSED;

	flow->flags |= FLOW_PORT_CHANGED;
	for (int attempt = 0; attempt < PORT_ATTEMPTS; attempt++) {
		__u64 random = bpf_get_prandom_u32();

		flow->sport = bpf_htons(SOURCE_PORT_FIRST + (random * SOURCE_PORT_COUNT >> 32));
		flow->port_delta = csum_delta(before, (__u32)flow->sport + flow->dport);
		claim = enter_flow(key, flow, now);
		if (claim == CLAIM_OURS)
			break;
	}
	return claim;
}

/*
 * Chooses a backend whose reply tuple is free and enters both halves. Returns 0,
 * or the counter that says why not.
 */
__noinline int create_flow(const struct flow_key *key, struct backend_set *set, __u32 now)
{
	if (!key || !set)
		return COUNT_DROP_FLOW_INSERT;
	struct flow flow = {.last_seen = now};
	int claim = CLAIM_REFUSED;

	for (__u32 attempt = 0; attempt < BACKEND_ATTEMPTS; attempt++) {
		/* Replaced while we looked: see the set that is published now. */
		if (!fill_choice(key, set, attempt, &flow) &&
		    !(read_backend_set(set->frontend, set) &&
		      fill_choice(key, set, attempt, &flow)))
			return COUNT_DROP_BACKEND_STALE;
		claim = enter_flow(key, &flow, now);
		/* A client with affinity gets another port rather than another backend. */
		if (claim == CLAIM_OURS || set->count == 1 || set->affinity_seconds)
			break;
	}
	if (claim != CLAIM_OURS)
		claim = change_port(key, &flow, now);
	if (claim == CLAIM_OURS) {
		if (set->affinity_seconds)
			remember_slot(&key->saddr, set, &flow);
		return 0;
	}
	return claim == CLAIM_TAKEN ? COUNT_DROP_TUPLE_TAKEN : COUNT_DROP_FLOW_INSERT;
}

/*
 * Is the backend's half of this connection still there? The same choice leads to
 * it. Returns whether the flow is whole again.
 */
__noinline int recover_flow(const struct flow_key *key, struct backend_set *set, __u32 now)
{
	if (!key || !set)
		return 0;
	for (__u32 attempt = 0; attempt < BACKEND_ATTEMPTS; attempt++) {
		struct flow flow = {.last_seen = now};

		if (fill_choice(key, set, attempt, &flow) && rejoin_flow(key, &flow, now))
			return 1;
	}
	return 0;
}

#endif
