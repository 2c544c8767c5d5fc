/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which backend gets a new flow? A hash of the tuple, so that a repeated first
 * packet makes the same choice even if its flow was evicted in between, scaled
 * to the set without a modulo.
 */
#ifndef KUBE_SHUNT_SELECT_H
#define KUBE_SHUNT_SELECT_H

#include "affinity.h"
#include "config.h"
#include "frontend.h"

/* Of choices in which all nodes are to agree, which they do not in hash_seed. */
#define MAGLEV_SEED 0x6d61676c

/* Not inlined: the verifier would walk it again for each attempt. */
__noinline __u32 hash_from(const struct flow_key *tuple, __u32 hash)
{
	if (!tuple)
		return 0;
	const __u32 *word = (const __u32 *)tuple;

	for (int i = 0; i < 10; i++) {
		hash ^= word[i] * 0xcc9e2d51;
		hash = (hash << 13) | (hash >> 19);
		hash = hash * 5 + 0xe6546b64;
	}
	hash ^= hash >> 16;
	hash *= 0x85ebca6b;
	hash ^= hash >> 13;
	hash *= 0xc2b2ae35;
	hash ^= hash >> 16;
	return hash;
}

static __always_inline __u32 hash_tuple(const struct flow_key *tuple, __u32 attempt)
{
	return hash_from(tuple, hash_seed + attempt * 0x9e3779b9);
}

/* A place in the set; the same on all nodes for Maglev's tables. */
static __always_inline __u32 choose_slot(const struct backend_set *set,
					 const struct flow_key *tuple, __u32 attempt)
{
	__u32 seed = set->is_maglev ? MAGLEV_SEED : hash_seed;

	return ((__u64)hash_from(tuple, seed + attempt * 0x9e3779b9) * set->count) >> 32;
}

static __always_inline bool is_backend_current(__u32 id, __u32 generation)
{
	struct backend_state *state = bpf_map_lookup_elem(&backend_states, &id);

	return state && state->alive && state->generation == generation;
}

/*
 * The chosen slot, or NULL. The extent may have been replaced since `set` was read
 * (it stays unchanged for 2 s); a slot that names another frontend was reused
 * after longer than that, and the caller reads the set again.
 */
static __always_inline const struct backend *
select_backend(struct backend_set *set, const struct flow_key *tuple, __u32 attempt)
{
	int recalled =
		set->affinity_seconds && !attempt ? recall_slot(&tuple->saddr, set) : NO_SLOT;
	const struct backend *backend;
	__u32 slot;

	set->chosen = recalled != NO_SLOT ? (__u32)recalled : choose_slot(set, tuple, attempt);
	slot = set->base + set->chosen;
	backend = bpf_map_lookup_elem(&backends, &slot);
	return set->count && backend && backend->frontend == set->frontend ? backend : NULL;
}

#endif
