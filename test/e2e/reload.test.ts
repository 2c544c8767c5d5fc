import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { askOnce, dial, startDial } from '../cluster/traffic.ts'
import type { ClusterNode } from '../cluster/types.ts'
import {
  eventually,
  nameOf,
  serviceFor,
  servingForAll,
  slicesFor,
  startAgent,
  untilServed,
} from './serving.ts'

const serving = servingForAll({ profile: 'ptp', podsPerNode: 3 }, {}, (cluster) =>
  serviceFor(cluster, 1, [cluster.nodes[0]!.pod('b')]),
)

test('a Service follows its endpoints up and down, and no connection fails', async () => {
  const { cluster, pod } = serving
  const [client, fixed] = [pod(1, 'a'), pod(1, 'b')]
  await untilServed(client, serving.vip(1))
  const canary = startDial(client, serving.vip(1), { rate: 100 })
  const others = [pod(1, 'c'), pod(2, 'a'), pod(2, 'b'), pod(2, 'c')]
  for (let round = 0; round < 10; round++) {
    const chosen = [fixed, ...others.slice(0, round % 5)]
    cluster.objects.put(...slicesFor(1, chosen))
    await eventually(async () => {
      const { backends } = await dial(client, serving.vip(1), { count: 60, rate: 2_000 })
      assert.deepEqual(Object.keys(backends).sort(), chosen.map(nameOf).sort())
    }, 2_000)
  }
  const { failed, dialled } = await canary.stop()
  assert.deepEqual(failed, {})
  assert.ok(dialled > 50)
})

test('Services that come and go leave nothing in the maps, and their neighbours alone', async () => {
  const { cluster, pod, node1 } = serving
  const before = await countEntries(node1, 'frontends')
  const canary = startDial(pod(1, 'a'), serving.vip(1), { rate: 100 })
  const passing = [2, 3, 4].flatMap((n) => serviceFor(cluster, n, [pod(2, 'a')]))
  for (let round = 0; round < 3; round++) {
    cluster.objects.put(...passing)
    await untilServed(pod(1, 'a'), serving.vip(4), { within: 2_000 })
    cluster.objects.remove(...passing)
    await eventually(async () => assert.equal(await countEntries(node1, 'frontends'), before))
    const { ok } = await askOnce(pod(1, 'a'), serving.vip(4), { timeoutMs: 200 })
    assert.ok(!ok)
  }
  assert.deepEqual((await canary.stop()).failed, {})
})

test('a file that cannot be read as objects changes nothing until it is mended', async () => {
  const { cluster, pod, agents } = serving
  const client = pod(1, 'a')
  cluster.objects.put(...slicesFor(1, [pod(1, 'b')]))
  await untilServed(client, serving.vip(1), { by: nameOf(pod(1, 'b')) })
  const canary = startDial(client, serving.vip(1), { rate: 100 })
  for (const text of ['{"kind": "List", "items": [', '', '- kind: Service\n  metadata: 7\n']) {
    const told = agents[0]!.log().split('cluster file refused').length
    writeFileSync(cluster.objects.path, text)
    await eventually(() =>
      assert.equal(agents[0]!.log().split('cluster file refused').length, told + 1),
    )
  }
  cluster.objects.put(...slicesFor(1, [pod(2, 'b')]))
  await untilServed(client, serving.vip(1), { by: nameOf(pod(2, 'b')), within: 2_000 })
  assert.deepEqual((await canary.stop()).failed, {})
})

test('agents on one kernel keep apart', async () => {
  const { cluster, node2, pod } = serving
  const file = join(cluster.directory, 'other.json')
  const items = [...cluster.objects.all(), ...serviceFor(cluster, 9, [pod(1, 'b')])]
  writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
  await serving.agents[1]!.stop()
  await startAgent(node2, { source: { clusterFile: file } })
  await untilServed(pod(2, 'a'), serving.vip(9))
  assert.ok(!(await askOnce(pod(1, 'a'), serving.vip(9), { timeoutMs: 200 })).ok)
  await untilServed(pod(1, 'a'), serving.vip(1))
})

async function countEntries(node: ClusterNode, map: string): Promise<number> {
  const path = join(node.bpffs, 'v1/maps', map)
  const { stdout } = await node.exec(['bpftool', '-j', 'map', 'dump', 'pinned', path])
  return (JSON.parse(stdout) as unknown[]).length
}
