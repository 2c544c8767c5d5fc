import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostPort } from '../cluster/addressing.ts'
import { createCluster } from '../cluster/cluster.ts'
import { askOnce, startEchoServer } from '../cluster/traffic.ts'
import type { ClusterNode, Place } from '../cluster/types.ts'

const beyond = { IPv4: '198.51.100.1', IPv6: '2001:db8:1::1' }

async function seenAs(client: Place, address: string): Promise<string> {
  const answer = await askOnce(client, hostPort(address, 8080), { timeoutMs: 500 })
  return answer.ok ? answer.peer : answer.error
}

test('a second uplink leads to a LAN of its own', async () => {
  await using cluster = await createCluster({ profile: 'ptp', podsPerNode: 1, uplinks: 2 })
  const first = await cluster.addOutsideClient('outside')
  const second = await cluster.addOutsideClient('outside2', { lan: 2 })
  const [node1, node2] = cluster.nodes as [ClusterNode, ClusterNode]
  await startEchoServer(node1, [8080])
  await startEchoServer(node2.pod('a'), [8080])
  assert.deepEqual(
    node1.uplinks.map(({ device }) => device),
    ['eth0', 'eth1'],
  )
  for (const family of cluster.families) {
    const [one, two] = node1.uplinks.map(({ addresses }) => addresses[family]) as [string, string]
    assert.equal(one, node1.addresses[family])
    assert.equal(await seenAs(first, one), first.addresses[family])
    assert.equal(await seenAs(first, two), 'ENETUNREACH')
    assert.equal(await seenAs(second, two), second.addresses[family])
    assert.equal(await seenAs(second, one), 'ENETUNREACH')
    await second.routeVia(node2, [node2.podCidrs[family]])
    const pod = node2.pod('a').addresses[family]
    assert.equal(await seenAs(second, pod), second.addresses[family])
  }
  await assert.rejects(
    createCluster({ profile: 'ptp' }).then(async (small) => {
      await using one = small
      await one.addOutsideClient('outside', { lan: 2 })
    }),
    /no LAN 2/,
  )
})

for (const policyRouting of [true, false])
  test(`answers from eth1's address leave by ${policyRouting ? 'eth1' : 'the default'}`, async () => {
    const options = { profile: 'bridge', nodes: 1, uplinks: 2, policyRouting } as const
    await using cluster = await createCluster(options)
    const [node] = cluster.nodes as [ClusterNode]
    for (const family of cluster.families) {
      const source = node.uplinks[1]!.addresses[family]
      const route = ['ip', 'route', 'get', beyond[family], 'from', source]
      const { stdout } = await node.exec(route)
      assert.match(stdout, policyRouting ? /dev eth1/ : /dev eth0/)
    }
  })

for (const profile of ['bridge', 'ptp', 'vxlan'] as const)
  test(`${profile}: a node whose address is on lo is reached there by all`, async () => {
    const options = { profile, podsPerNode: 1, nodeAddress: 'loopback' } as const
    await using cluster = await createCluster(options)
    const outside = await cluster.addOutsideClient('outside')
    const far = await cluster.addFarClient('far')
    const [node1, node2] = cluster.nodes as [ClusterNode, ClusterNode]
    for (const place of [...cluster.pods, node1, far]) await startEchoServer(place, [8080])
    for (const family of cluster.families) {
      const own = node1.addresses[family]
      assert.match((await node1.exec(['ip', 'addr', 'show', 'lo'])).stdout, new RegExp(own))
      for (const client of [outside, far, node2.pod('a'), node1.pod('a')])
        assert.equal(await seenAs(client, own), client.addresses[family], client.name)
      assert.equal(await seenAs(node1, far.addresses[family]), own, 'what it sends is from there')
      const pod = node2.pod('a').addresses[family]
      assert.equal(await seenAs(node1.pod('a'), pod), node1.pod('a').addresses[family])
      assert.ok((await askOnce(node1, hostPort(pod, 8080))).ok)
    }
  })
