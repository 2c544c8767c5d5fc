/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet without a flow: is it for a frontend, and if so, who serves it from now on? */
#ifndef KUBE_SHUNT_CREATE_H
#define KUBE_SHUNT_CREATE_H

#include "csum.h"
#include "flow.h"
#include "frontend.h"

/* Other backends tried when a backend already has the tuple, then other source ports. */
#define BACKEND_ATTEMPTS 4
#define CREATE_ATTEMPTS 20
/* New source ports stay clear of listeners and of the NodePort range. */
#define SOURCE_PORT_FIRST 33000
#define SOURCE_PORT_COUNT 32000

enum claim {
	CLAIM_OURS = 0,	/* the reverse half is in the table and undoes our tuple */
	CLAIM_TAKEN,	/* a living flow has this reply tuple */
	CLAIM_REFUSED,	/* the table would not take it */
};

static __always_inline void fill_flow(const struct flow_key *key, const struct backend *backend,
				      __be16 sport, struct flow *flow)
{
	__u32 before, after;

	flow->saddr = key->saddr;
	if (is_same_addr(&key->saddr, &backend->addr)) {
		/* A pod that gets itself would not answer its own address. */
		flow->flags |= FLOW_HAIRPIN;
		for (int i = 0; i < 4; i++)
			flow->saddr.word[i] = key->saddr.word[2] == bpf_htonl(0xffff) &&
							      !key->saddr.word[1] ?
						      hairpin_addr4.word[i] :
						      hairpin_addr6.word[i];
	}
	flow->daddr = backend->addr;
	flow->sport = sport;
	flow->dport = backend->port;
	flow->frontend = backend->frontend;
	flow->backend = backend->id;
	flow->backend_generation = backend->generation;
	if (sport != key->sport)
		flow->flags |= FLOW_PORT_CHANGED;
	before = csum_addr(&key->saddr) + csum_addr(&key->daddr);
	after = csum_addr(&flow->saddr) + csum_addr(&flow->daddr);
	flow->address_delta = csum_delta(before, after);
	before = (__u32)key->sport + key->dport;
	after = (__u32)flow->sport + flow->dport;
	flow->port_delta = csum_delta(before, after);
}

/* Is somebody else using this reply tuple? A dead owner is removed. */
static __always_inline enum claim inspect_owner(const struct flow_key *reply_key,
						struct flow *owner, const struct flow_key *key,
						__u32 now)
{
	if (is_twin(owner, key))
		return CLAIM_OURS;
	if (!is_expired(reply_key, owner, now) &&
	    !(key->proto == IPPROTO_TCP && owner->flags & FLOW_RESET) &&
	    (owner->flags & FLOW_FIN) != FLOW_FIN)
		return CLAIM_TAKEN;
	/* Its other half is as dead, and is removed when a packet or the collector meets it. */
	bpf_map_delete_elem(&flows, reply_key);
	bpf_map_delete_elem(&half_open, reply_key);
	return CLAIM_REFUSED;
}

/*
 * Puts the reverse half in first: whoever has the reply tuple owns the
 * translation. Looks in both tables, since an owner may be established.
 */
__noinline int claim_reply(const struct flow_key *key, const struct flow *flow, __u32 now)
{
	if (!key || !flow)
		return -1;
	struct flow_key reply_key = {};
	struct flow reply, *owner;
	enum claim claim;

	twin_key(key, flow, &reply_key);
	owner = bpf_map_lookup_elem(&flows, &reply_key);
	if (!owner)
		owner = bpf_map_lookup_elem(&half_open, &reply_key);
	if (owner) {
		claim = inspect_owner(&reply_key, owner, key, now);
		if (claim != CLAIM_REFUSED)
			return claim;
	}
	twin_flow(key, flow, &reply);
	if (!bpf_map_update_elem(&half_open, &reply_key, &reply, BPF_NOEXIST))
		return CLAIM_OURS;
	/* Another CPU was first: see who it was. */
	owner = bpf_map_lookup_elem(&half_open, &reply_key);
	return owner && is_twin(owner, key) ? CLAIM_OURS : CLAIM_REFUSED;
}

/*
 * Chooses a backend whose reply tuple is free and enters both halves, reverse
 * first. Returns 0, or the counter that says why not.
 */
