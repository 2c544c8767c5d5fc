import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { hostPort } from '../cluster/addressing.ts'
import { pingPong, startDial } from '../cluster/traffic.ts'
import type { ClusterNode } from '../cluster/types.ts'
import { readNodeState } from './node-state.ts'
import { readMetric } from './metrics-page.ts'
import { podPort, serviceFor, servingForAll, startAgent, untilServed } from './serving.ts'

const cycles = 20
const serving = servingForAll({ profile: 'ptp', podsPerNode: 3 }, {}, (cluster) =>
  serviceFor(
    cluster,
    1,
    cluster.pods.filter(({ name }) => name === 'a'),
  ),
)

test('twenty ends and starts of an agent, some within its start, disturb no traffic', async () => {
  const { node1 } = serving
  const client = serving.pod(1, 'c')
  await untilServed(client, serving.vip(1, 'IPv6'))
  await serving.agents[0]!.stop()
  let agent = await startAgent(node1)
  const before = await readNodeState(node1)
  const direct = await pingPong(client, hostPort(serving.pod(1, 'b').addresses.IPv4, podPort), 10)
  const tcp = await pingPong(client, serving.vip(1), 30)
  const udp = await pingPong(client, serving.vip(1, 'IPv6'), 10, { udp: true })
  const dialling = startDial(client, serving.vip(1), { rate: 50 })

  for (let cycle = 0; cycle < cycles; cycle++) {
    await agent.stop(cycle % 2 === 0 ? 'SIGTERM' : 'SIGKILL')
    if (cycle % 4 === 3) await killDuringStart(node1, cycle)
    agent = await startAgent(node1)
    assert.equal(await readMetric(agent, 'kubeshunt_map_writes_total'), 0)
  }

  const ends = await Promise.all([direct.stop(), tcp.stop(), udp.stop(), dialling.stop()])
  const [machine, pings, datagrams, dialled] = ends
  /* What pods that talk without a VIP had to wait is the machine's doing. */
  const limit = machine.maxGapMs > 200 ? 2 * machine.maxGapMs : 200
  for (const { open, resets, closed, timeouts, switched, maxGapMs } of [pings, datagrams]) {
    assert.deepEqual([resets, closed, timeouts, switched], [0, 0, 0, 0])
    assert.ok(open > 0 && maxGapMs <= limit, `${open} open, longest gap ${maxGapMs} ms`)
  }
  assert.deepEqual(dialled.failed, {})
  assert.ok(dialled.longestSilenceMs <= limit, `no answer for ${dialled.longestSilenceMs} ms`)
  assert.deepEqual(await readNodeState(node1), before)
})

/** Starts the agent and kills it within half a second. */
async function killDuringStart(node: ClusterNode, cycle: number): Promise<void> {
  const agent = await node.startAgent({ waitReady: false })
  await pause(100 + 20 * cycle)
  await agent.stop('SIGKILL')
}
