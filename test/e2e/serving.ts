import assert from 'node:assert/strict'
import { after, before } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { hostPort } from '../cluster/addressing.ts'
import { createCluster } from '../cluster/cluster.ts'
import { podSlices, service } from '../cluster/objects.ts'
import type { KubeObject, PortInput } from '../cluster/objects.ts'
import { askOnce, startEchoServer } from '../cluster/traffic.ts'
import type {
  Agent,
  AgentOptions,
  Cluster,
  ClusterNode,
  ClusterOptions,
  Family,
  Place,
  Pod,
} from '../cluster/types.ts'

export const families: readonly Family[] = ['IPv4', 'IPv6']
export const profiles = ['bridge', 'ptp', 'vxlan'] as const

/** What pods answer on, and what a Service of `serviceFor` offers: TCP and UDP 80. */
export const podPort = 8080
export const vipPort = 80
const ports: readonly PortInput[] = [
  { name: 'tcp', port: vipPort, targetPort: podPort },
  { name: 'udp', port: vipPort, targetPort: podPort, protocol: 'UDP' },
]

/** A cluster in which every pod answers with its name and every node has an agent. */
export interface Serving {
  readonly cluster: Cluster
  readonly agents: readonly Agent[]
  readonly node1: ClusterNode
  readonly node2: ClusterNode
  /** Pod `name` of node 1 or 2. */
  readonly pod: (node: 1 | 2, name: string) => Pod
  /** The VIP of Service number `n` with the port of `serviceFor`, or another. */
  readonly vip: (n: number, family?: Family, port?: number) => string
}

/** Builds a cluster of two nodes with pods a, b ..., echo servers and agents. */
export async function startServing(
  options: ClusterOptions,
  agentOptions: AgentOptions = {},
  objects: (cluster: Cluster) => readonly KubeObject[] = () => [],
): Promise<Serving> {
  const cluster = await createCluster({ podsPerNode: 2, ...options })
  try {
    cluster.objects.put(...objects(cluster))
    await Promise.all(cluster.pods.map(answerOn))
    const agents = await Promise.all(cluster.nodes.map((node) => startAgent(node, agentOptions)))
    const [node1, node2 = node1] = cluster.nodes as readonly [ClusterNode, ClusterNode?]
    return {
      cluster,
      agents,
      node1,
      node2,
      pod: (node, name) => (node === 1 ? node1 : node2).pod(name),
      vip: (n, family = 'IPv4', port = vipPort) => hostPort(cluster.clusterIp(n, family), port),
    }
  } catch (error) {
    await cluster.close()
    throw error
  }
}

/** As `startServing`, once for all tests of a file: started before and closed after them. */
export function servingForAll(...wanted: Parameters<typeof startServing>): Serving {
  const held: { serving?: Serving } = {}
  before(async () => {
    held.serving = await startServing(...wanted)
  })
  after(() => held.serving?.cluster.close())
  return new Proxy({} as Serving, {
    get: (_target, name: keyof Serving) => held.serving![name],
  })
}

/** Starts an agent and waits until it has read its objects and attached its programs. */
export async function startAgent(node: ClusterNode, options: AgentOptions = {}): Promise<Agent> {
  const agent = await node.startAgent(options)
  await eventually(() => assert.match(agent.log(), /"msg":"agent started"/))
  return agent
}

/** How the echo server of a pod calls itself. */
export function nameOf(pod: Pod): string {
  return `${pod.node.name}/${pod.name}`
}

/** Starts the echo server of a pod. */
export function answerOn(pod: Pod): ReturnType<typeof startEchoServer> {
  return startEchoServer(pod, [podPort], { name: nameOf(pod) })
}

/** Service number `n`, named `web<n>`, with these pods behind it. */
export function serviceFor(
  cluster: Cluster,
  n: number,
  pods: readonly Pod[],
  spec: Readonly<Record<string, unknown>> = {},
): KubeObject[] {
  return [
    service({
      name: `web${n}`,
      ports,
      clusterIps: cluster.families.map((family) => cluster.clusterIp(n, family)),
      spec,
    }),
    ...slicesFor(n, pods),
  ]
}

/** The slices of Service number `n` alone, for a change of its endpoints. */
export function slicesFor(
  n: number,
  pods: readonly Pod[],
  conditions: Parameters<typeof podSlices>[2] = {},
): KubeObject[] {
  return podSlices({ service: `web${n}`, ports }, pods, conditions)
}

/** Waits until the check stops throwing; its last complaint is the error when time is over. */
export async function eventually<Value>(
  check: () => Value | Promise<Value>,
  milliseconds = 5_000,
): Promise<Value> {
  const deadline = performance.now() + milliseconds
  for (;;) {
    try {
      return await check()
    } catch (error) {
      if (performance.now() > deadline) throw error
      await pause(20)
    }
  }
}

/** Waits until a place gets an answer (from this backend, if one is named). */
export async function untilServed(
  place: Place,
  target: string,
  options: Parameters<typeof askOnce>[2] & { by?: string; within?: number } = {},
): Promise<void> {
  await eventually(async () => {
    const answer = await askOnce(place, target, { timeoutMs: 300, ...options })
    if (!answer.ok) throw new Error(`${target} from ${place.name}: ${answer.error}`)
    if (options.by !== undefined && answer.name !== options.by)
      throw new Error(`${target} from ${place.name}: answered by ${answer.name}`)
  }, options.within)
}
