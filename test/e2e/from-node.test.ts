import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dial, pingPong } from '../cluster/traffic.ts'
import type { Serving } from './serving.ts'
import { families, nameOf, profiles, serviceFor, startServing, untilServed } from './serving.ts'

/** What processes of a node get at cluster IPs, served on their way out of the uplink. */
async function assertServed({ node1, cluster, vip }: Serving): Promise<void> {
  for (const family of families) {
    for (const [n, pod] of [cluster.nodes[0]!.pod('a'), cluster.nodes[1]!.pod('a')].entries()) {
      const target = vip(n + 1, family)
      for (const udp of [false, true]) {
        await untilServed(node1, target, { udp })
        const { ok, failed, backends } = await dial(node1, target, { udp, count: 20, rate: 500 })
        assert.deepEqual(
          { ok, failed, backends },
          { ok: 20, failed: {}, backends: { [nameOf(pod)]: 20 } },
        )
      }
    }
  }
}

for (const profile of profiles)
  test(`${profile}: processes of a node reach cluster IPs, here and elsewhere`, async (t) => {
    const serving = await startServing({ profile, podsPerNode: 1 }, {}, (cluster) => [
      ...serviceFor(cluster, 1, [cluster.nodes[0]!.pod('a')]),
      ...serviceFor(cluster, 2, [cluster.nodes[1]!.pod('a')]),
      ...serviceFor(cluster, 3, []),
    ])
    t.after(() => serving.cluster.close())
    await assertServed(serving)
    const flows = await pingPong(serving.node1, serving.vip(2), 5, { intervalMs: 20 })
    for (const family of families) {
      const refused = await dial(serving.node1, serving.vip(3, family), { count: 3, rate: 100 })
      assert.deepEqual(refused.failed, { ECONNREFUSED: 3 })
    }
    await serving.agents[0]!.stop('SIGKILL')
    await assertServed(serving)
    const { resets, closed, timeouts } = await flows.stop()
    assert.deepEqual([resets, closed, timeouts], [0, 0, 0])
  })
