/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The collector of expired flows. The agent runs it with BPF_PROG_TEST_RUN; it
 * sweeps in the kernel, where a sweep costs tens of nanoseconds an entry and sees
 * each entry as it is. Correctness never waits for it: packets notice expiry
 * themselves. Apart from service_tc.bpf.c because it has a need of its own
 * (bpf_for_each_map_elem, Linux 5.13).
 */
#include "flow.h"

struct bpf_map;

struct sweep {
	struct collect_report report;
	__u32 now;
	bool is_half_open;
};

static long visit_flow(void *map, const struct flow_key *key, struct flow *flow,
		       struct sweep *sweep)
{
	bool is_forward = !(flow->flags & (FLOW_REVERSE | FLOW_INNER));

	sweep->report.entries++;
	if (is_expired(key, flow, sweep->now)) {
		if (!bpf_map_delete_elem(map, key))
			sweep->report.expired++;
		return 0;
	}
	if (sweep->is_half_open)
		sweep->report.half_open += is_forward;
	else
		sweep->report.flows += is_forward;
	return 0;
}

static long visit_established(struct bpf_map *map, const void *key, void *value, void *sweep)
{
	return visit_flow(&flows, key, value, sweep);
}

static long visit_half_open(struct bpf_map *map, const void *key, void *value, void *sweep)
{
	return visit_flow(&half_open, key, value, sweep);
}

/* Writes struct collect_report over the packet it is run with. */
SEC("tc")
int shunt_collect(struct __sk_buff *skb)
{
	struct sweep sweep = {.now = now_ticks()};

	bpf_for_each_map_elem(&flows, visit_established, &sweep, 0);
	sweep.is_half_open = true;
	bpf_for_each_map_elem(&half_open, visit_half_open, &sweep, 0);
	return bpf_skb_store_bytes(skb, 0, &sweep.report, sizeof(sweep.report), 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
