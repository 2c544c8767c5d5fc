import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostPort } from '../cluster/addressing.ts'
import { createCluster } from '../cluster/cluster.ts'
import { askOnce, measureLatency, pingPong, startEchoServer } from '../cluster/traffic.ts'
import type { Cluster, ClusterNode, Family, Place, VipRoutes } from '../cluster/types.ts'

const vips = { IPv4: '203.0.113.7', IPv6: '2001:db8:7::7' }

/** Servers on each node, and a VIP that each node takes for its own. */
async function serveVips(cluster: Cluster): Promise<void> {
  for (const node of cluster.nodes) {
    for (const family of cluster.families)
      await node.exec(['ip', 'addr', 'add', vips[family], 'dev', 'lo'])
    await startEchoServer(node, [8080])
  }
}

/** Who answers at an address, or what goes wrong. */
async function answerer(client: Place, address: string, udp = false): Promise<string> {
  const answer = await askOnce(client, hostPort(address, 8080), { udp, timeoutMs: 500 })
  return answer.ok ? answer.name : answer.error
}

test('an outside client reaches nodes, and nothing else until it is told a way', async () => {
  await using cluster = await createCluster({ profile: 'ptp', podsPerNode: 1 })
  const outside = await cluster.addOutsideClient('outside')
  const [node1, node2] = cluster.nodes as [ClusterNode, ClusterNode]
  await startEchoServer(node2, [8080])
  const pod = node2.pod('a')
  await startEchoServer(pod, [8080], { name: 'pod' })
  for (const family of cluster.families) {
    assert.equal(await answerer(outside, node2.addresses[family]), 'node2')
    for (const beyond of [pod.addresses[family], cluster.clusterIp(1, family)])
      for (const udp of [false, true])
        assert.equal(await answerer(outside, beyond, udp), 'ENETUNREACH')
    await outside.routeVia(node1, [node2.podCidrs[family], cluster.serviceCidrs[family]])
    assert.equal(await answerer(outside, pod.addresses[family]), 'pod')
    await outside.unroute([node2.podCidrs[family]])
    assert.equal(await answerer(outside, pod.addresses[family]), 'ENETUNREACH')
    const route = ['ip', 'route', 'get', cluster.clusterIp(1, family)]
    assert.match((await outside.exec(route)).stdout, new RegExp(`via ${node1.addresses[family]} `))
  }
})

for (const kind of ['outside', 'far'] as const)
  test(`the VIP routes of ${kind} clients move from node to node`, async () => {
    await using cluster = await createCluster({ profile: 'ptp' })
    const client =
      kind === 'outside'
        ? await cluster.addOutsideClient('client')
        : await cluster.addFarClient('client')
    await serveVips(cluster)
    for (const family of cluster.families) await assertMoves(cluster, client, family)
  })

async function assertMoves(
  cluster: Cluster,
  client: Place & VipRoutes,
  family: Family,
): Promise<void> {
  const [node1, node2] = cluster.nodes as [ClusterNode, ClusterNode]
  const vip = vips[family]
  const bits = family === 'IPv6' ? 128 : 32
  await client.routeVia(node1, [`${vip}/${bits}`])
  assert.equal(await answerer(client, vip), 'node1')
  const flows = await pingPong(client, hostPort(vip, 8080), 5, { udp: true, intervalMs: 20 })
  await client.routeVia(node2, [vip])
  for (const udp of [false, true]) assert.equal(await answerer(client, vip, udp), 'node2')
  const moved = await flows.until(({ backends }) => backends['node2'] === 5)
  assert.equal(moved.switched, 5)
  await flows.stop()
  await client.unroute([vip])
  assert.match(await answerer(client, vip), /ENETUNREACH|EHOSTUNREACH|timeout/)
}

