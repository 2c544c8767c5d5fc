import { readAddress, writeAddress } from '../model/address.ts'
import { array, be16, be32, chars, nested, struct, u16, u32, u64, u8 } from './struct.ts'

/*
 * The mirror of bpf/abi.h: every struct, enum and limit that crosses the border. test/abi
 * compares the two through BTF.
 */

export const addr = struct('addr', { word: array(be32, 4) })

/** An address is text in TypeScript and 16 bytes in maps. */
const address = nested<string>(addr, {
  read: readAddress,
  write: (buffer, at, value) => writeAddress(value, buffer, at),
})

export const frontendKey = struct('frontend_key', { addr: address, port: be16, proto: u8, pad: u8 })
export const frontendRef = struct('frontend_ref', { index: u32, echo: u32 })
export const frontendWord = struct('frontend_word', {
  commit: u64,
  external: u64,
  meta: u64,
  reserved: u64,
})
export const frontendName = struct('frontend_name', { kind: u8, text: chars(191) })

export const sourceRangeKey = struct('source_range_key', {
  prefixlen: u32,
  frontend: u32,
  addr: address,
})

export const backend = struct('backend', {
  addr: address,
  port: be16,
  flags: u16,
  frontend: u32,
  id: u32,
  generation: u32,
})
export const backendState = struct('backend_state', { generation: u32, alive: u32 })

export const flowKey = struct('flow_key', {
  saddr: address,
  daddr: address,
  sport: be16,
  dport: be16,
  proto: u8,
  pad: array(u8, 3),
})
export const flow = struct('flow', {
  saddr: address,
  daddr: address,
  sport: be16,
  dport: be16,
  last_seen: u32,
  frontend: u32,
  backend: u32,
  backend_generation: u32,
  address_delta: u16,
  port_delta: u16,
  flags: u16,
  dmac: array(u8, 6),
})

export const affinityKey = struct('affinity_key', { client: address, frontend: u32, pad: u32 })
export const affinity = struct('affinity', {
  last_used: u64,
  backend: u32,
  generation: u32,
  slot: u32,
  pad: u32,
})

export const fragmentKey = struct('fragment_key', {
  saddr: address,
  daddr: address,
  id: be32,
  proto: u8,
  pad: array(u8, 3),
})
export const fragment = struct('fragment', { sport: be16, dport: be16, last_seen: u32 })
export const rejectBucket = struct('reject_bucket', { refilled: u64, tokens: u32, pad: u32 })
export const device = struct('device', { master: u32, flags: u32 })
export const uplink = struct('uplink', { addr4: address, addr6: address })
export const settings = struct('settings', { midflow_pass_until: u64, hash_seed: u32, pad: u32 })
export const serviceRange = struct('service_range', { base: address, mask: address })

/** How many tunnel ports and service ranges `network` holds. */
export const networkLimits = { tunnelPorts: 4, serviceRanges: 8 } as const

const nestedRange = nested<ReturnType<typeof serviceRange.parse>>(serviceRange, {
  read: (buffer, at) => serviceRange.parse(buffer, at),
  write: (buffer, at, value) => serviceRange.format(buffer, value, at),
})
export const network = struct('network', {
  tunnel_ports: array(be16, networkLimits.tunnelPorts),
  range_count: u32,
  exempt_count: u32,
  service_ranges: array(nestedRange, networkLimits.serviceRanges),
})
export const frontendStats = struct('frontend_stats', { flows: u64, rejects: u64 })
export const collectReport = struct('collect_report', {
  flows: u32,
  half_open: u32,
  expired: u32,
  entries: u32,
})

/** Every struct of abi.h. */
export const structs = [
  addr,
  frontendKey,
  frontendRef,
  frontendWord,
  frontendName,
  sourceRangeKey,
  backend,
  backendState,
  flowKey,
  flow,
  affinityKey,
  affinity,
  fragmentKey,
  fragment,
  rejectBucket,
  device,
  uplink,
  settings,
  serviceRange,
  network,
  frontendStats,
  collectReport,
]

