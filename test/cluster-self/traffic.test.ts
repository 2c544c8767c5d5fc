import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { hostPort } from '../cluster/addressing.ts'
import { createCluster } from '../cluster/cluster.ts'
import {
  askOnce,
  dial,
  measureLatency,
  pingPong,
  startDial,
  startEchoServer,
} from '../cluster/traffic.ts'
import type { Cluster, Pod } from '../cluster/types.ts'

let cluster: Cluster
let client: Pod
let server: Pod
let unreachable: Pod

before(async () => {
  cluster = await createCluster({ profile: 'bridge', podsPerNode: 2 })
  client = cluster.nodes[0]!.pod('a')
  server = cluster.nodes[1]!.pod('a')
  unreachable = cluster.nodes[1]!.pod('b')
  await unreachable.exec(['ip', 'link', 'set', 'eth0', 'down'])
})
after(() => cluster.close())

const ports = [0, 9001]
function nextPort(): number {
  ports[1]! += 1
  return ports[1]!
}

for (const family of ['IPv4', 'IPv6'] as const)
  for (const udp of [false, true]) {
    const label = `${family} ${udp ? 'UDP' : 'TCP'}`
    test(`${label}: five hundred flows ping without a loss`, async () => {
      const port = nextPort()
      await startEchoServer(server, [port], { name: 'echo' })
      const target = hostPort(server.addresses[family], port)
      const flows = await pingPong(client, target, 500, { udp, intervalMs: 100, timeoutMs: 5000 })
      const later = await flows.until(({ event }) => event === 'second')
      const report = await flows.stop()
      assert.ok(later.pings >= 500 && report.pings >= later.pings)
      assert.deepEqual(report.backends, { echo: 500 })
      assert.deepEqual(
        [report.open, report.resets, report.closed, report.timeouts, report.switched],
        [500, 0, 0, 0, 0],
      )
      assert.deepEqual(report.errors, {})
    })

    test(`${label}: dialling counts every answer, its backend and the client it saw`, async () => {
      const port = nextPort()
      await startEchoServer(server, [port], { name: 'echo' })
      const target = hostPort(server.addresses[family], port)
      const report = await dial(client, target, { udp, rate: 1000, count: 300 })
      assert.deepEqual([report.dialled, report.ok, report.failures], [300, 300, 0])
      assert.deepEqual(report.backends, { echo: 300 })
      assert.deepEqual(report.peers, { [client.addresses[family]]: 300 })
      assert.equal(report.latencyUs.count, 300)
    })

    test(`${label}: a port nobody listens on is refused, by name`, async () => {
      const target = hostPort(server.addresses[family], 1)
      const answer = await askOnce(client, target, { udp })
      assert.equal(!answer.ok && answer.error, 'ECONNREFUSED')
      // few: the kernel limits how many ICMP errors one peer gets in a second
      const report = await dial(client, target, { udp, rate: 500, count: 3 })
      assert.deepEqual([report.ok, report.failed], [0, { ECONNREFUSED: 3 }])
    })

    test(`${label}: a pod that does not answer is a timeout`, async () => {
      const target = hostPort(unreachable.addresses[family], 8080)
      const answer = await askOnce(client, target, { udp, timeoutMs: 200 })
      assert.equal(!answer.ok && answer.error, 'timeout')
    })

    test(`${label}: latency is measured to several targets in turn`, async () => {
      const port = nextPort()
      await startEchoServer(server, [port])
      const target = hostPort(server.addresses[family], port)
      const targets = { first: target, second: target }
      for (const mode of ['crr', 'rr'] as const) {
        const reports = await measureLatency(client, targets, { mode, udp, count: 200 })
        assert.deepEqual(
          reports.map((report) => [report.target, report.errors, report.latencyUs.count]),
          [
            ['first', 0, 200],
            ['second', 0, 200],
          ],
        )
        const { min, p50, p95, p99, max } = reports[0]!.latencyUs
        const ordered = [min, p50 * 1.02, p95 * 1.03, p99 * 1.04, max * 1.05]
        assert.deepEqual(
          ordered,
          ordered.toSorted((a, b) => a - b),
        )
      }
    })
  }

