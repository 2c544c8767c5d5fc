import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { dial, measureLatency, pingPong } from '../cluster/traffic.ts'
import type { ClusterNode, ClusterOptions } from '../cluster/types.ts'
import { families, serviceFor, startServing, untilServed, type Serving } from './serving.ts'

const filters = { firewall: true, rpFilter: 'strict', masquerade: true } as const
const variants: readonly ClusterOptions[] = [
  { profile: 'bridge', bridgeNetfilter: true, ...filters },
  { profile: 'bridge', bridgeNetfilter: false, ...filters },
  { profile: 'ptp', ...filters },
  { profile: 'vxlan', bridgeNetfilter: true, ...filters },
]

/* Service 1 is served on the client's node, 2 on the other one, 3 on both. */
describe('connection tracking that drops what it finds invalid', { concurrency: 2 }, () => {
  for (const variant of variants)
    test(`${JSON.stringify(variant)}: no packet of a Service is dropped`, async () => {
      const serving = await startServing(variant, {}, (cluster) => {
        const [near, far] = [cluster.nodes[0]!.pod('b'), cluster.nodes[1]!.pod('a')]
        return [near, far, undefined].flatMap((pod, index) =>
          serviceFor(cluster, index + 1, pod ? [pod] : [near, far]),
        )
      })
      try {
        await untilServed(serving.pod(1, 'a'), serving.vip(3, 'IPv6'))
        await everyWay(serving)
        const dropped = await Promise.all([serving.node1, serving.node2].map(countInvalid))
        assert.deepEqual(dropped, [0, 0])
      } finally {
        await serving.cluster.close()
      }
    })
})

/** New and lasting flows, small and large, of both families, to near, far and own backends. */
async function everyWay({ pod, vip }: Serving): Promise<void> {
  for (const family of families) {
    const lasting = await Promise.all(
      [1, 2].map((n) => pingPong(pod(1, 'a'), vip(n, family), 5, { intervalMs: 10 })),
    )
    for (const udp of [false, true])
      for (const [n, client] of [
        [1, pod(1, 'a')],
        [2, pod(1, 'a')],
        [3, pod(1, 'b')],
      ] as const) {
        const { ok, failed } = await dial(client, vip(n, family), { udp, count: 50, rate: 500 })
        assert.deepEqual({ n, ok, failed }, { n, ok: 50, failed: {} })
      }
    const targets = { near: vip(1, family), far: vip(2, family) }
    const transfers = await measureLatency(pod(1, 'a'), targets, {
      ...{ mode: 'crr', ask: 'send 300000', count: 3, warmup: 0 },
    })
    for (const { errors, bytes } of transfers)
      assert.deepEqual([errors, bytes > 900_000], [0, true])
    for (const flows of lasting) {
      const { resets, closed, timeouts, maxGapMs } = await flows.stop()
      assert.deepEqual([resets, closed, timeouts], [0, 0, 0])
      assert.ok(maxGapMs < 200, `a ping waited ${maxGapMs} ms`) // a lost packet is sent again after that
    }
  }
}

/** Packets that the node's FORWARD chain took for invalid. */
async function countInvalid(node: ClusterNode): Promise<number> {
  const { stdout } = await node.exec(['nft', '-j', 'list', 'chain', 'inet', 'node', 'forward'])
  return Number(/"counter": \{"packets": (\d+)/.exec(stdout)![1])
}
