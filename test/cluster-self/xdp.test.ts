import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostPort } from '../cluster/addressing.ts'
import { createCluster } from '../cluster/cluster.ts'
import { measureLatency, pingPong, startEchoServer, tools } from '../cluster/traffic.ts'
import type { ClusterOptions, Place } from '../cluster/types.ts'

/* Sends datagrams of these sizes to port 7 and prints how many bytes came back unchanged. */
const bounced = `
import socket, sys
address, sizes = sys.argv[1], [int(size) for size in sys.argv[2:]]
s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2)
s.connect((address, 7))
for size in sizes:
    s.send(bytes([size % 251]) * size)
    back = s.recv(65536)
    print(len(back) if back == bytes([size % 251]) * size else 'changed')
`

async function bounce(client: Place, address: string, sizes: readonly number[]): Promise<number[]> {
  const command = ['python3', '-c', bounced, address, ...sizes.map(String)]
  const { stdout } = await client.exec(command, { mayFail: true })
  return stdout.split('\n').filter(Boolean).map(Number)
}

const attach = ['xdpdrv', 'obj', `${tools}xdp-bounce.bpf.o`, 'sec', 'xdp.frags']

for (const mtu of [1500, 9000])
  test(`native XDP of a node's uplink sends frames of MTU ${mtu} back whole`, async () => {
    const options: ClusterOptions = { profile: 'ptp', podsPerNode: 1, xdp: true, mtu, uplinks: 2 }
    await using cluster = await createCluster(options)
    const outside = await cluster.addOutsideClient('outside')
    const second = await cluster.addOutsideClient('outside2', { lan: 2 })
    const [node, other] = cluster.nodes
    for (const { device } of node!.uplinks)
      await node!.exec(['ip', 'link', 'set', 'dev', device, ...attach])
    const sizes = [1, 200, mtu - 48]
    for (const family of cluster.families) {
      const [first, eth1] = node!.uplinks.map(({ addresses }) => addresses[family])
      assert.deepEqual(await bounce(outside, first!, sizes), sizes)
      assert.deepEqual(await bounce(other!, first!, sizes), sizes, 'from a node')
      assert.deepEqual(await bounce(second, eth1!, sizes), sizes, 'on the second uplink')
    }
    await startEchoServer(node!, [8080])
    for (const family of cluster.families) {
      const target = hostPort(node!.addresses[family], 8080)
      const ask = { mode: 'crr', count: 1, warmup: 0, ask: 'send 3000000' } as const
      const [report] = await measureLatency(outside, { target }, ask)
      assert.equal(report!.errors, 0, 'all else passes')
    }
  })

test('with XDP pods of a profile reach each other as without', async () => {
  await using cluster = await createCluster({ profile: 'vxlan', podsPerNode: 1, xdp: true })
  const [client, server] = cluster.pods.map((pod): Place => pod)
  for (const node of cluster.nodes)
    await node.exec(['ip', 'link', 'set', 'dev', node.uplink, ...attach])
  await startEchoServer(server!, [8080])
  for (const family of cluster.families)
    for (const udp of [false, true]) {
      const target = hostPort(server!.addresses[family], 8080)
      const flows = await pingPong(client!, target, 10, { udp, intervalMs: 10 })
      const report = await flows.stop()
      assert.deepEqual([report.backends['a'], report.resets, report.timeouts], [10, 0, 0])
    }
})
