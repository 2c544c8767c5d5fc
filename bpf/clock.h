/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What time is it, in the unit of flow lifetimes? */
#ifndef KUBE_SHUNT_CLOCK_H
#define KUBE_SHUNT_CLOCK_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"

/* The jiffy in which the clock was last read, and above it in bits 32-63 the tick it told. */
static __u64 last_reading;

/*
 * Reading the clock costs as much as a lookup, comparing jiffies (which the
 * verifier inlines) next to nothing; so it is read once a jiffy by all CPUs
 * together. One word, so that no CPU sees half of a reading.
 */
static __always_inline __u32 now_ticks(void)
{
	__u64 reading = *(volatile __u64 *)&last_reading;
	__u32 jiffy = bpf_jiffies64();

	if ((__u32)reading == jiffy)
		return reading >> 32;
	reading = bpf_ktime_get_coarse_ns() >> TICK_SHIFT << 32 | jiffy;
	*(volatile __u64 *)&last_reading = reading;
	return reading >> 32;
}

#endif