__noinline int create_flow(const struct flow_key *key, struct backend_set *set, __u32 now)
{
	if (!key || !set)
		return -1;
	int claim = CLAIM_REFUSED;

	for (__u32 attempt = 0; attempt < CREATE_ATTEMPTS; attempt++) {
		struct flow flow = { .last_seen = now };
		const struct backend *backend;
		__be16 sport = key->sport;
		bool is_port_changed = set->count == 1 ? attempt > 0 : attempt >= BACKEND_ATTEMPTS;

		backend = select_backend(set, key, is_port_changed ? 0 : attempt);
		if (!backend) {
			if (!read_backend_set(set->frontend, set) || attempt > 2)
				return COUNT_DROP_BACKEND_STALE;
			continue;
		}
		if (is_port_changed)
			sport = bpf_htons(SOURCE_PORT_FIRST +
					  (((__u64)bpf_get_prandom_u32() * SOURCE_PORT_COUNT) >> 32));
		fill_flow(key, backend, sport, &flow);
		claim = claim_reply(key, &flow, now);
		if (claim != CLAIM_OURS)
			continue;
		if (is_port_changed)
			count(COUNT_FLOW_PORT_CHANGED);
		/* EEXIST: the same first packet on another CPU; its entry is as good. */
		bpf_map_update_elem(&half_open, key, &flow, BPF_NOEXIST);
		count(COUNT_FLOW_CREATED);
		count_frontend(set->frontend, false);
		return 0;
	}
	return claim == CLAIM_TAKEN ? COUNT_DROP_TUPLE_TAKEN : COUNT_DROP_FLOW_INSERT;
}

/*
 * The client's half of a connection is lost but the backend's is not: the same
 * choice leads to it. Returns whether the flow is whole again.
 */
__noinline int recover_flow(const struct flow_key *key, struct backend_set *set, __u32 now)
{
	if (!key || !set)
		return 0;
	for (__u32 attempt = 0; attempt < BACKEND_ATTEMPTS; attempt++) {
		struct flow_key reply_key = {};
		struct flow flow = { .last_seen = now }, *reply;
		const struct backend *backend;

		backend = select_backend(set, key, attempt);
		if (!backend)
			continue;
		fill_flow(key, backend, key->sport, &flow);
		twin_key(key, &flow, &reply_key);
		reply = bpf_map_lookup_elem(&flows, &reply_key);
		if (!reply || !is_twin(reply, key))
			continue;
		flow.flags |= reply->flags & (FLOW_REPLIED | FLOW_CLOSING);
		if (bpf_map_update_elem(&flows, key, &flow, BPF_NOEXIST))
			return 0;
		count(COUNT_FLOW_TWIN_REBUILT);
		return 1;
	}
	return 0;
}

static __always_inline bool is_midflow_passed(void)
{
	__u32 zero = 0;
	struct settings *config = bpf_map_lookup_elem(&settings, &zero);

	return config && bpf_ktime_get_coarse_ns() < config->midflow_pass_until;
}

/*
 * A TCP packet of a connection we have no flow for. Never a random backend: first
 * the half that may be left, then (while connections of a former proxy may be
 * alive) the host stack, and last the choice its first packet led to.
 */
static __always_inline int resume_flow(const struct packet *packet, struct backend_set *set,
				       __u32 now)
{
	bool is_offered;

	if (!is_vip(&packet->tuple.daddr))
		return VERDICT_PASS;
	if (bpf_map_lookup_elem(&half_open, &packet->tuple))
		return VERDICT_TRANSLATED;
	is_offered = lookup_frontend(&packet->tuple, &set->frontend) == FRONTEND_FOUND &&
		     read_backend_set(set->frontend, set) && set->count > 0;
	if (is_offered && recover_flow(&packet->tuple, set, now))
		return VERDICT_TRANSLATED;
	if (is_midflow_passed()) {
		count(COUNT_MIDFLOW_PASSED);
		return VERDICT_PASS;
	}
	if (packet->tcp_flags & TCP_RST)
		return drop(COUNT_DROP_MIDFLOW_RESET);
	if (!is_offered)
		return VERDICT_REJECT_MIDFLOW;
	count(COUNT_FLOW_CHOICE_REPEATED);
	return VERDICT_CREATE;
}

/*
 * Decides about a packet without a flow. VERDICT_CREATE: `set` is to serve it;
 * VERDICT_TRANSLATED: its flow was recovered. A function of its own, because the
 * established path must not pay for its registers and stack.
 */
__noinline int open_flow(const struct packet *packet, struct backend_set *set, __u32 now)
{
	if (!packet || !set)
		return VERDICT_PASS;
	if (is_tcp(packet) && !is_syn(packet))
		return resume_flow(packet, set, now);
	switch (lookup_frontend(&packet->tuple, &set->frontend)) {
	case FRONTEND_NONE:
		return VERDICT_PASS;
	case FRONTEND_UNUSED:
		return VERDICT_REJECT_UNUSED_PORT;
	case FRONTEND_FOUND:
		break;
	}
	/* ---- the ownership line: from here on the packet is ours, and a bad one is dropped */
	if (!read_backend_set(set->frontend, set))
		return drop(COUNT_DROP_BACKEND_STALE);
	if (set->count == 0) {
		count_frontend(set->frontend, true);
		return VERDICT_REJECT_NO_ENDPOINT;
	}
	if (set->flags & FRONTEND_LOCAL_ONLY && set->local == 0)
		return drop(COUNT_DROP_NO_LOCAL_ENDPOINT);
	return VERDICT_CREATE;
}

#endif
