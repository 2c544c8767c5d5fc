/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which packets are only the outside of others? */
#ifndef KUBE_SHUNT_TUNNEL_H
#define KUBE_SHUNT_TUNNEL_H

#include "maps.h"
#include "packet.h"

/* The outside of a tunnel's packet: what is inside comes by again, on the tunnel's device. */
static __always_inline bool is_tunnel(const struct packet *packet)
{
	__u32 zero = 0;
	struct network *known;

	if (packet->tuple.proto != IPPROTO_UDP)
		return false;
	known = bpf_map_lookup_elem(&network, &zero);
	if (!known)
		return false;
	for (int i = 0; i < TUNNEL_PORTS_MAX; i++)
		if (known->tunnel_ports[i] && known->tunnel_ports[i] == packet->tuple.dport)
			return true;
	return false;
}

#endif
