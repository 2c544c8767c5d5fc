import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dial } from '../cluster/traffic.ts'
import type { Agent, Pod } from '../cluster/types.ts'
import { eventually, families, nameOf, serviceFor, servingForAll, untilServed } from './serving.ts'

const sticky = {
  sessionAffinity: 'ClientIP',
  sessionAffinityConfig: { clientIP: { timeoutSeconds: 30 } },
}
let agent: Agent | undefined
const serving = servingForAll({ profile: 'ptp', podsPerNode: 3 }, {}, (cluster) =>
  serviceFor(cluster, 1, cluster.pods, sticky),
)

/** The one backend that 15 new connections of the pod reached. */
async function backendOf(client: Pod, target: string): Promise<string> {
  const { failures, backends } = await dial(client, target, { count: 15, rate: 200 })
  assert.equal(failures, 0)
  const reached = Object.keys(backends)
  assert.equal(reached.length, 1, `one client reached ${reached.join(' and ')}`)
  return reached[0]!
}

for (const family of families) {
  test(`${family}: a client stays on one backend, also when the agent is killed`, async () => {
    const client = serving.pod(1, 'a')
    const target = serving.vip(1, family)
    await untilServed(client, target)
    const backend = await backendOf(client, target)
    await (agent ?? serving.agents[0]!).stop('SIGKILL')
    assert.equal(await backendOf(client, target), backend)
    agent = await serving.node1.startAgent()
    assert.equal(await backendOf(client, target), backend)
  })

  test(`${family}: it moves when its backend leaves and does not follow it back`, async () => {
    const { cluster } = serving
    const client = serving.pod(2, 'b')
    const target = serving.vip(1, family)
    await untilServed(client, target)
    const backend = await backendOf(client, target)
    const rest = cluster.pods.filter((pod) => nameOf(pod) !== backend)
    cluster.objects.put(...serviceFor(cluster, 1, rest, sticky))
    await eventually(async () => assert.notEqual(await backendOf(client, target), backend))
    const second = await backendOf(client, target)
    cluster.objects.put(...serviceFor(cluster, 1, cluster.pods, sticky))
    assert.equal(await backendOf(client, target), second)
  })
}
