import { flowFlag } from '../../src/datapath/abi.ts'
import { testRun } from '../../src/datapath/native-run.ts'
import { datapath, type Node } from '../../test/datapath/harness.ts'
import { frame, type PacketSpec } from '../../test/datapath/packet.ts'
import { keyOf, nowTicks, type Counts } from '../../test/datapath/tables.ts'
import { backend, fillFlows, frontend } from './flow-set.ts'
import type { Turner } from './turner.ts'
import { uplinkWorkloads } from './uplinks.ts'
import { afterTick, counted, type Workload } from './workload.ts'

const established = 'established, TCP v4, from the pod'
const nobody = '10.96.0.11:80/TCP'

const hotRepeat = 200_000
const newFlowRepeat = 16_384
const manyFlows = 262_144

/** Every workload, over maps of its own kernel objects. */
export function makeWorkloads(turner: Turner): { workloads: Workload[]; node: Node } {
  const node = makeNode({ flows: 524_288 })
  const workloads = [
    ...hotWorkloads(node),
    emptyWorkload(turner),
    turnedEmpty(turner, 1),
    turnedEmpty(turner, manyFlows),
    turnedHot(turner),
    ...manyFlowWorkloads(turner),
    ...newFlowWorkloads(turner),
    rejectWorkload(turner),
    ...uplinkWorkloads(turner),
  ]
  return { workloads, node }
}

function makeNode(entries: Readonly<Record<string, number>>, rejects = false): Node {
  const unlimited = { reject_burst: 0xffff_ffff, reject_rate: 1_000_000 }
  return datapath({
    services: { [frontend]: [backend], [nobody]: [] },
    entries,
    globals: rejects ? unlimited : {},
  })
}

function emptyWorkload({ empty }: Turner): Workload {
  const data = Buffer.alloc(60)
  const measure = (): number => testRun({ programFd: empty, data, repeat: hotRepeat }).duration
  return { name: 'empty', flows: 1, floor: 'empty', measure }
}

function turnedEmpty(turner: Turner, flows: number): Workload {
  const about = { programFd: turner.empty, frame: clientFrame('A'), flows, repeat: hotRepeat }
  return { name: 'turned empty', flows, floor: 'turned empty', measure: () => turner.run(about) }
}

/** The packet of flow 0: clients are 10.128.0.0 and up, ports 1024 and up. */
function clientFrame(flags: string, to = '10.96.0.10:80'): Buffer {
  return frame({ from: '10.128.0.0:1024', to, tcp: flags })
}

/** The first row again, by way of turn(): shows that turning takes nothing else. */
function turnedHot(turner: Turner): Workload {
  const node = makeNode({})
  fillFlows(node, 1)
  const about = { programFd: node.programs.ingress, frame: clientFrame('A'), flows: 1 }
  const turn = (): number => turner.run({ ...about, repeat: hotRepeat })
  return {
    ...{ name: `${established}, turned`, flows: 1, floor: 'turned empty' },
    measure: () => counted(node, { forward: hotRepeat }, turn),
  }
}

interface Hot {
  readonly name: string
  readonly spec: PacketSpec
  readonly hook: 'ingress' | 'egress'
  /** Established: the packet has a flow. */
  readonly flags?: number
  readonly counts: Counts
}

const v4 = { from: '10.9.0.1:1000', to: '10.96.0.9:80', payload: 'hi' }
const v6 = { from: '[fd00::1]:1000', to: '[fd00:96::9]:80', payload: 'hi' }
const back = { from: '10.9.0.2:80', to: '10.9.0.3:1000', payload: 'hi' }
const other = { from: '10.9.0.1:1000', to: '10.244.7.7:80', payload: 'hi' }
const reverse = flowFlag.FLOW_REVERSE | flowFlag.FLOW_AT_EGRESS
const forwarded = { forward: hotRepeat }
const returned = { reverse: hotRepeat }

const hot: readonly Hot[] = [
  {
    ...{ name: established, spec: { ...v4, tcp: 'A' } },
    ...{ hook: 'ingress', flags: 0, counts: forwarded },
  },
  {
    ...{ name: 'established, TCP v4, reply to the pod', spec: { ...back, tcp: 'A' } },
    ...{ hook: 'egress', flags: reverse, counts: returned },
  },
  {
    ...{ name: 'established, TCP v6, from the pod', spec: { ...v6, tcp: 'A' } },
    ...{ hook: 'ingress', flags: 0, counts: forwarded },
  },
  {
    ...{ name: 'established, UDP v4, from the pod', spec: { ...v4, udp: true } },
    ...{ hook: 'ingress', flags: 0, counts: forwarded },
  },
  {
    ...{ name: 'established, UDP v4, reply to the pod', spec: { ...back, udp: true } },
    ...{ hook: 'egress', flags: reverse, counts: returned },
  },
  {
    ...{ name: 'not for a Service, TCP, from the pod', spec: { ...other, tcp: 'A' } },
    ...{ hook: 'ingress', counts: {} },
  },
  {
    ...{ name: 'not for a Service, TCP SYN, from the pod', spec: { ...other, tcp: 'S' } },
    ...{ hook: 'ingress', counts: {} },
  },
  {
    ...{ name: 'not for a Service, UDP, from the pod', spec: { ...other, udp: true } },
    ...{ hook: 'ingress', counts: {} },
  },
  {
    ...{ name: 'not for a Service, TCP, to the pod', spec: { ...other, tcp: 'A' } },
    ...{ hook: 'egress', counts: {} },
  },
]

