/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One's-complement arithmetic (RFC 1071, RFC 1624). */
#ifndef KUBE_SHUNT_CSUM_H
#define KUBE_SHUNT_CSUM_H

#include <linux/types.h>
#include "abi.h"

/* What a UDP checksum of zero is sent as, for zero means that there is none. */
#define CSUM_MANGLED_0 0xffff

static __always_inline __u16 csum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* A folded sum of the 16-bit words of a 16-byte address. */
static __always_inline __u32 csum_addr(const struct addr *addr)
{
	__u64 sum = (__u64)addr->word[0] + addr->word[1] + addr->word[2] + addr->word[3];

	sum = (sum & 0xffffffff) + (sum >> 32);
	return csum_fold((sum & 0xffff) + (sum >> 16));
}

/* What to add to a sum over `before` to make it a sum over `after`, folded. */
static __always_inline __u16 csum_delta(__u32 before, __u32 after)
{
	return csum_fold(after + (0xffff & ~csum_fold(before)));
}

/* Zero has two forms in one's complement. */
static __always_inline bool is_zero_delta(__u16 delta)
{
	return delta == 0 || delta == 0xffff;
}

/* The checksum field after bytes it covers changed by `delta`. */
static __always_inline __u16 csum_apply(__u16 check, __u16 delta)
{
	return ~csum_fold((__u32)(__u16)~check + delta);
}

#endif