export const frontendFlag = {
  FRONTEND_LOCAL_ONLY: 1 << 0,
  FRONTEND_AFFINITY: 1 << 1,
  FRONTEND_EXTERNAL_LOCAL_ONLY: 1 << 2,
  FRONTEND_SOURCE_RANGES: 1 << 3,
  FRONTEND_MAGLEV: 1 << 4,
} as const
export const frontendKind = {
  KIND_NONE: 0,
  KIND_CLUSTER_IP: 1,
  KIND_NODE_PORT: 2,
  KIND_LOAD_BALANCER: 3,
  KIND_EXTERNAL_IP: 4,
} as const
export const backendFlag = { BACKEND_LOCAL: 1 } as const
export const flowFlag = {
  FLOW_REVERSE: 1 << 0,
  FLOW_AT_EGRESS: 1 << 1,
  FLOW_HAIRPIN: 1 << 2,
  FLOW_BRIDGED: 1 << 3,
  FLOW_REPLIED: 1 << 4,
  FLOW_FIN_FORWARD: 1 << 5,
  FLOW_FIN_REVERSE: 1 << 6,
  FLOW_RESET_FORWARD: 1 << 7,
  FLOW_RESET_REVERSE: 1 << 8,
  FLOW_PORT_CHANGED: 1 << 9,
  FLOW_SNAT: 1 << 10,
  FLOW_INNER: 1 << 11,
  FLOW_FROM_HOST: 1 << 12,
  FLOW_OWN: 1 << 13,
  FLOW_DIRECT: 1 << 14,
  FLOW_ANSWERED: 1 << 15,
} as const

/** Names of the counters in the order of enum counter; they appear in metrics and docs. */
export const counterNames = [
  'forward',
  'reverse',
  'xdp_forward',
  'xdp_reverse',
  'flow_created',
  'flow_promoted',
  'flow_twin_rebuilt',
  'flow_choice_repeated',
  'flow_port_changed',
  'flow_snat',
  'flow_own',
  'flow_reused',
  'flow_backend_gone',
  'flow_expired',
  'hairpin',
  'icmp_translated',
  'fragment_translated',
  'midflow_passed',
  'reject_no_endpoint',
  'reject_unused_port',
  'reject_midflow',
  'drop_malformed',
  'drop_no_local_endpoint',
  'drop_backend_stale',
  'drop_midflow_reset',
  'drop_flow_insert',
  'drop_tuple_taken',
  'drop_snat_exhausted',
  'drop_snat_no_address',
  'drop_host_to_itself',
  'drop_source_range',
  'drop_unallocated_vip',
  'drop_fragment',
  'drop_rewrite',
  'drop_reject_limited',
  'drop_reject_failed',
] as const

export type CounterName = (typeof counterNames)[number]

/** enum counter as it is in C. */
export const counter: Readonly<Record<string, number>> = {
  ...Object.fromEntries(counterNames.map((name, at) => [`COUNT_${name.toUpperCase()}`, at])),
  COUNTER_MAX: counterNames.length,
}

/** Every enum of abi.h by its C name. */
export const enums: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  frontend_flag: frontendFlag,
  frontend_kind: frontendKind,
  backend_flag: backendFlag,
  flow_flag: flowFlag,
  counter,
}

/** C types of the key and value of every map of maps.h. */
export const mapTypes: Readonly<Record<string, readonly [key: string, value: string]>> = {
  frontends: ['struct frontend_key', 'struct frontend_ref'],
  frontend_words: ['__u32', 'struct frontend_word'],
  frontend_names: ['__u32', 'struct frontend_name'],
  backends: ['__u32', 'struct backend'],
  backend_states: ['__u32', 'struct backend_state'],
  flows: ['struct flow_key', 'struct flow'],
  half_open: ['struct flow_key', 'struct flow'],
  affinity: ['struct affinity_key', 'struct affinity'],
  fragments: ['struct fragment_key', 'struct fragment'],
  reject_buckets: ['struct addr', 'struct reject_bucket'],
  devices: ['__u32', 'struct device'],
  uplinks: ['__u32', 'struct uplink'],
  source_ranges: ['struct source_range_key', '__u32'],
  network: ['__u32', 'struct network'],
  settings: ['__u32', 'struct settings'],
  counters: ['__u32', '__u64'],
  frontend_stats: ['__u32', 'struct frontend_stats'],
}

/** 2^30 ns of CLOCK_MONOTONIC: the unit of last_seen. */
export const tickShift = 30

/**
 * The mix of a key that its frontend_ref repeats; mix_frontend_key in bpf/frontend.h is the same
 * loop over the key's five words.
 */
export function mixKey(key: Buffer, at = 0): number {
  let mixed = 0
  for (let word = 0; word < 5; word++) {
    mixed = Math.imul(mixed ^ key.readUInt32LE(at + 4 * word), 0x9e3779b1)
    mixed ^= mixed >>> 15
  }
  return mixed >>> 0
}
