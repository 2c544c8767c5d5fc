/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which frontend is a packet for, and which backend set has it now? */
#ifndef KUBE_SHUNT_FRONTEND_H
#define KUBE_SHUNT_FRONTEND_H

#include "maps.h"
#include "packet.h"

enum frontend_match {
	FRONTEND_NONE = 0, /* the destination is no VIP of ours */
	FRONTEND_FOUND,
	FRONTEND_UNUSED, /* a VIP of ours, but nothing is offered at this port */
};

/* frontend_word.commit unpacked, as far as this frontend may use it. */
struct backend_set {
	__u32 frontend;
	__u32 base;
	__u16 count; /* slots to choose from */
	__u16 total; /* slots there are; more than count under a local-only policy */
	__u32 affinity_seconds; /* 0: none */
	bool is_outside; /* the set for clients outside the cluster */
	bool is_from_host; /* the client is a process of this node */
	bool has_ranges; /* only for clients in source_ranges */
	bool is_maglev; /* all nodes are to choose alike */
	__u32 chosen; /* slot of the last choice */
};

/* Repeated by mixKey in src/datapath/abi.ts. */
static __always_inline __u32 mix_frontend_key(const struct frontend_key *key)
{
	const __u32 *word = (const __u32 *)key;
	__u32 mixed = 0;

	for (int i = 0; i < 5; i++) {
		mixed = (mixed ^ word[i]) * 0x9e3779b1;
		mixed ^= mixed >> 15;
	}
	return mixed;
}

/* A recycled element answers for another key; its echo tells. */
static __always_inline bool find_ref(const struct frontend_key *key, __u32 *index)
{
	struct frontend_ref *ref = bpf_map_lookup_elem(&frontends, key);

	if (!ref)
		return false;
	*index = ref->index;
	return ref->echo == mix_frontend_key(key);
}

static __always_inline bool is_vip(const struct addr *addr)
{
	struct frontend_key key = {.addr = *addr};
	__u32 index;

	return find_ref(&key, &index);
}

static __always_inline enum frontend_match lookup_frontend(const struct flow_key *tuple,
							   __u32 *index)
{
	struct frontend_key key = {
		.addr = tuple->daddr, .port = tuple->dport, .proto = tuple->proto};

	if (find_ref(&key, index))
		return FRONTEND_FOUND;
	return is_vip(&tuple->daddr) ? FRONTEND_UNUSED : FRONTEND_NONE;
}

/* May it be a NodePort? Node addresses have other ports of their own. */
static __always_inline bool is_node_port(__be16 port)
{
	__u32 number = bpf_ntohs(port);

	return number >= node_port_first && number <= node_port_last;
}

/* Reads the published set (that for clients of set->is_outside) with one 8-byte load, so it is
 * never a mixture of two. */
static __always_inline bool read_backend_set(__u32 index, struct backend_set *set)
{
	struct frontend_word *word = bpf_map_lookup_elem(&frontend_words, &index);
	__u64 commit, external, local_only;

	if (!word)
		return false;
	commit = *(volatile __u64 *)&word->commit;
	external = *(volatile __u64 *)&word->external;
	if (set->is_outside)
		commit = external;
	set->frontend = index;
	set->base = commit & 0xffffff;
	set->total = (commit >> 24) & 0xffff;
	set->affinity_seconds = word->meta & FRONTEND_AFFINITY ? (__u32)(word->meta >> 16) : 0;
	set->has_ranges = word->meta & FRONTEND_SOURCE_RANGES;
	set->is_maglev = word->meta & FRONTEND_MAGLEV;
	local_only = set->is_outside ? FRONTEND_EXTERNAL_LOCAL_ONLY : FRONTEND_LOCAL_ONLY;
	set->count = word->meta & local_only ? (commit >> 40) & 0xffff : set->total;
	return true;
}

/* May this client use the frontend? */
static __always_inline bool is_admitted(const struct packet *packet, const struct backend_set *set)
{
	struct source_range_key key = {
		.prefixlen = SOURCE_RANGE_FRONTEND_BITS + 8 * sizeof(struct addr),
		.frontend = set->frontend,
		.addr = packet->tuple.saddr,
	};

	return !set->has_ranges || bpf_map_lookup_elem(&source_ranges, &key);
}

static __always_inline void count_frontend(__u32 index, bool is_reject)
{
	struct frontend_stats *stats = bpf_map_lookup_elem(&frontend_stats, &index);

	if (!stats)
		return;
	if (is_reject)
		stats->rejects++;
	else
		stats->flows++;
}

#endif
