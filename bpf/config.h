/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Settings fixed when a program is loaded; the verifier removes the branches they rule out. */
#ifndef KUBE_SHUNT_CONFIG_H
#define KUBE_SHUNT_CONFIG_H

#include "abi.h"

/* Bytes before the network header: 14 on Ethernet, 0 on L3 devices (tun, ipip, wireguard). */
const volatile __u32 l2_len = 14;

/* Source address of hairpin packets: link-local, never routed. */
const volatile struct addr hairpin_addr4 = {.word = {0, 0, 0, 0}};
const volatile struct addr hairpin_addr6 = {.word = {0, 0, 0, 0}};

/* Lifetimes of flows, in ticks. */
const volatile __u32 ticks_tcp_established = 7544; /* 2 h 15 min */
const volatile __u32 ticks_tcp_syn = 28;
const volatile __u32 ticks_tcp_half_closed = 3353; /* 1 h */
const volatile __u32 ticks_tcp_fin = 28;
const volatile __u32 ticks_tcp_reset = 10;
const volatile __u32 ticks_udp_unreplied = 28;
const volatile __u32 ticks_udp_replied = 168; /* 3 min */

/*
 * Source ports of this node for flows to other nodes: a range, without the one
 * that NodePorts are taken from.
 */
const volatile __u32 snat_port_first = 1024;
const volatile __u32 snat_port_last = 65535;
const volatile __u32 node_port_first = 30000;
const volatile __u32 node_port_last = 32767;

/* XDP: the device's own MAC address (zero: any frame is for it) and MTU. */
const volatile __u8 uplink_mac[6] __attribute__((aligned(4))) = {};
const volatile __u32 uplink_mtu = 1500;

/* Rejects per client address: burst, and refill per second. */
const volatile __u32 reject_burst = 200;
const volatile __u32 reject_rate = 100;

/* Repeats settings.hash_seed. */
const volatile __u32 hash_seed = 0;

#endif
