/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the packet programs and the control plane must agree on: every struct,
 * flag and limit that crosses the border, and nothing else. The mirror is
 * src/datapath/abi.ts; test/abi compares the two through BTF.
 *
 * Addresses are always 16 bytes, IPv4 as ::ffff:a.b.c.d (docs/adr/0003).
 * Times are "ticks" of 2^30 ns (about 1.07 s) of CLOCK_MONOTONIC.
 */
#ifndef KUBE_SHUNT_ABI_H
#define KUBE_SHUNT_ABI_H

#include <linux/types.h>
#include "counters.h"

#define TICK_SHIFT 30

struct addr {
	__be32 word[4];
};
_Static_assert(sizeof(struct addr) == 16, "addr");

/* ---- frontends: what clients dial ------------------------------------- */

/* port 0, proto 0: the address is a VIP of ours; ports without a key of their own are unused. */
struct frontend_key {
	struct addr addr;
	__be16 port;
	__u8 proto;
	__u8 pad;
};
_Static_assert(sizeof(struct frontend_key) == 20, "frontend_key");

#define FRONTEND_UNUSED_PORT 0xffffffffu
/* In a flow that no frontend has made. */
#define FRONTEND_NOBODY	     0xffffffffu

/*
 * echo repeats a mix of the key, because a deleted hash element may be recycled
 * under a reader; a reader that sees another echo treats the lookup as a miss.
 */
struct frontend_ref {
	__u32 index; /* into frontend_words and frontend_names, or FRONTEND_UNUSED_PORT */
	__u32 echo;
};
_Static_assert(sizeof(struct frontend_ref) == 8, "frontend_ref");

/*
 * commit is one aligned 64-bit word, stored at once: it publishes a backend set.
 *   bits  0-23 base        first slot of the set in `backends`
 *   bits 24-39 count       slots in the set
 *   bits 40-55 local       the first `local` slots are on this node
 *   bits 56-63 generation  changes with each publication
 * external is the same for clients outside the cluster; it begins before or at
 * commit's base, and both end at the same slot.
 * meta: bits 0-15 flags (enum frontend_flag), bits 16-47 affinity timeout in seconds.
 */
struct frontend_word {
	__u64 commit;
	__u64 external;
	__u64 meta;
	__u64 reserved;
};
_Static_assert(sizeof(struct frontend_word) == 32, "frontend_word");

enum frontend_flag {
	FRONTEND_LOCAL_ONLY = 1 << 0, /* use only the local slots of commit; none: drop */
	FRONTEND_AFFINITY = 1 << 1,
	FRONTEND_EXTERNAL_LOCAL_ONLY = 1 << 2, /* the same for external */
	FRONTEND_SOURCE_RANGES = 1 << 3, /* only for clients in source_ranges */
	FRONTEND_MAGLEV = 1 << 4, /* slots are tables, and all nodes hash alike (docs/adr/0009) */
};

/* "namespace/name:portName", NUL-padded, so that tools can name a frontend without the agent. */
struct frontend_name {
	__u8 kind; /* enum frontend_kind */
	char text[191];
};
_Static_assert(sizeof(struct frontend_name) == 192, "frontend_name");

enum frontend_kind {
	KIND_NONE = 0,
	KIND_CLUSTER_IP = 1,
	KIND_NODE_PORT = 2,
	KIND_LOAD_BALANCER = 3,
	KIND_EXTERNAL_IP = 4,
};

/*
 * A range of clients that may use a frontend. An LPM key: `prefixlen` counts the
 * bits of `frontend` (always whole) and those of the range.
 */
struct source_range_key {
	__u32 prefixlen;
	__u32 frontend;
	struct addr addr;
};
_Static_assert(sizeof(struct source_range_key) == 24, "source_range_key");

#define SOURCE_RANGE_FRONTEND_BITS 32

/* ---- backends ----------------------------------------------------------- */

enum backend_flag {
	BACKEND_LOCAL = 1 << 0,
};

/* A slot of an extent; `frontend` is checked by the reader against the index it came from. */
struct backend {
	struct addr addr;
	__be16 port;
	__u16 flags; /* enum backend_flag */
	__u32 frontend;
	__u32 id;
	__u32 generation; /* of backend_state[id] when the slot was written */
};
_Static_assert(sizeof(struct backend) == 32, "backend");

/* By stable backend id. A UDP flow whose generation differs, or whose backend is not alive, moves.
 */
struct backend_state {
	__u32 generation;
	__u32 alive;
};
_Static_assert(sizeof(struct backend_state) == 8, "backend_state");

/* ---- flows -------------------------------------------------------------- */

struct flow_key {
	struct addr saddr;
	struct addr daddr;
	__be16 sport;
	__be16 dport;
	__u8 proto;
	__u8 pad[3];
};
_Static_assert(sizeof(struct flow_key) == 40, "flow_key");

