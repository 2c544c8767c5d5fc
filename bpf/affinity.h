/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Does this client already have a backend at this frontend? */
#ifndef KUBE_SHUNT_AFFINITY_H
#define KUBE_SHUNT_AFFINITY_H

#include "frontend.h"

#define NS_PER_SECOND	1000000000ull
/* Slots searched when a set has changed since; see docs/limits.md. */
#define AFFINITY_SEARCH 256
#define NO_SLOT		(-1)

static __always_inline bool is_slot_of(const struct backend_set *set, __u32 slot,
				       const struct affinity *known)
{
	__u32 at = set->base + slot;
	const struct backend *backend = bpf_map_lookup_elem(&backends, &at);

	return backend && backend->frontend == set->frontend && backend->id == known->backend &&
	       backend->generation == known->generation;
}

/*
 * The slot of the backend that this client had, while it is in the set and the
 * time is not over; else NO_SLOT. Not inlined: the search is its own business
 * with the verifier.
 */
__noinline int recall_slot(const struct addr *client, const struct backend_set *set)
{
	if (!client || !set)
		return NO_SLOT;
	struct affinity_key key = {.client = *client, .frontend = set->frontend};
	struct affinity *entry = bpf_map_lookup_elem(&affinity, &key);
	struct affinity known;

	if (!entry)
		return NO_SLOT;
	known = *entry;
	if (bpf_ktime_get_coarse_ns() - known.last_used > set->affinity_seconds * NS_PER_SECOND)
		return NO_SLOT;
	if (known.slot < set->count && is_slot_of(set, known.slot, &known))
		return known.slot;
	for (__u32 slot = 0; slot < AFFINITY_SEARCH; slot++) {
		if (slot >= set->count)
			break;
		if (is_slot_of(set, slot, &known))
			return slot;
	}
	return NO_SLOT;
}

/* A new flow of the client went to the set's chosen slot: it stays there from now on. */
__noinline int remember_slot(const struct addr *client, const struct backend_set *set,
			     const struct flow *flow)
{
	if (!client || !set || !flow)
		return -1;
	struct affinity_key key = {.client = *client, .frontend = set->frontend};
	struct affinity value = {.last_used = bpf_ktime_get_coarse_ns(),
				 .backend = flow->backend,
				 .generation = flow->backend_generation,
				 .slot = set->chosen};

	return bpf_map_update_elem(&affinity, &key, &value, BPF_ANY);
}

#endif
