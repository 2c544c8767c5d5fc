import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { hostPort } from '../cluster/addressing.ts'
import { startFlood } from '../cluster/load.ts'
import { podSlices, service } from '../cluster/objects.ts'
import type { KubeObject } from '../cluster/objects.ts'
import { pingPong, startDial } from '../cluster/traffic.ts'
import type { DialReport, FlowReport, FloodReport } from '../cluster/traffic-reports.ts'
import type { Agent, Cluster, Family, OutsideClient } from '../cluster/types.ts'
import { readMetric } from './metrics-page.ts'
import { eventually, families, podPort, startServing, untilServed, vipPort } from './serving.ts'
import type { Serving } from './serving.ts'

/** Where the endpoint of a NodePort of node 1 is. */
export const endpoints = ['local', 'remote'] as const
export type Endpoint = (typeof endpoints)[number]

const nodePorts: Readonly<Record<Endpoint, number>> = { local: 30_081, remote: 30_082 }
/** Nobody is there: what is sent to them ends at the LAN's router. */
const spoofed: Readonly<Record<Family, string>> = {
  IPv4: '198.18.0.0/15',
  IPv6: '2001:db8:bad::/64',
}
const clockTicksPerSecond = 100

/** A node with NodePorts for a pod of its own and one of the other node, and two machines outside. */
export interface Besieged {
  readonly serving: Serving
  readonly client: OutsideClient
  readonly attacker: OutsideClient
}

/** What clients saw while a flood lasted. */
export interface Ordeal {
  readonly flood: FloodReport
  readonly established: FlowReport
  readonly fresh: DialReport
  /** Of a core. */
  readonly agentLoad: number
}

function objects(cluster: Cluster): KubeObject[] {
  return endpoints.flatMap((endpoint, at) => {
    const ports = [
      { name: 'tcp', port: vipPort, targetPort: podPort, nodePort: nodePorts[endpoint] },
    ]
    const web = service({
      ...{ name: endpoint, type: 'NodePort', ports },
      clusterIps: families.map((family) => cluster.clusterIp(at + 1, family)),
    })
    return [web, ...podSlices({ service: endpoint, ports }, [cluster.nodes[at]!.pod('a')])]
  })
}

/** Builds it, with these flags of the agents. */
export async function besiege(xdp: boolean, flags: readonly string[] = []): Promise<Besieged> {
  const wanted = [...flags, ...(xdp ? ['--xdp=native'] : [])]
  const serving = await startServing(
    { profile: 'ptp', podsPerNode: 1, xdp },
    { flags: wanted },
    objects,
  )
  const { cluster } = serving
  try {
    for (const range of Object.values(spoofed))
      await cluster.lan.exec(['ip', 'route', 'add', 'blackhole', range])
    const client = await cluster.addOutsideClient('client')
    const attacker = await cluster.addOutsideClient('attacker')
    const besieged = { serving, client, attacker }
    for (const endpoint of endpoints)
      for (const family of families) await untilServed(client, targetOf(besieged, endpoint, family))
    return besieged
  } catch (error) {
    await cluster.close()
    throw error
  }
}

/** The NodePort of node 1 for this endpoint. */
export function targetOf(
  { serving }: Pick<Besieged, 'serving'>,
  endpoint: Endpoint,
  family: Family = 'IPv4',
): string {
  return hostPort(serving.node1.addresses[family], nodePorts[endpoint])
}

/** Floods a NodePort for so long while 200 flows talk and new connections are made. */
export async function endure(
  besieged: Besieged,
  {
    endpoint,
    ...options
  }: {
    readonly endpoint: Endpoint
    readonly seconds: number
    /** Requests a second; default as many as one core can send. */
    readonly rate?: number
  },
): Promise<Ordeal> {
  const { client, attacker, serving } = besieged
  const { seconds } = options
  const [agent] = serving.agents
  const target = targetOf(besieged, endpoint)
  const flows = await Promise.all(
    endpoints.map((each) =>
      pingPong(client, targetOf(besieged, each), 100, { intervalMs: 500, timeoutMs: 5_000 }),
    ),
  )
  const before = cpuSeconds(agent!)
  const flood = await startFlood(attacker, target, { sources: spoofed.IPv4, ...options })
  const dialling = startDial(client, target, {
    ...{ rate: 100, count: 100 * seconds },
    ...{ timeoutMs: 3_000, reset: true },
  })
  const report = await flood.finished
  const agentLoad = (cpuSeconds(agent!) - before) / report.seconds
  const fresh = await dialling.finished
  const [one, two] = await Promise.all(flows.map((each) => each.stop()))
  return { flood: report, established: addUp(one!, two!), fresh, agentLoad }
}

function addUp(one: FlowReport, two: FlowReport): FlowReport {
  const sum = (of: 'flows' | 'open' | 'resets' | 'closed' | 'switched') => one[of] + two[of]
  return {
    ...one,
    ...{ flows: sum('flows'), open: sum('open'), resets: sum('resets') },
    ...{ closed: sum('closed'), switched: sum('switched') },
  }
}

/** User and system time of the agent's process. */
function cpuSeconds({ pid }: Agent): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / clockTicksPerSecond
}

/** What was promised for a flood. */
export function assertUnharmed({ flood, established, fresh, agentLoad }: Ordeal): void {
  assert.ok(flood.ratePerSecond > 1_000, `${flood.ratePerSecond} requests a second`)
  const { open, resets, closed, switched } = established
  assert.deepEqual(
    { open, resets, closed, switched },
    { open: 200, resets: 0, closed: 0, switched: 0 },
  )
  assert.ok(fresh.ok / fresh.dialled >= 0.99, JSON.stringify(fresh))
  assert.ok(agentLoad < 1, `the agent took ${agentLoad} cores`)
}

/** Waits until a sweep has seen the flood, and a later one that the node has forgotten it. */
export async function untilDrained({ serving }: Besieged, milliseconds: number): Promise<void> {
  const [agent] = serving.agents
  await eventually(async () => {
    const waiting = await readMetric(agent!, 'kubeshunt_flows', 'half_open')
    assert.ok(waiting >= 100, `${waiting} flows are half open`)
  }, 60_000)
  await eventually(async () => {
    for (const state of ['half_open', 'established']) {
      const flows = await readMetric(agent!, 'kubeshunt_flows', state)
      assert.ok(flows < 100, `${flows} flows are ${state}`)
    }
  }, milliseconds)
}

/** Flows of node 1 at the last sweep, in words. */
export async function tablesOf({ serving }: Besieged): Promise<string> {
  const { body } = await serving.agents[0]!.get('http://127.0.0.1:10249/metrics')
  const wanted =
    /^kubeshunt_(flows|map_entries\{map="(flows|half_open)|datapath_)[^\n]* [1-9]\S*$/gm
  return (body.match(wanted) ?? []).join('\n')
}
