import assert from 'node:assert/strict'
import { hostPort } from '../cluster/addressing.ts'
import { pingPong, startDial } from '../cluster/traffic.ts'
import { eventually, untilServed, vipPort } from '../e2e/serving.ts'
import { untilStarted, type Deployed } from './deployed.ts'
import { untilAsked } from './hand-over.ts'
import type { RunningPod } from './pod.ts'
import { watchProbe } from './probe.ts'
import type { Image } from './root-file-system.ts'

/**
 * Runs one image's pod after the other on node 1, each started before the one before is ended, as a
 * DaemonSet with surge does. Flows and new connections must not notice. The answer: the longest time
 * without an answer of /livez, in milliseconds.
 */
export async function updateWithSurge(
  deployed: Deployed,
  images: readonly Image[],
): Promise<number> {
  const { cluster } = deployed
  const node = cluster.nodes[0]!
  const client = node.pod('a')
  const vip = hostPort(cluster.clusterIp(1), vipPort)
  const [first, ...others] = images
  const pods: RunningPod[] = [deployed.start(node, 'base', { image: first! })]
  try {
    await untilStarted(pods[0]!)
    await untilServed(client, vip)
    const flows = await pingPong(client, vip, 20)
    const dialling = startDial(client, vip, { rate: 50 })
    const livez = watchProbe(node, '/livez')
    for (const image of others) {
      const [old, next] = [pods.at(-1)!, deployed.start(node, 'base', { image })]
      pods.push(next)
      await replace(old, next)
    }
    await untilAsked(flows, 60)
    const silence = await livez.stop()
    const { open, resets, closed, timeouts, switched } = await flows.stop()
    const { failed } = await dialling.stop()
    assert.deepEqual([open, resets, closed, timeouts, switched], [20, 0, 0, 0, 0])
    assert.deepEqual(failed, {})
    /* The liveness probe has 30 s; a health check of a load balancer usually as much. */
    assert.ok(silence < 15_000, `/livez was silent for ${silence} ms`)
    return silence
  } finally {
    await Promise.all(pods.map((pod) => pod.stop('SIGKILL')))
  }
}

async function replace(old: RunningPod, next: RunningPod): Promise<void> {
  await untilStarted(next)
  assert.match(next.log(), /waiting for its end/)
  const { code } = await old.stop()
  assert.equal(code, 0)
  await eventually(() => assert.match(next.log(), /"agent started"/), 30_000)
}
