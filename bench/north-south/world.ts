import { createCluster } from '../../test/cluster/cluster.ts'
import { podSlices, service } from '../../test/cluster/objects.ts'
import { askOnce, startEchoServer } from '../../test/cluster/traffic.ts'
import type { Cluster, ClusterNode, Place } from '../../test/cluster/types.ts'
import { attachWay, bestNetfilterRules, masqueradeRules, type Port } from './ways.ts'

/** Ways to a backend on another node; "wire": uplinks that XDP can use, see ClusterOptions.xdp. */
export const subjects = [
  ...['bare', 'bare again', 'kube-shunt tc', 'netfilter', 'mark and masquerade', 'redirect'],
  ...['bare, wire', 'kube-shunt tc, wire', 'redirect, wire', 'kube-shunt XDP, wire'],
] as const

/** A cluster of its own for one subject, so that nobody pays for another's hooks. */
export interface World {
  readonly subject: string
  readonly profile: 'bridge' | 'ptp'
  readonly client: Place
  readonly targets: Readonly<Record<'direct', string>> & Readonly<Record<string, string>>
  close(): Promise<void>
}

const nodePort = 30_080
const backendPort = 8080
/* Replies from this port are nobody's. */
const directPort = 8081

/** Builds the cluster, installs the subject and proves that it works. */
export async function buildWorld(subject: string, profile: 'bridge' | 'ptp'): Promise<World> {
  const cluster = await createCluster({ profile, xdp: isWire(subject) })
  try {
    const [first, second] = cluster.nodes as [ClusterNode, ClusterNode]
    const pod = await second.addPod('far')
    await startEchoServer(pod, [backendPort, directPort])
    const client = await cluster.addOutsideClient('client')
    await client.routeVia(first, [`${pod.addresses.IPv4}/32`])
    await goBothWaysBy(first, second, client)
    const backend = { address: pod.addresses.IPv4, port: backendPort }
    await install(subject, cluster, { nodePort, backend })
    const direct = `${backend.address}:${directPort}`
    await prove(client, direct, client.addresses.IPv4)
    const proxied = `${first.addresses.IPv4}:${nodePort}`
    if (!subject.startsWith('bare')) await prove(client, proxied, first.addresses.IPv4)
    if (subject.startsWith('kube-shunt')) await proveXdp(first, subject.includes('XDP'))
    const targets = { direct, ...(!subject.startsWith('bare') && { nodePort: proxied }) }
    return { subject, profile, client, targets, close: () => cluster.close() }
  } catch (error) {
    await cluster.close()
    throw error
  }
}

/** Are uplinks as if behind a wire, checksums computed and segments cut? */
export function isWire(subject: string): boolean {
  return subject.endsWith(', wire')
}

/** Answers take the way of the questions; otherwise a direct one would save the first node. */
async function goBothWaysBy(first: ClusterNode, second: ClusterNode, client: Place): Promise<void> {
  const back = [`${client.addresses.IPv4}/32`, 'via', first.addresses.IPv4]
  await second.exec(['ip', 'route', 'add', ...back])
  for (const device of ['all', first.uplink])
    await first.exec(['sysctl', '-qw', `net.ipv4.conf.${device}.send_redirects=0`])
}

async function install(subject: string, cluster: Cluster, port: Port): Promise<void> {
  const first = cluster.nodes[0]!
  const nft = (input: string) => first.exec(['nft', '--file', '-'], { input })
  switch (subject.replace(', wire', '')) {
    case 'kube-shunt tc':
      return startAgents(cluster, 'off')
    case 'kube-shunt XDP':
      return startAgents(cluster, 'native')
    case 'netfilter':
      await nft(bestNetfilterRules(first, port))
      return
    case 'mark and masquerade':
      await nft(masqueradeRules())
      await attachWay(first, port, { mark: 'ingress', mark_replies: 'egress' })
      return
    case 'redirect':
      await attachWay(first, port, { redirect: 'ingress' })
  }
}

async function startAgents(cluster: Cluster, xdp: 'off' | 'native'): Promise<void> {
  const ports = [{ port: 80, targetPort: backendPort, nodePort }]
  const clusterIps = [cluster.clusterIp(1)]
  cluster.objects.put(
    service({ name: 'web', type: 'NodePort', ports, clusterIps }),
    ...podSlices({ service: 'web', ports }, [cluster.nodes[1]!.pod('far')]),
  )
  await Promise.all(cluster.nodes.map((node) => node.startAgent({ flags: [`--xdp=${xdp}`] })))
}

async function prove(client: Place, target: string, peer: string): Promise<void> {
  const answer = await askOnce(client, target)
  if (!answer.ok || answer.name !== 'far' || answer.peer !== peer)
    throw new Error(`${target} must be far, asked by ${peer}: ${JSON.stringify(answer)}`)
}

/** The flow of the proof tells who sends its packets on. */
async function proveXdp(node: ClusterNode, wanted: boolean): Promise<void> {
  const metrics = ['curl', '--silent', '--show-error', 'http://127.0.0.1:10249/metrics']
  const { stdout } = await node.exec(metrics)
  const lines = stdout.split('\n').filter((line) => line.includes('"xdp_forward"'))
  const sent = lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  if (sent > 0 !== wanted) throw new Error(`XDP sent ${sent} packets on: ${lines.join()}`)
}
