/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What to ask the kernel's routes. */
#ifndef KUBE_SHUNT_ROUTE_H
#define KUBE_SHUNT_ROUTE_H

#include "packet.h"

static __always_inline void ask_route(struct bpf_fib_lookup *route, const struct addr *saddr,
				      const struct addr *daddr)
{
	if (is_mapped_ipv4(daddr)) {
		route->family = AF_INET;
		route->ipv4_src = saddr->word[3];
		route->ipv4_dst = daddr->word[3];
	} else {
		route->family = AF_INET6;
		__builtin_memcpy(route->ipv6_src, saddr, sizeof(*saddr));
		__builtin_memcpy(route->ipv6_dst, daddr, sizeof(*daddr));
	}
}

#endif