/** One packet repeated; an established flow rewrites it into itself, checksums apart. */
function hotWorkloads(node: Node): Workload[] {
  return hot.map(({ name, spec, hook, flags, counts }) => {
    const programFd = node.programs[hook]
    const data = frame(spec)
    const measure = (): number => {
      if (flags !== undefined) putIdentity(node, spec, flags)
      return counted(node, counts, () => testRun({ programFd, data, repeat: hotRepeat }).duration)
    }
    return { name, flows: 1, floor: 'empty', measure }
  })
}

function putIdentity(node: Node, spec: PacketSpec, flags: number): void {
  const key = keyOf(spec.from, spec.to, spec.tcp === undefined ? 'UDP' : 'TCP')
  const { saddr, daddr, sport, dport } = key
  node.tables.put('flows', key, {
    ...{ saddr, daddr, sport, dport, last_seen: nowTicks(), frontend: 0 },
    ...{ backend: node.idOf(frontend, backend), backend_generation: 1 },
    ...{ address_delta: 0x1234, port_delta: 0x4321 }, // none would skip half of the work
    ...{ flags: flags | flowFlag.FLOW_REPLIED, dmac: [0, 0, 0, 0, 0, 0] },
  })
}

/** A full table of established flows; each packet belongs to another one. */
function manyFlowWorkloads(turner: Turner): Workload[] {
  const node = makeNode({ flows: 4 * manyFlows })
  fillFlows(node, manyFlows)
  const about = {
    ...{ programFd: node.programs.ingress, frame: clientFrame('A'), flows: manyFlows },
    repeat: manyFlows,
  }
  const pass = (): number => counted(node, { forward: manyFlows }, () => turner.run(about))
  const again = (): number | undefined => {
    const tick = nowTicks()
    pass()
    const nanoseconds = pass()
    return nowTicks() === tick ? nanoseconds : undefined
  }
  return [
    {
      ...{ name: `${established}, first of its flow in a second`, flows: manyFlows },
      floor: 'turned empty',
      measure: () => afterTick(pass),
    },
    {
      ...{ name: `${established}, flow seen this second`, flows: manyFlows },
      floor: 'turned empty',
      measure: () => attempts(again),
    },
  ]
}

function attempts(run: () => number | undefined): number | undefined {
  for (let attempt = 0; attempt < 3; attempt++) {
    const result = afterTick(run)
    if (result !== undefined) return result
  }
  return undefined
}

/** First packets of connections, each of a client never seen before. */
function newFlowWorkloads(turner: Turner): Workload[] {
  const flows = 2 ** 24
  const roomy = makeNode({ half_open: 8 * newFlowRepeat })
  const full = makeNode({ half_open: 2 * newFlowRepeat })
  const turn = (node: Node) => (): number => {
    const { ingress: programFd } = node.programs
    const about = { programFd, frame: clientFrame('S'), flows, repeat: newFlowRepeat }
    const counts = { forward: newFlowRepeat, flow_created: newFlowRepeat }
    return counted(node, counts, () => turner.run(about))
  }
  const emptied = (): number => {
    const table = roomy.programs.map('half_open')
    const keys = [...table.getBatch(4096)].flat().map(([key]) => Buffer.from(key))
    for (let at = 0; at < keys.length; at += 1000) table.deleteBatch(keys.slice(at, at + 1000))
    return turn(roomy)()
  }
  return [
    {
      ...{ name: 'new flow, TCP v4, table with room', flows, floor: 'turned empty' },
      measure: emptied,
    },
    {
      ...{ name: 'new flow, TCP v4, table full', flows, floor: 'turned empty' },
      measure: turn(full),
    },
  ]
}

/** A SYN to a Service without endpoints becomes a RST; the limiter lets all of them through. */
function rejectWorkload(turner: Turner): Workload {
  const node = makeNode({}, true)
  const { ingress: programFd } = node.programs
  const about = { programFd, frame: clientFrame('S', '10.96.0.11:80'), flows: 1, repeat: hotRepeat }
  const counts = { reject_no_endpoint: hotRepeat }
  return {
    ...{ name: 'rejected, TCP v4, no endpoint', flows: 1, floor: 'turned empty' },
    measure: () => counted(node, counts, () => turner.run(about)),
  }
}
