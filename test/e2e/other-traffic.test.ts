import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostPort } from '../cluster/addressing.ts'
import { createCluster } from '../cluster/cluster.ts'
import { askOnce, pingPong } from '../cluster/traffic.ts'
import type { ClusterNode } from '../cluster/types.ts'
import {
  answerOn,
  families,
  podPort,
  profiles,
  serviceFor,
  startAgent,
  startServing,
  untilServed,
  vipPort,
} from './serving.ts'

for (const profile of profiles)
  test(`${profile}: traffic that is for no Service does not notice the agent`, async () => {
    await using cluster = await createCluster({ profile, podsPerNode: 2, masquerade: true })
    const [node1, node2] = cluster.nodes as [ClusterNode, ClusterNode]
    const [client, server] = [node1.pod('a'), node2.pod('a')]
    await answerOn(server)
    const flows = await Promise.all(
      families.flatMap((family) =>
        [false, true].map((udp) =>
          pingPong(client, hostPort(server.addresses[family], podPort), 5, { udp, intervalMs: 20 }),
        ),
      ),
    )
    cluster.objects.put(...serviceFor(cluster, 1, [server]))
    const agents = await Promise.all(cluster.nodes.map((node) => startAgent(node)))
    await untilServed(client, hostPort(cluster.clusterIp(1), vipPort))
    for (const other of [node1.pod('b'), node2.pod('b'), node1, node2, cluster.lan])
      for (const family of families)
        await client.exec([
          'ping',
          '-q',
          '-c',
          '3',
          '-i',
          '0.01',
          '-W',
          '1',
          other.addresses[family],
        ])
    await Promise.all(agents.map((agent) => agent.stop('SIGKILL')))
    for (const flow of flows) {
      const { resets, closed, timeouts, switched } = await flow.stop()
      assert.deepEqual([resets, closed, timeouts, switched], [0, 0, 0, 0])
    }
  })

test('a port that a connection through a VIP used can be used without the VIP next', async () => {
  await using cluster = (await startServing({ profile: 'ptp' })).cluster
  const [client, backend] = [cluster.nodes[0]!.pod('a'), cluster.nodes[1]!.pod('a')]
  cluster.objects.put(...serviceFor(cluster, 1, [backend]))
  const vip = hostPort(cluster.clusterIp(1), vipPort)
  await untilServed(client, vip)
  for (let sourcePort = 20_000; sourcePort < 20_010; sourcePort++) {
    const options = { sourcePort, timeoutMs: 800 }
    const first = await askOnce(client, vip, options)
    assert.ok(first.ok, JSON.stringify(first))
    /* Not at once: the backend may not have closed the first connection yet. */
    const direct = hostPort(backend.addresses.IPv4, podPort)
    await untilServed(client, direct, { ...options, within: 3_000 })
  }
})
