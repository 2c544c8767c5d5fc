import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { podSlices } from '../cluster/objects.ts'
import { askOnce, startDial, startEchoServer } from '../cluster/traffic.ts'
import type { Pod } from '../cluster/types.ts'
import { families, serviceFor, servingForAll, slicesFor, untilServed, vipPort } from './serving.ts'

/** Services 1 to 4 belong to one kind of client each; 5 has no backend, 6 changes under TCP. */
const kinds = families.flatMap((family) =>
  [false, true].map((unconnected) => ({ family, unconnected })),
)
const serving = servingForAll({ profile: 'ptp', podsPerNode: 2 }, {}, (cluster) =>
  [1, 2, 3, 4, 5, 6].flatMap((n) =>
    serviceFor(cluster, n, n === 5 ? [] : [cluster.nodes[1]!.pod('b')]),
  ),
)

describe('UDP clients that keep their port', { concurrency: true }, () => {
  for (const [index, { family, unconnected }] of kinds.entries()) {
    const kind = `${family} ${unconnected ? 'unconnected' : 'connected'}`
    const n = index + 1
    const dialOptions = {
      ...{ udp: true, unconnected, rate: 50, timeoutMs: 300 },
      sourcePort: 30_000 + n,
    }

    test(`${kind}: they follow to another backend within 500 ms, and survive having none`, async () => {
      const { cluster } = serving
      const client = serving.pod(1, 'a')
      const [first, second] = [serving.pod(2, 'a'), serving.pod(1, 'b')]
      /* Servers of their own, as the first is to fall silent without an ICMP error. */
      const port = 9_000 + n
      const doomed = await startEchoServer(first, [port], { name: 'doomed' })
      const heir = await startEchoServer(second, [port], { name: 'heir' })
      cluster.objects.put(...slicesAt(n, port, first))
      await untilServed(client, serving.vip(n, family), { udp: true, by: 'doomed' })
      const dialling = startDial(client, serving.vip(n, family), dialOptions)
      await dialling.until(({ ok }) => ok > 0)

      process.kill(doomed.process.pid, 'SIGSTOP')
      cluster.objects.put(...slicesAt(n, port, second))
      const moved = await dialling.until(({ backends }) => 'heir' in backends)
      assert.ok(moved.longestSilenceMs <= 500, `no answer for ${moved.longestSilenceMs} ms`)

      cluster.objects.put(...slicesFor(n, []))
      const silent = await dialling.until(({ failures }) => failures > moved.failures + 20)
      if (!unconnected) assert.ok((silent.failed['ECONNREFUSED'] ?? 0) > 0, JSON.stringify(silent))
      cluster.objects.put(...slicesAt(n, port, second))
      await dialling.until(({ ok }) => ok > silent.ok + 50, 3_000)
      await dialling.stop()
      await Promise.all([doomed.stop('SIGKILL'), heir.stop()])
    })
  }
})

for (const family of families)
  for (const udp of [false, true])
    test(`${family} ${udp ? 'UDP' : 'TCP'}: no backend, or a port that is not offered, refuses at once`, async () => {
      await refused(serving.vip(5, family), udp)
      await refused(serving.vip(6, family, 81), udp)
    })

test('TCP to a Service refuses while it has no backend, and answers before and after', async () => {
  const { cluster } = serving
  const [client, backend] = [serving.pod(1, 'a'), serving.pod(2, 'b')]
  const vip = serving.vip(6)
  for (let round = 0; round < 2; round++) {
    cluster.objects.put(...slicesFor(6, [backend]))
    await untilServed(client, vip, { within: 2_000 })
    cluster.objects.put(...slicesFor(6, []))
    const dialling = startDial(client, vip, { rate: 50 })
    const { failed } = await dialling.until(({ failures }) => failures > 10, 3_000)
    assert.deepEqual(Object.keys(failed), ['ECONNREFUSED'])
    await dialling.stop()
  }
})

async function refused(target: string, udp: boolean): Promise<void> {
  for (let attempt = 0; attempt < 5; attempt++) {
    const answer = await askOnce(serving.pod(1, 'a'), target, { udp, timeoutMs: 2_000 })
    assert.deepEqual([answer.ok, !answer.ok && answer.error], [false, 'ECONNREFUSED'])
    assert.ok(answer.ms < 1_000, `${answer.ms} ms`)
  }
}

/** Slices of Service `n` that lead to this port of a pod. */
function slicesAt(n: number, targetPort: number, pod: Pod): ReturnType<typeof podSlices> {
  const port = { port: vipPort, targetPort }
  const ports = [
    { ...port, name: 'tcp' },
    { ...port, name: 'udp', protocol: 'UDP' as const },
  ]
  return podSlices({ service: `web${n}`, ports }, [pod])
}