test('a far client is behind two routers, and no larger packet than 1300 bytes', async () => {
  await using cluster = await createCluster({ profile: 'bridge', podsPerNode: 1 })
  const far = await cluster.addFarClient('far')
  const node = cluster.nodes[0]!
  const pod = node.pod('a')
  for (const family of cluster.families) {
    await far.routeVia(node, [node.podCidrs[family]])
    const near = node.addresses[family]
    assert.equal(await pings(far, ['-t', '2', near]), false)
    assert.equal(await pings(far, ['-t', '3', near]), true)
    const headers = family === 'IPv6' ? 48 : 28
    assert.equal(await pings(far.router, ['-M', 'do', '-s', String(1300 - headers), near]), true)
    assert.equal(await pings(far.router, ['-M', 'do', '-s', String(1301 - headers), near]), false)
    for (const server of [pod, node]) {
      const target = hostPort(server.addresses[family], 8080)
      if (family === 'IPv4') await startEchoServer(server, [8080])
      await assertTransfer(far, target, { size: 50_000, count: 20 })
      assert.match(await routeTo(far, server.addresses[family]), /mtu 1300/, 'the client was told')
      await far.exec(['ip', 'route', 'flush', 'cache']) // else it offers the server no more than that
      await far.exec(['ip', '-6', 'route', 'flush', 'cache'])
      await assertTransfer(far, target, { ask: 'send 1000000', count: 1 })
      const learnt = await routeTo(server, far.addresses[family])
      assert.match(learnt, /mtu 1300/, `${server.name} was told`)
    }
  }
})

async function routeTo(place: Place, address: string): Promise<string> {
  return (await place.exec(['ip', 'route', 'get', address])).stdout
}

test('without the errors of the router a transfer to a far client stalls', async () => {
  await using cluster = await createCluster({ profile: 'ptp', nodes: 1, families: ['IPv4'] })
  const far = await cluster.addFarClient('far')
  const node = cluster.nodes[0]!
  await startEchoServer(node, [8080])
  const target = hostPort(node.addresses.IPv4, 8080)
  const table = 'table ip deaf { chain output { type filter hook output priority 0; '
  const rule = 'icmp type destination-unreachable drop; }; }'
  await cluster.lan.exec(['nft', '-f', '-'], { input: `${table}${rule}\n` })
  const ask = { mode: 'crr', count: 1, warmup: 0, ask: 'send 100000' } as const
  const [stalled] = await measureLatency(far, { target }, ask)
  assert.equal(stalled!.errors, 1)
  await cluster.lan.exec(['nft', 'delete', 'table', 'ip', 'deaf'])
  const [whole] = await measureLatency(far, { target }, ask)
  assert.equal(whole!.errors, 0)
})

async function assertTransfer(
  client: Place,
  target: string,
  what: { readonly size?: number; readonly ask?: string; readonly count: number },
): Promise<void> {
  const [report] = await measureLatency(client, { target }, { mode: 'crr', warmup: 0, ...what })
  assert.equal(report!.errors, 0, target)
}

async function pings(place: Place, flags: readonly string[]): Promise<boolean> {
  const command = ['ping', '-c', '3', '-i', '0.1', '-W', '1', ...flags]
  return (await place.exec(command, { mayFail: true })).code === 0
}

test('jumbo frames pass between outside, nodes and pods of every profile', async () => {
  for (const profile of ['bridge', 'ptp', 'vxlan'] as const) {
    await using cluster = await createCluster({ profile, podsPerNode: 1, mtu: 9000 })
    const outside = await cluster.addOutsideClient('outside')
    const [node1, node2] = cluster.nodes as [ClusterNode, ClusterNode]
    const whole = profile === 'vxlan' ? { IPv4: 8950, IPv6: 8930 } : { IPv4: 9000, IPv6: 9000 }
    for (const family of cluster.families) {
      const headers = family === 'IPv6' ? 48 : 28
      const flags = (size: number) => ['-M', 'do', '-s', String(size - headers)]
      assert.ok(
        await pings(outside, [...flags(9000), node1.addresses[family]]),
        `${profile} ${family} LAN`,
      )
      const to = node2.pod('a').addresses[family]
      assert.ok(await pings(node1.pod('a'), [...flags(whole[family]), to]), `${profile} ${family}`)
      assert.ok(!(await pings(node1.pod('a'), [...flags(whole[family] + 1), to])))
    }
  }
})
