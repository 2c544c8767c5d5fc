import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pingPong } from '../cluster/traffic.ts'
import type { ClusterNode, Pod } from '../cluster/types.ts'
import { pins, readNodeState } from './node-state.ts'
import { eventually, serviceFor, servingForAll, startAgent, untilServed } from './serving.ts'

const serving = servingForAll({ profile: 'bridge', podsPerNode: 2 }, {}, (cluster) =>
  serviceFor(cluster, 1, [cluster.nodes[1]!.pod('a')]),
)

test('a pod that comes is served at once, and one that goes leaves nothing', async () => {
  const { node1 } = serving
  const before = await readNodeState(node1)
  const pod = await node1.addPod('late')
  await untilServed(pod, serving.vip(1), { within: 1_000 })
  const ifindex = await ifindexOf(node1, pod)
  /* Replies before requests: a translated request whose answer is not turned back is reset. */
  const { links } = await readNodeState(node1)
  assert.ok(links[`${ifindex}_egress`]! < links[`${ifindex}_ingress`]!, JSON.stringify(links))
  assert.ok((await devicesOf(node1)).includes(ifindex))
  await node1.removePod(pod)
  await eventually(async () => {
    assert.deepEqual((await readNodeState(node1)).links, before.links)
    assert.ok(!(await devicesOf(node1)).includes(ifindex))
  })
})

test('a pod that goes while no agent runs leaves nothing either', async () => {
  const { node1 } = serving
  const before = await readNodeState(node1)
  const pod = await node1.addPod('short')
  await untilServed(pod, serving.vip(1))
  const ifindex = await ifindexOf(node1, pod)
  await serving.agents[0]!.stop()
  await node1.removePod(pod)
  await startAgent(node1)
  assert.deepEqual((await readNodeState(node1)).links, before.links)
  assert.ok(!(await devicesOf(node1)).includes(ifindex))
})

test('a device that is renamed keeps its flows', async () => {
  const { node1 } = serving
  const pod = serving.pod(1, 'a')
  const flows = await pingPong(pod, serving.vip(1), 5, { intervalMs: 20 })
  const rename = (from: string, to: string) =>
    node1.exec(['ip', '-batch', '-'], {
      input: `link set ${from} down\nlink set ${from} name ${to}\nlink set ${to} up\n`,
    })
  await rename(pod.hostDevice, 'renamed0')
  await untilServed(pod, serving.vip(1), { within: 3_000 })
  await rename('renamed0', pod.hostDevice)
  await untilServed(pod, serving.vip(1), { within: 3_000 })
  const { pings } = flows.latest() ?? { pings: 0 }
  await flows.until((report) => report.pings > pings)
  const { resets, closed, open } = await flows.stop()
  assert.deepEqual([resets, closed, open], [0, 0, 5])
})

test('a link that somebody detaches comes back by itself', async () => {
  const { node1 } = serving
  const pod = serving.pod(1, 'a')
  const { links } = await readNodeState(node1)
  const ifindex = await ifindexOf(node1, pod)
  for (const direction of ['ingress', 'egress'])
    await node1.exec(['bpftool', 'link', 'detach', 'id', String(links[`${ifindex}_${direction}`])])
  await assert.rejects(untilServed(pod, serving.vip(1), { timeoutMs: 100, within: 0 }))
  await untilServed(pod, serving.vip(1), { within: 6_000 })
  assert.deepEqual(pins(node1, 'v1/links'), Object.keys(links))
})

async function ifindexOf(node: ClusterNode, pod: Pod): Promise<number> {
  const { stdout } = await node.exec(['ip', '-j', 'link', 'show', pod.hostDevice])
  return (JSON.parse(stdout) as [{ ifindex: number }])[0].ifindex
}

/** The devices that the programs know. */
async function devicesOf(node: ClusterNode): Promise<number[]> {
  const path = `${node.bpffs}/v1/maps/devices`
  const { stdout } = await node.exec(['bpftool', '-j', 'map', 'dump', 'pinned', path])
  const entries = JSON.parse(stdout) as { key: string[] }[]
  return entries.map(({ key }) => Buffer.from(key.map(Number)).readUInt32LE())
}
