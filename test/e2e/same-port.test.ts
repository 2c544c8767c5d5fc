import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startDial } from '../cluster/traffic.ts'
import { families, nameOf, profiles, serviceFor, startServing, untilServed } from './serving.ts'

const program = fileURLToPath(new URL('same-port.ts', import.meta.url))

for (const profile of profiles)
  test(`${profile}: one client port works through several VIPs to one backend at once`, async () => {
    const serving = await startServing({ profile }, {}, (cluster) =>
      [1, 2, 3].flatMap((n) => serviceFor(cluster, n, [cluster.nodes[1]!.pod('a')])),
    )
    try {
      const client = serving.pod(1, 'a')
      const backend = nameOf(serving.pod(2, 'a'))
      for (const family of families) {
        const vips = [1, 2, 3].map((n) => serving.vip(n, family))
        for (const vip of vips) await untilServed(client, vip)
        const { stdout } = await client.exec([process.execPath, program, '25000', ...vips])
        assert.deepEqual(JSON.parse(stdout), Array(9).fill(backend))

        const options = { rate: 100, sourcePort: 25_001, count: 100 }
        const dialling = vips.map((vip) => startDial(client, vip, { ...options, udp: true }))
        for (const { finished } of dialling) {
          const { ok, failed } = await finished
          /* Between bind and connect another's socket takes any answer to their common port. */
          const { timeout = 0, ...others } = failed
          assert.deepEqual([others, ok + timeout], [{}, 100])
          assert.ok(timeout <= 3, `${timeout} of 100 without an answer`)
        }
      }
    } finally {
      await serving.cluster.close()
    }
  })
