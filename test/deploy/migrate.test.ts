import assert from 'node:assert/strict'
import { test } from 'node:test'
import { iptablesRules } from '../../bench/latency/iptables-rules.ts'
import { nftablesRules } from '../../bench/latency/nftables-rules.ts'
import type { BenchService } from '../../bench/latency/services.ts'
import { hostPort } from '../cluster/addressing.ts'
import { createCluster } from '../cluster/cluster.ts'
import { pingPong, startDial } from '../cluster/traffic.ts'
import type { Cluster, ClusterNode } from '../cluster/types.ts'
import { untilAsked } from './hand-over.ts'
import { answerOn, eventually, podPort, serviceFor, untilServed, vipPort } from '../e2e/serving.ts'

/** How a mode's rules come and go; what takes them away is what the documentation says. */
interface Mode {
  readonly name: string
  readonly put: (node: ClusterNode, service: BenchService) => Promise<unknown>
  readonly remove: string
}

const within = 15_000
const modes: readonly Mode[] = [
  {
    name: 'iptables',
    put: (node, service) =>
      node.exec(['iptables-legacy-restore'], { input: iptablesRules([service]) }),
    remove: 'iptables-legacy-save | grep -v KUBE | iptables-legacy-restore',
  },
  {
    name: 'nftables',
    put: (node, service) => {
      const own = { name: node.name, address: node.addresses.IPv4 }
      return node.exec(['nft', '--file', '-'], { input: nftablesRules([service], own) })
    },
    remove: 'nft delete table ip kube-proxy',
  },
]

for (const mode of modes) {
  test(`from kube-proxy's ${mode.name} rules and back: what goes on and what is cut`, async (t) => {
    const { cluster, node, service } = await build()
    t.after(() => cluster.close())
    const client = node.pod('a')
    const vip = hostPort(service.clusterIp, vipPort)
    const by = 'node1/b'
    await mode.put(node, service)
    await untilServed(client, vip, { by, within })
    const old = await pingPong(client, vip, 20)
    const dialling = startDial(client, vip, { rate: 50 })

    const agent = await node.startAgent()
    await eventually(async () => assert.ok((await flows(node)) > 5), within)
    await node.exec(['sh', '-c', mode.remove])
    const fresh = await pingPong(client, vip, 20)
    await untilAsked(old, 60)
    const { open, resets, timeouts, switched } = await old.stop()
    assert.deepEqual([open, resets, timeouts, switched], [20, 0, 0, 0])

    await mode.put(node, service)
    await agent.stop()
    const { stdout } = await node.shunt(['cleanup'])
    assert.match(stdout, /hooks freed/)
    await untilServed(client, vip, { by, within })
    /* There is no drain yet (docs/limits.md): this is what docs/migrate-from-kube-proxy.md says. */
    await fresh.until(({ resets }) => resets >= 15)
    await fresh.stop()
    const { failed, ok } = await dialling.stop()
    const failures = Object.values(failed).reduce((sum, count) => sum + count, 0)
    t.diagnostic(`new connections: ${ok} ok, failed ${JSON.stringify(failed)}`)
    assert.ok(ok > 100 && failures <= 1, 'at most the one under way when the programs went')
    await node.exec(['sh', '-c', mode.remove])
  })
}

/* Masquerading, as CNIs do: without any rule of NAT the kernel forgets to translate old connections. */
async function build(): Promise<{ cluster: Cluster; node: ClusterNode; service: BenchService }> {
  const cluster = await createCluster({
    profile: 'ptp',
    nodes: 1,
    podsPerNode: 3,
    masquerade: true,
  })
  const node = cluster.nodes[0]!
  const backends = [node.pod('b'), node.pod('c')]
  await Promise.all(backends.map((pod) => answerOn(pod)))
  cluster.objects.put(...serviceFor(cluster, 1, backends))
  const endpoints = backends.map(({ addresses }) => ({
    ...{ address: addresses.IPv4, port: podPort, nodeName: node.name },
  }))
  const clusterIp = cluster.clusterIp(1)
  const about = { namespace: 'default', name: 'web1', portName: 'tcp', port: vipPort }
  return { cluster, node, service: { ...about, clusterIp, endpoints } }
}

async function flows(node: ClusterNode): Promise<number> {
  const { stdout } = await node.shunt(['dump', '-o', 'json'])
  return (JSON.parse(stdout) as { flows: { count: number } }).flows.count
}
