import { mkdirSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { flowFlag } from '../../src/datapath/abi.ts'
import { testRun } from '../../src/datapath/native-run.ts'
import { northSouth, type Outside } from './cast.ts'
import { describeFrame } from './describe-packet.ts'
import type { DatapathOptions, Node } from './harness.ts'
import { loadXdp } from './load.ts'
import { nowTicks } from './tables.ts'

/** A node, and what XDP on its uplink does with a packet, in words. */
export interface Wired {
  readonly node: Node
  readonly xdp: (packet: Buffer) => string
  readonly programFd: number
}

const folders: string[] = []
/* Tests and benchmarks alike leave no pins behind. */
process.once('exit', () => {
  for (const folder of folders) {
    for (const name of readdirSync(folder)) unlinkSync(join(folder, name))
    rmdirSync(folder)
  }
})

const actions = ['aborted', 'drop', 'pass', 'send'] as const
export const hop = [2, 0, 0, 0, 0, 9]

/** A node whose uplink has the XDP program as well. */
export function wired(
  outside: Outside,
  options: DatapathOptions & { local?: number; mac?: Buffer } = {},
): Wired {
  const pins = `/sys/fs/bpf/ks-xdp-${process.pid}-${folders.length}`
  mkdirSync(pins, { mode: 0o700 })
  folders.push(pins)
  const { mac, ...rest } = options
  const node = northSouth(outside, { ...rest, pins })
  const globals = { hash_seed: 12345, ...(mac && { uplink_mac: mac }) }
  const programFd = loadXdp({ globals, entries: {}, pins })
  const xdp = (packet: Buffer): string => {
    const { retval, data } = testRun({ programFd, data: packet })
    const out = Buffer.from(data)
    const action = actions[retval] ?? String(retval)
    if (action === 'drop') return action
    return `${action}: ${out.equals(packet) ? 'untouched' : describeFrame(out)}`
  }
  return { node, xdp, programFd }
}

/** Says where XDP is to send packets of these halves, as a route would. */
export function knowHop(node: Node, tuples: readonly string[]): void {
  for (const tuple of tuples) {
    const entry = node.tables.entry(tuple)
    const flags = entry.flow.flags | flowFlag.FLOW_DIRECT
    node.tables.change(entry, { flags, dmac: hop, last_seen: nowTicks() })
  }
}
