import { join } from 'node:path'
import { flow, flowFlag, flowKey, tickShift } from '../datapath/abi.ts'
import { protocolOf } from '../datapath/encode.ts'
import { openMap } from '../datapath/maps.ts'
import { closeFd, getPinned } from '../datapath/native.ts'
import type { Pins } from './pins.ts'

/** What became of a flow, as its packets told. */
export const flowStates = [
  'opening',
  'established',
  'closing',
  'closed',
  'reset',
  'unreplied',
  'replied',
] as const
export type FlowState = (typeof flowStates)[number]

/** One flow from its client to its backend. */
export interface FlowView {
  readonly protocol: string
  readonly client: Endpoint
  /** What the client dialled. */
  readonly vip: Endpoint
  readonly backend: Endpoint
  readonly state: FlowState
  /** Index of the frontend that made it; the index may have another owner by now. */
  readonly frontend: number
  readonly backendId: number
  readonly lastSeen: number
  readonly hairpin: boolean
  readonly portChanged: boolean
  /** Whom the backend sees, where that is this node and not the client. */
  readonly seenAs: Endpoint | undefined
  /** The client is a process of this node. */
  readonly fromNode: boolean
  /** XDP sends its packets on. */
  readonly xdp: boolean
}

interface Endpoint {
  readonly address: string
  readonly port: number
}

/** The tables that flows are in: those with a reply, and those without. */
export const flowTables = ['flows', 'half_open'] as const

/** Entries of a table, in batches of raw bytes. */
export function* rawEntries(
  pins: Pins,
  table: (typeof flowTables)[number],
): Generator<readonly [Buffer, Buffer]> {
  const fd = getPinned(join(pins.root.maps, table))
  try {
    for (const batch of openMap(fd).getBatch(4096)) yield* batch
  } finally {
    closeFd(fd)
  }
}

/** Every flow once: its client -> VIP half. */
export function* readFlows(pins: Pins): Generator<FlowView> {
  for (const table of flowTables) {
    for (const [key, value] of rawEntries(pins, table)) {
      if (isForward(value)) yield decodeFlow(key, value)
    }
  }
}

const flagsOffset = flow.members.find((member) => member.name === 'flags')!.offset

const otherEntries = flowFlag.FLOW_REVERSE | flowFlag.FLOW_INNER

/** Is this the client -> VIP half, and not the other, or a second step of one? */
export function isForward(value: Buffer): boolean {
  return (value.readUInt16LE(flagsOffset) & otherEntries) === 0
}

/** What the client -> VIP half of a flow tells. */
export function decodeFlow(keyBytes: Buffer, value: Buffer): FlowView {
  const key = flowKey.parse(keyBytes)
  const half = flow.parse(value)
  return {
    protocol: protocolOf(key.proto) ?? String(key.proto),
    client: { address: key.saddr, port: key.sport },
    vip: { address: key.daddr, port: key.dport },
    backend: { address: half.daddr, port: half.dport },
    state: stateOf(key.proto, half.flags),
    frontend: half.frontend,
    backendId: half.backend,
    lastSeen: half.last_seen,
    hairpin: (half.flags & flowFlag.FLOW_HAIRPIN) !== 0,
    portChanged: (half.flags & flowFlag.FLOW_PORT_CHANGED) !== 0,
    seenAs:
      (half.flags & flowFlag.FLOW_SNAT) === 0
        ? undefined
        : { address: half.saddr, port: half.sport },
    fromNode: (half.flags & flowFlag.FLOW_FROM_HOST) !== 0,
    xdp: (half.flags & flowFlag.FLOW_DIRECT) !== 0,
  }
}

/** The state alone, without decoding addresses: for counting many. */
export function rawStateOf(key: Buffer, value: Buffer): FlowState {
  return stateOf(key.readUInt8(protocolOffset), value.readUInt16LE(flagsOffset))
}

const protocolOffset = flowKey.members.find((member) => member.name === 'proto')!.offset
const tcp = 6

/** The state that a flow's flags mean. */
export function stateOf(protocol: number, flags: number): FlowState {
  const has = (flag: number): boolean => (flags & flag) !== 0
  const isReplied = has(flowFlag.FLOW_REPLIED)
  if (protocol !== tcp) return isReplied ? 'replied' : 'unreplied'
  if (has(flowFlag.FLOW_RESET_FORWARD | flowFlag.FLOW_RESET_REVERSE)) return 'reset'
  const fins = flowFlag.FLOW_FIN_FORWARD | flowFlag.FLOW_FIN_REVERSE
  if ((flags & fins) === fins) return 'closed'
  if (has(fins)) return 'closing'
  return isReplied ? 'established' : 'opening'
}

/** Does a flow in this state carry traffic, as opposed to beginning or ending? */
export function isActive(state: FlowState): boolean {
  return state === 'established' || state === 'replied'
}

/** Seconds since a packet of the flow was last seen, in steps of about a second. */
export function secondsSince(lastSeen: number, ktime: bigint): number {
  const ticks = Math.max(0, Number(ktime >> BigInt(tickShift)) - lastSeen)
  return Math.round((ticks * 2 ** tickShift) / 1e9)
}
