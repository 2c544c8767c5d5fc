/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every map. Sizes here are the smallest sensible; the loader sets the real
 * ones before loading. All are pinned by name under <bpffs>/v1/maps.
 */
#ifndef KUBE_SHUNT_MAPS_H
#define KUBE_SHUNT_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"

/*
 * Which frontend is this address, port and protocol? Written by the agent when a
 * frontend appears or goes, read for new flows only. Preallocated. Full: the
 * newest frontend is not programmed and is reported.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct frontend_key);
	__type(value, struct frontend_ref);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} frontends SEC(".maps");

/*
 * Where is a frontend's backend set now? Written by the agent with one 8-byte
 * store per change (mapped memory), read for new flows. As long as frontends.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct frontend_word);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} frontend_words SEC(".maps");

/* What is a frontend called? Written by the agent, read by tools only. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct frontend_name);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} frontend_names SEC(".maps");

/*
 * Which backends are in an extent? The agent writes an extent before publishing
 * it and leaves it unchanged until 2 s after the last publication that named it.
 * Full: the Service keeps its old set and is reported.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct backend);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} backends SEC(".maps");

/* Does a backend still serve? Written by the agent, read for each UDP packet and TCP SYN. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct backend_state);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} backend_states SEC(".maps");

/*
 * How are packets of this established flow rewritten? Written by packets, swept
 * by the collector. Full: the least recently used entry goes; its twin rebuilds it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct flow_key);
	__type(value, struct flow);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} flows SEC(".maps");

/*
 * The same for flows without a reply yet, and for handshakes that the client has
 * not finished, so that a flood of first packets evicts only its own kind. Full: the oldest goes; a
 * repeated first packet makes the same choice again.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct flow_key);
	__type(value, struct flow);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} half_open SEC(".maps");

/*
 * Which backend did this client have at this frontend? Written and read by new
 * flows of frontends with session affinity. Full: the client that has been
 * away longest gets a backend as if it were new.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct affinity_key);
	__type(value, struct affinity);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} affinity SEC(".maps");

/*
 * Which ports do later fragments of this packet belong to? Written by first
 * fragments of translated flows. Full: the oldest packet's later fragments drop.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct fragment_key);
	__type(value, struct fragment);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fragments SEC(".maps");

/* May this client be sent another reject? Full: the least recent client starts afresh. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct addr);
	__type(value, struct reject_bucket);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} reject_buckets SEC(".maps");

/*
 * Which bridge is a pod device a port of? Written by the agent, read for new
 * flows. Full: such flows are routed instead of bridged.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct device);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} devices SEC(".maps");

/*
 * What is this node called at an uplink? Written by the agent, read for new flows
 * to other nodes. Full: flows through further devices use entry 0.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct uplink);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} uplinks SEC(".maps");

/*
 * May this client use the frontend? Written by the agent, read for new flows of
 * frontends with FRONTEND_SOURCE_RANGES. Full: the range lets nobody in, and its
 * Service is reported.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct source_range_key);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} source_ranges SEC(".maps");

/* Where are tunnels and cluster IPs? Written by the agent, read for packets without a flow. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct network);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} network SEC(".maps");

/* Values that must survive a restart or change without a reload. Read on misses only. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} settings SEC(".maps");

/* How often did each thing happen? Written by packets, read at scrape time. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTER_MAX);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} counters SEC(".maps");

/* What happened at each frontend? Written by packets, read at scrape time. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct frontend_stats);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} frontend_stats SEC(".maps");

#endif