enum flow_flag {
	FLOW_REVERSE = 1 << 0, /* backend -> client half; clear: client -> VIP half */
	FLOW_AT_EGRESS = 1 << 1, /* applied at the egress hook; clear: at ingress */
	FLOW_HAIRPIN = 1 << 2, /* both halves at ingress, sent back out of the same device */
	FLOW_BRIDGED = 1 << 3, /* write dmac: client and backend share a bridge */
	FLOW_REPLIED = 1 << 4, /* a reply was seen (set on both halves) */
	FLOW_FIN_FORWARD = 1 << 5, /* the client sent FIN (set on both halves) */
	FLOW_FIN_REVERSE = 1 << 6, /* the backend sent FIN (set on both halves) */
	FLOW_RESET_FORWARD = 1 << 7, /* the client sent RST (set on both halves) */
	FLOW_RESET_REVERSE = 1 << 8, /* the backend sent RST (set on both halves) */
	FLOW_PORT_CHANGED = 1 << 9, /* the source port was rewritten: another flow had the tuple */
	FLOW_SNAT = 1 << 10, /* the backend sees an address of this node as its client */
	FLOW_INNER = 1 << 11, /* what the uplink's egress adds to a half with FLOW_SNAT */
	FLOW_FROM_HOST =
		1 << 12, /* of a process of this node: forward at egress, reverse at ingress */
	FLOW_OWN = 1 << 13, /* the node's own exchange from a NodePort's port: left alone */
	FLOW_DIRECT = 1 << 14, /* XDP sends it back out of the uplink it came by, to dmac */
	FLOW_ANSWERED = 1 << 15, /* half open: the backend answered the handshake (both halves) */
};

/*
 * One half of a flow: the complete rewrite of the packets that match its key.
 * With K the key and N the tuple here, the twin's key is swap(N) and the twin's
 * tuple is swap(K), so either half can rebuild the other.
 *
 * With FLOW_SNAT the two halves (client -> VIP and backend -> node) are applied in
 * two steps, so that the host stack between them sees client <-> backend: the
 * ingress hook writes all but the client's side, and a half with FLOW_INNER, made
 * from them, the rest at the uplink's egress. Their port_delta is an echo of the key
 * instead: an element that became another flow's answers for another key.
 */
struct flow {
	struct addr saddr;
	struct addr daddr;
	__be16 sport;
	__be16 dport;
	__u32 last_seen; /* ticks; written at most once a tick */
	__u32 frontend;
	__u32 backend;
	__u32 backend_generation;
	__u16 address_delta; /* folded one's-complement sum to add to checksums */
	__u16 port_delta; /* with FLOW_SNAT: flow_echo of the key */
	__u16 flags; /* enum flow_flag */
	__u8 dmac[6]; /* FLOW_BRIDGED: of the backend; FLOW_DIRECT: of the next hop */
};
_Static_assert(sizeof(struct flow) == 64, "flow");

/* ---- session affinity ------------------------------------------------------ */

struct affinity_key {
	struct addr client;
	__u32 frontend;
	__u32 pad;
};
_Static_assert(sizeof(struct affinity_key) == 24, "affinity_key");

/* The backend of a client's last new flow at a frontend. */
struct affinity {
	__u64 last_used; /* ns, CLOCK_MONOTONIC */
	__u32 backend;
	__u32 generation;
	__u32 slot; /* where it was in the set */
	__u32 pad;
};
_Static_assert(sizeof(struct affinity) == 24, "affinity");

/* ---- fragments, rejects, devices, settings -------------------------------- */

struct fragment_key {
	struct addr saddr;
	struct addr daddr;
	__be32 id;
	__u8 proto;
	__u8 pad[3];
};
_Static_assert(sizeof(struct fragment_key) == 40, "fragment_key");

struct fragment {
	__be16 sport;
	__be16 dport;
	__u32 last_seen; /* ticks */
};
_Static_assert(sizeof(struct fragment) == 8, "fragment");

/* Token bucket of the rejects sent to one client address. */
struct reject_bucket {
	__u64 refilled; /* ns, CLOCK_MONOTONIC */
	__u32 tokens;
	__u32 pad;
};
_Static_assert(sizeof(struct reject_bucket) == 16, "reject_bucket");

/* A device our programs are attached to. */
struct device {
	__u32 master; /* ifindex of the bridge it is a port of, or 0 */
	__u32 flags;
};
_Static_assert(sizeof(struct device) == 8, "device");

/*
 * An uplink or tunnel device: what this node is called there. Entry 0 is for
 * devices without an address of their own. Zero: no address of that family.
 */
struct uplink {
	struct addr addr4;
	struct addr addr6;
};
_Static_assert(sizeof(struct uplink) == 32, "uplink");

struct settings {
	__u64 midflow_pass_until; /* ns, CLOCK_MONOTONIC: until then unknown mid-flow TCP is passed
				     on */
	__u32 hash_seed; /* of the backend choice; kept, so that a choice can be repeated */
	__u32 pad;
};
_Static_assert(sizeof(struct settings) == 16, "settings");

#define TUNNEL_PORTS_MAX   4
#define SERVICE_RANGES_MAX 8

/* An address range that cluster IPs are taken from. */
struct service_range {
	struct addr base;
	struct addr mask;
};
_Static_assert(sizeof(struct service_range) == 32, "service_range");

/* The cluster's network, as far as packets without a flow have to know it. */
struct network {
	__be16 tunnel_ports[TUNNEL_PORTS_MAX]; /* UDP ports of tunnels; 0: none */
	__u32 range_count;
	__u32 exempt_count; /* the first so many are no service ranges, but within one */
	struct service_range service_ranges[SERVICE_RANGES_MAX];
};
_Static_assert(sizeof(struct network) == 272, "network");

/* ---- counters ------------------------------------------------------------- */

/* Per frontend index and CPU. */
struct frontend_stats {
	__u64 flows; /* flows created */
	__u64 rejects; /* clients told that there is no endpoint */
};
_Static_assert(sizeof(struct frontend_stats) == 16, "frontend_stats");

/* What one run of the collector writes over the packet it was given. */
struct collect_report {
	__u32 flows; /* forward halves alive in `flows` */
	__u32 half_open; /* forward halves alive in `half_open` */
	__u32 expired; /* entries removed */
	__u32 entries; /* entries of both tables seen, both halves */
};
_Static_assert(sizeof(struct collect_report) == 16, "collect_report");

#endif
