import { flow, flowFlag, flowKey } from '../../src/datapath/abi.ts'
import type { Node } from '../../test/datapath/harness.ts'
import { nowTicks } from '../../test/datapath/tables.ts'

/** The Service of the flows, and its only backend. */
export const frontend = '10.96.0.10:80/TCP'
export const backend = '10.244.1.5:8080'

const vip = { address: '10.96.0.10', port: 80 }
const pod = { address: '10.244.1.5', port: 8080 }
const batch = 1000

/** Enters established flows of the clients that turn() goes through, both halves of each. */
export function fillFlows(node: Node, count: number): void {
  const table = node.programs.map('flows')
  const halves = [forwardHalf(node), reverseHalf(node)]
  for (let first = 0; first < count; first += batch) {
    const entries: [Buffer, Buffer][] = []
    for (let n = first; n < Math.min(first + batch, count); n++)
      for (const half of halves) entries.push(half(n))
    table.setBatch(entries)
  }
}

type Half = (n: number) => [Buffer, Buffer]

const common = (node: Node) => ({
  last_seen: nowTicks(),
  frontend: 0,
  backend: node.idOf(frontend, backend),
  backend_generation: 1,
  address_delta: 0x1234,
  port_delta: 0x4321,
  dmac: [0, 0, 0, 0, 0, 0],
})

/** client -> VIP becomes client -> pod */
function forwardHalf(node: Node): Half {
  const client = { saddr: '10.128.0.0', sport: 0 }
  const key = { ...client, daddr: vip.address, dport: vip.port, proto: 6 }
  const value = {
    ...{ ...client, daddr: pod.address, dport: pod.port },
    ...{ ...common(node), flags: flowFlag.FLOW_REPLIED },
  }
  return patching(key, value, 'saddr')
}

/** pod -> client becomes VIP -> client */
function reverseHalf(node: Node): Half {
  const client = { daddr: '10.128.0.0', dport: 0 }
  const key = { ...client, saddr: pod.address, sport: pod.port, proto: 6 }
  const flags = flowFlag.FLOW_REPLIED | flowFlag.FLOW_REVERSE | flowFlag.FLOW_AT_EGRESS
  const value = {
    ...{ ...client, saddr: vip.address, sport: vip.port },
    ...{ ...common(node), flags },
  }
  return patching(key, value, 'daddr')
}

/** Formats once; each flow is a copy with its client's address and port written over. */
function patching(
  key: Parameters<typeof flowKey.format>[1],
  value: Parameters<typeof flow.format>[1],
  client: 'saddr' | 'daddr',
): Half {
  const keyBytes = Buffer.alloc(flowKey.size)
  const valueBytes = Buffer.alloc(flow.size)
  flowKey.format(keyBytes, key)
  flow.format(valueBytes, value)
  const port = client === 'saddr' ? 'sport' : 'dport'
  return (n) =>
    [[keyBytes, flowKey] as const, [valueBytes, flow] as const].map(([template, struct]) => {
      const bytes = Buffer.from(template)
      const offset = (name: string): number =>
        struct.members.find((member) => member.name === name)!.offset
      bytes.writeUInt16BE(n & 0xffff, offset(client) + 14)
      bytes.writeUInt16BE(1024 + (n >>> 16), offset(port))
      return bytes
    }) as [Buffer, Buffer]
}
