import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostPort } from '../cluster/addressing.ts'
import { createCluster } from '../cluster/cluster.ts'
import { holdCrowd, startFlood } from '../cluster/load.ts'
import { startEchoServer } from '../cluster/traffic.ts'

test('fifty thousand connections from one client to one server are held and counted', async () => {
  await using cluster = await createCluster({ profile: 'ptp', nodes: 1 })
  const outside = await cluster.addOutsideClient('outside')
  const node = cluster.nodes[0]!
  const server = await startEchoServer(node, [8080], { workers: 4 })
  const target = hostPort(node.addresses.IPv4, 8080)
  const crowd = await holdCrowd(outside, target, 50_000, { timeoutMs: 20_000 })
  const { answered, open, failed } = crowd.opened
  assert.deepEqual({ answered, open, failed }, { answered: 50_000, open: 50_000, failed: {} })
  assert.equal((await crowd.check()).checked, 50_000)
  await server.stop('SIGKILL')
  const gone = await crowd.check()
  assert.equal(gone.open, 0)
  assert.equal(gone.resets + gone.closed, 50_000)
  await crowd.stop()
})

test('a crowd says which source ports it has, and why it could not open', async () => {
  await using cluster = await createCluster({ profile: 'ptp', nodes: 1 })
  const outside = await cluster.addOutsideClient('outside')
  const node = cluster.nodes[0]!
  await startEchoServer(node, [8080])
  for (const family of cluster.families) {
    const target = hostPort(node.addresses[family], 8080)
    const sourcePorts = { low: 20_000, high: 20_009 }
    const crowd = await holdCrowd(outside, target, 10, { sourcePorts })
    const { stdout } = await node.exec(['ss', '-tnH', 'sport', '=', ':8080'])
    const seen = [...stdout.matchAll(/:(200\d\d)\s*$/gm)].map(([, port]) => Number(port)).sort()
    assert.deepEqual(
      seen,
      Array.from({ length: 10 }, (_, index) => 20_000 + index),
    )
    await crowd.stop()
    const taken = { low: 20_005, high: 20_019 }
    const first = await holdCrowd(outside, target, 5, {
      sourcePorts: { low: 20_008, high: 20_012 },
    })
    const second = await holdCrowd(outside, target, 10, { sourcePorts: taken })
    assert.deepEqual([second.opened.open, second.opened.failed], [10, {}], 'taken ports replaced')
    await Promise.all([first.stop(), second.stop()])
    const refused = await holdCrowd(outside, hostPort(node.addresses[family], 1), 10)
    assert.deepEqual(refused.opened.failed, { ECONNREFUSED: 10 })
    await refused.stop()
  }
})

for (const [family, sources] of [
  ['IPv4', '198.18.0.0/15'],
  ['IPv6', 'fd00:bad::/64'],
] as const)
  test(`${family}: a flood brings whole requests from spoofed addresses of its range`, async () => {
    await using cluster = await createCluster({ profile: 'ptp', nodes: 1 })
    const outside = await cluster.addOutsideClient('outside')
    const node = cluster.nodes[0]!
    await startEchoServer(node, [8080])
    const match = `${family === 'IPv4' ? 'ip' : 'ip6'} saddr ${sources}`
    await node.exec(['nft', '-f', '-'], {
      input: `table inet seen {
        set from { type ${family === 'IPv4' ? 'ipv4' : 'ipv6'}_addr; size 65536; flags dynamic; }
        counter requests { }
        chain input {
          type filter hook input priority 0;
          ${match} tcp dport 8080 tcp flags == syn add @from { ip${family === 'IPv4' ? '' : '6'} saddr } counter name requests
        }
      }\n`,
    })
    const target = hostPort(node.addresses[family], 8080)
    const flood = await startFlood(outside, target, { sources, count: 2000, rate: 20_000 })
    const report = await flood.finished
    assert.equal(report.sent + report.refused, 2000)
    const { stdout: counted } = await node.exec([
      'nft',
      'list',
      'counter',
      'inet',
      'seen',
      'requests',
    ])
    assert.equal(Number(/packets (\d+)/.exec(counted)?.[1]), report.sent)
    const { stdout: set } = await node.exec(['nft', '-j', 'list', 'set', 'inet', 'seen', 'from'])
    const elements = /"elem": \[(.*)\]/.exec(set)?.[1]?.split('",').length ?? 0
    assert.ok(elements > 1900, `${elements} sources`)
    const { stdout: stack } = await node.exec([
      'nstat',
      '-asz',
      'TcpInCsumErrors',
      'TcpExtListenDrops',
    ])
    assert.match(stack, /TcpInCsumErrors +0 /)
  })

test('a flood without a rate is as fast as one core can send', async () => {
  await using cluster = await createCluster({ profile: 'ptp', nodes: 1, families: ['IPv4'] })
  const outside = await cluster.addOutsideClient('outside')
  const target = hostPort(cluster.nodes[0]!.addresses.IPv4, 8080)
  const flood = await startFlood(outside, target, { sources: '198.18.0.0/15', seconds: 1 })
  const { sent, seconds } = await flood.finished
  assert.ok(sent > 50_000 && seconds < 3, `${sent} requests in ${seconds} s`)
})
