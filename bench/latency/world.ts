import { createCluster } from '../../test/cluster/cluster.ts'
import { endpointSlice, service } from '../../test/cluster/objects.ts'
import { askOnce, startEchoServer } from '../../test/cluster/traffic.ts'
import type { Cluster, ClusterNode, Pod } from '../../test/cluster/types.ts'
import { iptablesRules } from './iptables-rules.ts'
import { nftablesRules } from './nftables-rules.ts'
import { measuredService, surroundWith } from './services.ts'
import type { BenchService } from './services.ts'

/** Ways to make a Service reachable; "none" has pods only, twice, to see what chance does. */
export const subjects = ['none', 'none again', 'kube-shunt', 'iptables', 'nftables'] as const
export type Subject = (typeof subjects)[number]

/** Has it pods only? */
export function isBare(subject: string): boolean {
  return subject.startsWith('none')
}

/** Where the backend is, seen from the client's node. */
export const placements = ['same node', 'other node'] as const
export type Placement = (typeof placements)[number]

export interface WorldOptions {
  readonly subject: Subject
  readonly profile: 'bridge' | 'ptp'
  readonly services: number
}

/** A cluster of its own for one subject, so that nobody pays for another's hooks. */
export interface World extends WorldOptions {
  readonly client: Pod
  readonly targets: Readonly<Record<Placement, { readonly direct: string; readonly vip: string }>>
  close(): Promise<void>
}

const backendPort = 8080

/** Builds the cluster, installs the subject and proves that it works. */
export async function buildWorld(options: WorldOptions): Promise<World> {
  const { subject, profile } = options
  const needsBridgeNetfilter = subject === 'iptables' || subject === 'nftables'
  const cluster = await createCluster({ profile, bridgeNetfilter: needsBridgeNetfilter })
  try {
    const [first, second] = cluster.nodes as [ClusterNode, ClusterNode]
    const [client, near, far] = [
      await first.addPod('client'),
      await first.addPod('near'),
      await second.addPod('far'),
    ]
    await Promise.all([near, far].map((pod) => startEchoServer(pod, [backendPort])))
    const measured = [near, far].map((pod, at) =>
      measuredService(pod.name, cluster.clusterIp(10 + at), {
        ...{ address: pod.addresses.IPv4, port: backendPort, nodeName: pod.node.name },
      }),
    )
    const all = surroundWith(measured, options.services, (n) => cluster.clusterIp(n))
    await install(subject, cluster, all)
    const targetsOf = (pod: Pod, at: number) => ({
      direct: `${pod.addresses.IPv4}:${backendPort}`,
      vip: `${measured[at]!.clusterIp}:${measured[at]!.port}`,
    })
    const targets = { 'same node': targetsOf(near, 0), 'other node': targetsOf(far, 1) }
    const world = { ...options, client, targets, close: () => cluster.close() }
    await prove(world, { 'same node': near, 'other node': far })
    return world
  } catch (error) {
    await cluster.close()
    throw error
  }
}

async function install(
  subject: Subject,
  cluster: Cluster,
  services: readonly BenchService[],
): Promise<void> {
  switch (subject) {
    case 'none':
    case 'none again':
      return
    case 'kube-shunt':
      cluster.objects.put(...services.flatMap(objectsOf))
      await Promise.all(cluster.nodes.map((node) => node.startAgent({ flags: flagsFor(services) })))
      return
    case 'iptables':
      await onNodes(cluster, ['iptables-legacy-restore', '--wait', '30'], () =>
        iptablesRules(services),
      )
      return
    case 'nftables':
      await onNodes(cluster, ['nft', '--file', '-'], (node) =>
        nftablesRules(services, { name: node.name, address: node.addresses.IPv4 }),
      )
  }
}

/** kube-proxy runs on every node, so the rules are on every node. */
async function onNodes(
  cluster: Cluster,
  command: readonly string[],
  input: (node: ClusterNode) => string,
): Promise<void> {
  for (const node of cluster.nodes)
    await node.exec(command, { input: input(node), timeoutMs: 300_000 })
}

function objectsOf(about: BenchService) {
  const { namespace, name, clusterIp, port, portName, endpoints } = about
  const ports = [{ name: portName, port, targetPort: backendPort }]
  const slicePorts = [{ name: portName, port: backendPort }]
  return [
    service({ namespace, name, clusterIps: [clusterIp], ports }),
    endpointSlice({ service: name, namespace, family: 'IPv4', ports: slicePorts, endpoints }),
  ]
}

/** Room for all, as a node of that size would be given. */
function flagsFor({ length }: readonly BenchService[]): string[] {
  const room = 2 ** Math.ceil(Math.log2(4 * length + 4096))
  return [`--frontends-max=${room}`, `--backends-max=${4 * room}`, '--flow-table-entries=524288']
}

/** Each target must lead to its backend, with the client's address kept. */
async function prove(
  { subject, client, targets }: World,
  backends: Readonly<Record<Placement, Pod>>,
): Promise<void> {
  for (const placement of placements) {
    const { direct, vip } = targets[placement]
    for (const target of isBare(subject) ? [direct] : [direct, vip]) {
      const answer = await askOnce(client, target)
      const wanted = backends[placement].name
      if (!answer.ok || answer.name !== wanted || answer.peer !== client.addresses.IPv4)
        throw new Error(`${subject}: ${target} must be ${wanted}: ${JSON.stringify(answer)}`)
    }
  }
}
