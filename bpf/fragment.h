/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which ports do the later fragments of a packet have? */
#ifndef KUBE_SHUNT_FRAGMENT_H
#define KUBE_SHUNT_FRAGMENT_H

#include "clock.h"
#include "maps.h"
#include "packet.h"

/* Linux gives up reassembly after 30 s (IPv4) or 60 s; an id may be used again after that. */
#define FRAGMENT_TICKS 28

static __always_inline void fragment_key(const struct packet *packet, struct fragment_key *key)
{
	key->saddr = packet->tuple.saddr;
	key->daddr = packet->tuple.daddr;
	key->id = packet->fragment_id;
	key->proto = packet->tuple.proto;
}

/* Called for the first fragment of a flow's packet. */
__noinline int remember_ports(const struct packet *packet, __u32 now)
{
	if (!packet)
		return -1;
	struct fragment_key key = {};
	struct fragment value = {
		.sport = packet->tuple.sport, .dport = packet->tuple.dport, .last_seen = now};

	fragment_key(packet, &key);
	return bpf_map_update_elem(&fragments, &key, &value, BPF_ANY);
}

/* Completes the tuple of a later fragment; returns 0 if its first was seen. */
__noinline int recall_ports(struct packet *packet, __u32 now)
{
	if (!packet)
		return -1;
	struct fragment_key key = {};
	struct fragment *value;

	fragment_key(packet, &key);
	value = bpf_map_lookup_elem(&fragments, &key);
	/* Another CPU may have written a later tick than ours. */
	if (!value || (__s32)(now - value->last_seen) > FRAGMENT_TICKS)
		return -1;
	packet->tuple.sport = value->sport;
	packet->tuple.dport = value->dport;
	return 0;
}

#endif
