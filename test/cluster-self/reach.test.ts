import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostPort } from '../cluster/addressing.ts'
import { createCluster } from '../cluster/cluster.ts'
import { askOnce, measureLatency, startEchoServer } from '../cluster/traffic.ts'
import type { Cluster, ClusterOptions, Place } from '../cluster/types.ts'

/** What every client gets from every server, as "client > server family protocol: what is wrong". */
async function faults(
  cluster: Cluster,
  clients: readonly Place[],
  servers: readonly Place[],
): Promise<string[]> {
  const asked = clients.flatMap((client) =>
    servers.flatMap((server) =>
      cluster.families.flatMap((family) =>
        [false, true].map(async (udp) => {
          const from = client.addresses[family]
          const answer = await askOnce(client, hostPort(server.addresses[family], 8080), { udp })
          const label = `${from} > ${server.addresses[family]} ${udp ? 'UDP' : 'TCP'}`
          if (!answer.ok) return `${label}: ${answer.error}`
          if (answer.name !== server.netns) return `${label}: answered by ${answer.name}`
          return answer.peer === from ? '' : `${label}: seen as ${answer.peer}`
        }),
      ),
    ),
  )
  return (await Promise.all(asked)).filter((fault) => fault !== '')
}

async function serveEverywhere(places: readonly Place[]): Promise<void> {
  await Promise.all(places.map((place) => startEchoServer(place, [8080], { name: place.netns })))
}

const variants: readonly ClusterOptions[] = [
  { profile: 'bridge' },
  { profile: 'ptp' },
  { profile: 'vxlan' },
  { profile: 'bridge', firewall: true, rpFilter: 'strict', masquerade: true },
  { profile: 'ptp', firewall: true, rpFilter: 'strict', masquerade: true },
  { profile: 'vxlan', firewall: true, rpFilter: 'strict', masquerade: true },
  { profile: 'bridge', bridgeNetfilter: true, firewall: true, checksumOffload: 'off' },
  { profile: 'ptp', checksumOffload: 'off' },
  { profile: 'bridge', families: ['IPv4'] },
  { profile: 'ptp', xdp: true, mtu: 9000, uplinks: 2, policyRouting: true },
  { profile: 'ptp', xdp: true, firewall: true, rpFilter: 'strict', masquerade: true, uplinks: 2 },
  { profile: 'vxlan', xdp: true, mtu: 9000, nodeAddress: 'loopback', firewall: true },
  { profile: 'bridge', families: ['IPv6'], xdp: true, nodeAddress: 'loopback', uplinks: 2 },
  { profile: 'ptp', families: ['IPv6'] },
  { profile: 'vxlan', families: ['IPv6'] },
]

for (const variant of variants)
  test(`every pod reaches every pod and is seen as itself: ${JSON.stringify(variant)}`, async () => {
    await using cluster = await createCluster({ ...variant, podsPerNode: 2 })
    await serveEverywhere(cluster.pods)
    assert.deepEqual(await faults(cluster, cluster.pods, cluster.pods), [])
  })

for (const profile of ['bridge', 'ptp', 'vxlan'] as const)
  test(`${profile}: pods, nodes and outside machines reach each other`, async () => {
    await using cluster = await createCluster({ profile, podsPerNode: 1 })
    const [node1, node2] = cluster.nodes
    const machine = await cluster.addMachine('outside')
    await serveEverywhere([...cluster.nodes, ...cluster.pods, machine])
    assert.deepEqual(await faults(cluster, [machine, node1!], [node2!]), [])
    assert.deepEqual(await faults(cluster, cluster.nodes, [machine]), [])
    assert.deepEqual(await faults(cluster, [node1!.pod('a')], [node1!, node2!]), [])
    const fromNode = hostPort(node2!.pod('a').addresses[cluster.families[0]!], 8080)
    assert.equal((await askOnce(node1!, fromNode)).ok, true)
    assert.equal((await askOnce(node2!, fromNode)).ok, true)
  })

test('masquerade: the outside sees the node instead of the pod', async () => {
  await using cluster = await createCluster({ profile: 'ptp', podsPerNode: 1, masquerade: true })
  const machine = await cluster.addMachine('outside')
  await startEchoServer(machine, [8080])
  const node = cluster.nodes[0]!
  for (const family of cluster.families) {
    const answer = await askOnce(node.pod('a'), hostPort(machine.addresses[family], 8080))
    assert.equal(answer.ok && answer.peer, node.addresses[family])
  }
})

for (const profile of ['bridge', 'ptp', 'vxlan'] as const)
  test(`${profile}: one pod answers on a hundred addresses`, async () => {
    await using cluster = await createCluster({ profile, podsPerNode: 1 })
    const server = cluster.nodes[1]!.pod('a')
    const more = await server.addAddresses(100)
    await startEchoServer(server, [8080])
    const client = cluster.nodes[0]!.pod('a')
    for (const family of cluster.families)
      for (const address of [more[0]!, more[50]!, more[99]!])
        for (const udp of [false, true]) {
          const answer = await askOnce(client, hostPort(address[family], 8080), { udp })
          assert.equal(answer.ok && answer.local, address[family])
        }
  })

test('a removed pod is gone at once and its name can be used again', async () => {
  await using cluster = await createCluster({ profile: 'bridge', podsPerNode: 1 })
  const [node1, node2] = cluster.nodes
  const first = node2!.pod('a')
  await startEchoServer(first, [8080])
  await node2!.removePod(first)
  assert.deepEqual(node2!.pods, [])
  const { stdout } = await node2!.exec(['ip', '-br', 'link'])
  assert.ok(!stdout.includes(first.hostDevice), stdout)
  const second = await node2!.addPod('a')
  await startEchoServer(second, [8080])
  const target = hostPort(second.addresses.IPv4, 8080)
  assert.equal((await askOnce(node1!.pod('a'), target)).ok, true)
})

for (const profile of ['bridge', 'ptp', 'vxlan'] as const)
  test(`${profile}: large answers and large requests arrive whole on other nodes`, async () => {
    await using cluster = await createCluster({ profile, podsPerNode: 1 })
    const [client, server] = cluster.nodes.map((node) => node.pod('a'))
    await startEchoServer(server!, [8080])
    for (const family of cluster.families) {
      const target = { large: hostPort(server!.addresses[family], 8080) }
      const ask = { mode: 'crr', count: 1, warmup: 0 } as const
      const [down] = await measureLatency(client!, target, { ...ask, ask: 'send 3000000' })
      const [up] = await measureLatency(client!, target, { ...ask, size: 60_000 })
      assert.equal(down!.errors + up!.errors, 0)
      assert.ok(down!.bytes > 3_000_000, `${down!.bytes} bytes`)
    }
  })
