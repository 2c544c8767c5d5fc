/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What time is it, in the unit of flow lifetimes? */
#ifndef KUBE_SHUNT_CLOCK_H
#define KUBE_SHUNT_CLOCK_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"

static __always_inline __u32 now_ticks(void)
{
	return bpf_ktime_get_coarse_ns() >> TICK_SHIFT;
}

#endif