test('flows notice a server that is killed', async () => {
  const port = nextPort()
  const echo = await startEchoServer(server, [port])
  const flows = await pingPong(client, hostPort(server.addresses.IPv4, port), 20)
  await echo.stop('SIGKILL')
  const { closed, resets } = await flows.until(({ open }) => open === 0)
  assert.equal(closed + resets, 20)
  await flows.stop()
})

test('flows notice a pause: timeouts and the length of the gap, yet no flow lost', async () => {
  const port = nextPort()
  const echo = await startEchoServer(server, [port])
  const target = hostPort(server.addresses.IPv6, port)
  const flows = await pingPong(client, target, 5, { intervalMs: 20, timeoutMs: 300 })
  process.kill(echo.process.pid, 'SIGSTOP')
  const paused = await flows.until(({ timeouts }) => timeouts === 5)
  process.kill(echo.process.pid, 'SIGCONT')
  await flows.until(({ pings }) => pings > paused.pings + 50)
  const report = await flows.stop()
  assert.ok(report.maxGapMs >= 300, `${report.maxGapMs} ms`)
  assert.deepEqual([report.open, report.resets, report.closed], [5, 0, 0])
})

test('a reset is told from a close', async () => {
  const port = nextPort()
  await startEchoServer(server, [port], { closeAfterAnswer: true })
  const flows = await pingPong(client, hostPort(server.addresses.IPv4, port), 3)
  const { closed, resets } = await flows.until(({ open }) => open === 0)
  assert.equal(closed + resets, 3)
  await flows.stop()
})

test('UDP from a fixed port keeps it, connected or not', async () => {
  const port = nextPort()
  await startEchoServer(server, [port])
  const target = hostPort(server.addresses.IPv4, port)
  for (const unconnected of [false, true]) {
    const answer = await askOnce(client, target, { udp: true, sourcePort: 5353, unconnected })
    assert.equal(answer.ok && answer.peerPort, 5353)
    const report = await dial(client, target, { udp: true, sourcePort: 5353, unconnected })
    assert.deepEqual([report.ok, report.failures], [100, 0])
  }
})

test('TCP from a chosen port and address is seen with them', async () => {
  const port = nextPort()
  await startEchoServer(server, [port])
  const families = ['IPv4', 'IPv6'] as const
  for (const family of families) {
    const target = hostPort(server.addresses[family], port)
    const answer = await askOnce(client, target, { sourcePort: 5353 })
    assert.deepEqual(answer.ok && [answer.peer, answer.peerPort], [client.addresses[family], 5353])
  }
  const [more] = await client.addAddresses(1) // the kernel may prefer a newer address from here on
  for (const family of families) {
    const target = hostPort(server.addresses[family], port)
    const answer = await askOnce(client, target, { source: hostPort(more![family], 5354) })
    assert.deepEqual(answer.ok && [answer.peer, answer.peerPort], [more![family], 5354])
  }
})

test('a silence is as long as the server was away', async () => {
  const port = nextPort()
  const echo = await startEchoServer(server, [port], { only: 'UDP' })
  const target = hostPort(server.addresses.IPv4, port)
  const dialling = startDial(client, target, { udp: true, rate: 200, timeoutMs: 200 })
  await dialling.until(({ ok }) => ok > 0)
  await echo.stop()
  await dialling.until(({ failures }) => failures > 20)
  await startEchoServer(server, [port], { only: 'UDP', name: 'second' })
  await dialling.until(({ backends }) => (backends['second'] ?? 0) > 0)
  const report = await dialling.stop()
  assert.ok(report.longestSilenceMs > 100, `${report.longestSilenceMs} ms`)
  assert.ok(Object.keys(report.failed).includes('ECONNREFUSED'), JSON.stringify(report.failed))
})
