import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { pingPong } from '../cluster/traffic.ts'
import { readNodeState } from './node-state.ts'
import { eventually, serviceFor, servingForAll, startAgent, untilServed } from './serving.ts'

const serving = servingForAll({ profile: 'ptp', podsPerNode: 2 }, {}, (cluster) =>
  serviceFor(cluster, 1, [cluster.nodes[0]!.pod('b'), cluster.nodes[1]!.pod('a')]),
)

test('dump, services, flows and status tell what a live agent does', async () => {
  const { node1, agents, vip, pod } = serving
  await untilServed(pod(1, 'a'), vip(1, 'IPv6'), { udp: true })
  const flows = await pingPong(pod(1, 'a'), vip(1), 3)

  const dump = JSON.parse((await node1.shunt(['dump', '-o', 'json'])).stdout) as {
    frontends: { generation: number }[]
    flows: { count: number; halfOpen: number; max: number }
    generation: number
  }
  assert.ok(dump.generation >= 1)
  assert.ok(dump.flows.count >= 4 && dump.flows.max === 65_536, JSON.stringify(dump.flows))
  assert.deepEqual(dump.frontends[0], {
    address: '10.96.0.1',
    port: 80,
    protocol: 'TCP',
    kind: 'ClusterIP',
    service: 'default/web1',
    portName: 'tcp',
    backends: [
      { address: pod(1, 'b').addresses.IPv4, port: 8080, local: true },
      { address: pod(2, 'a').addresses.IPv4, port: 8080, local: false },
    ],
    generation: dump.frontends[0]!.generation,
  })
  assert.equal(dump.frontends.length, 4)

  const services = await node1.shunt(['services'])
  assert.match(services.stdout, /TCP +10\.96\.0\.1:80 +ClusterIP +default\/web1:tcp\n/)
  const table = JSON.parse((await node1.shunt(['flows', '-o', 'json'])).stdout) as {
    flows: { client: { address: string }; state: string; protocol: string }[]
  }
  const own = table.flows.filter(
    ({ state, protocol }) => state === 'established' && protocol === 'TCP',
  )
  assert.equal(own.length, 3)
  assert.ok(own.every(({ client }) => client.address === pod(1, 'a').addresses.IPv4))
  const status = JSON.parse((await node1.shunt(['status', '-o', 'json'])).stdout) as {
    isHealthy: boolean
    problems: string[]
    agent: { holder: { pid: number } }
    hooks: { isAttached: boolean }[]
  }
  assert.deepEqual(
    [
      status.isHealthy,
      status.problems,
      status.agent.holder.pid,
      status.hooks.map(({ isAttached }) => isAttached),
    ],
    [true, [], agents[0]!.pid, Array(6).fill(true)], // two pods and an uplink
  )
  const { resets } = await flows.stop()
  assert.equal(resets, 0)
})

test('cleanup waits for the agent to end, and then leaves nothing', async () => {
  const { node1, agents, vip, pod } = serving
  const refused = await node1.shunt(['cleanup'], { mayFail: true })
  assert.equal(refused.code, 4)
  await untilServed(pod(1, 'a'), vip(1))
  await agents[0]!.stop()
  await untilServed(pod(1, 'a'), vip(1))
  const { links } = await readNodeState(node1)
  await node1.shunt(['cleanup'])
  assert.ok(!existsSync(node1.bpffs))
  for (const id of Object.values(links)) {
    const shown = await node1.exec(['bpftool', 'link', 'show', 'id', String(id)], { mayFail: true })
    assert.notEqual(shown.code, 0, `link ${id} is still there`)
  }
  await assert.rejects(untilServed(pod(1, 'a'), vip(1), { timeoutMs: 100, within: 0 }))
  await startAgent(node1)
  await eventually(() => untilServed(pod(1, 'a'), vip(1), { timeoutMs: 200, within: 0 }))
})
