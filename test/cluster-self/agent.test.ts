import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { connectApiServer } from '../cluster/api-source.ts'
import { startApiServer } from '../cluster/api-server/server.ts'
import { hostPort } from '../cluster/addressing.ts'
import { createCluster } from '../cluster/cluster.ts'
import { podSlices, service } from '../cluster/objects.ts'
import { dial, startEchoServer } from '../cluster/traffic.ts'
import type { Cluster } from '../cluster/types.ts'

const ports = [{ port: 80, targetPort: 8080 }]

function webObjects(cluster: Cluster) {
  const clusterIps = cluster.families.map((family) => cluster.clusterIp(1, family))
  return [
    service({ name: 'web', ports, clusterIps }),
    ...podSlices({ service: 'web', ports }, cluster.pods),
  ]
}

/** Every backend answers on the VIP, from a pod of each node. */
async function assertServed(cluster: Cluster): Promise<void> {
  for (const node of cluster.nodes)
    for (const family of cluster.families) {
      const vip = hostPort(cluster.clusterIp(1, family), 80)
      const report = await dial(node.pod('a'), vip, { rate: 500, count: 100 })
      assert.deepEqual([report.ok, Object.keys(report.backends).length], [100, cluster.pods.length])
    }
}

test('an agent per node serves what the cluster file says, and restarts', async () => {
  await using cluster = await createCluster({ profile: 'ptp', podsPerNode: 1 })
  const named = cluster.pods.map((pod) => startEchoServer(pod, [8080], { name: pod.netns }))
  await Promise.all(named)
  cluster.objects.put(...webObjects(cluster))
  const agents = await Promise.all(cluster.nodes.map((node) => node.startAgent()))
  await assertServed(cluster)
  assert.equal((await agents[0]!.get('/livez')).status, 200)
  assert.ok(existsSync(cluster.nodes[0]!.bpffs))
  const { stdout } = await cluster.nodes[0]!.shunt(['dump', '-o', 'json'])
  assert.ok(stdout.includes('default/web'))
  const again = await agents[0]!.restart('SIGKILL')
  assert.notEqual(again.pid, agents[0]!.pid)
  assert.equal((await agents[0]!.exited).signal, 'SIGKILL')
  await assertServed(cluster)
  assert.equal((await again.stop()).code, 0)
  const { bpffs } = cluster.nodes[0]!
  await cluster.close()
  assert.ok(!existsSync(bpffs), 'its pins are gone with the cluster')
})

test('agents serve what an API server of this process says', async () => {
  await using cluster = await createCluster({ profile: 'bridge', podsPerNode: 1 })
  const named = cluster.pods.map((pod) => startEchoServer(pod, [8080], { name: pod.netns }))
  await Promise.all(named)
  const server = await startApiServer()
  try {
    const source = await connectApiServer(cluster, server)
    for (const object of webObjects(cluster)) server.put(object)
    await Promise.all(cluster.nodes.map((node) => node.startAgent({ source })))
    await assertServed(cluster)
  } finally {
    await server.close()
  }
})

test('an agent that cannot start says why', async () => {
  await using cluster = await createCluster({ profile: 'bridge', nodes: 1 })
  const start = cluster.nodes[0]!.startAgent({ flags: ['--no-such-flag'] })
  await assert.rejects(start, /ended before it was ready[^]*no-such-flag/)
})
