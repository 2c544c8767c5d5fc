import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostPort } from '../cluster/addressing.ts'
import { nodeObject, service, type KubeObject } from '../cluster/objects.ts'
import { askOnce, startDial } from '../cluster/traffic.ts'
import {
  eventually,
  families,
  podPort,
  servingForAll,
  slicesFor,
  untilServed,
  vipPort,
} from './serving.ts'

/* Agents start before their Node objects exist, as in a cluster that is just being made. */
const nodePort = 30_081
const serving = servingForAll({ profile: 'ptp' }, {}, (cluster) => {
  cluster.objects.remove(...cluster.nodes.map((node) => nodeObject(node)))
  return [
    service({
      name: 'web1',
      type: 'NodePort',
      ports: [{ name: 'tcp', port: vipPort, targetPort: podPort, nodePort }],
      clusterIps: cluster.families.map((family) => cluster.clusterIp(1, family)),
    }),
    ...slicesFor(1, [cluster.nodes[1]!.pod('b')]),
  ]
})

/** The Node object of node 1 with more in its spec and metadata. */
function own(spec: object = {}, metadata: object = {}): KubeObject {
  const object = nodeObject(serving.node1)
  return {
    ...object,
    spec: { ...(object['spec'] as object), ...spec },
    metadata: { ...object.metadata, ...metadata },
  }
}

async function untilHealth(healthz: number): Promise<void> {
  const agent = serving.agents[0]!
  await eventually(async () => assert.equal((await agent.get('/healthz')).status, healthz), 2_000)
  const { body } = await agent.get('/healthz')
  const { nodeEligible } = JSON.parse(body) as { nodeEligible: boolean }
  assert.equal(nodeEligible, healthz === 200)
  assert.equal((await agent.get('/livez')).status, 200)
}

test('an agent without its Node serves cluster IPs, and node ports once the Node appears', async () => {
  const client = serving.pod(1, 'a')
  const targets = families.map((family) => hostPort(serving.node1.addresses[family], nodePort))
  for (const family of families) await untilServed(client, serving.vip(1, family))
  for (const target of targets)
    assert.ok(!(await askOnce(client, target, { timeoutMs: 300 })).ok, target)
  await untilHealth(200)
  serving.cluster.objects.put(own())
  for (const target of targets) await untilServed(client, target, { within: 2_000 })
})

test('/healthz follows the taint of the autoscaler and the deletion, /livez does not', async () => {
  const { cluster, pod, vip } = serving
  cluster.objects.put(own())
  const canary = startDial(pod(1, 'a'), vip(1), { rate: 50 })
  await canary.until(({ ok }) => ok > 0)
  const taint = { key: 'ToBeDeletedByClusterAutoscaler', value: '1', effect: 'NoSchedule' }
  for (const leaving of [
    own({ taints: [{ key: 'other', effect: 'NoSchedule' }, taint] }),
    own({}, { deletionTimestamp: '2026-01-02T00:00:00Z' }),
  ]) {
    await untilHealth(200)
    cluster.objects.put(leaving)
    await untilHealth(503)
    cluster.objects.put(own({ taints: [{ key: 'other', effect: 'NoSchedule' }] }))
    await untilHealth(200)
  }
  assert.deepEqual((await canary.stop()).failed, {})
})

test('a node that gets another address has its node ports there within 2 s', async () => {
  const { cluster, node1, pod } = serving
  const second = '192.0.2.41'
  await node1.exec(['ip', 'address', 'add', `${second}/32`, 'dev', node1.uplink])
  const addresses = [second, node1.addresses.IPv6].map((address) => ({
    type: 'InternalIP',
    address,
  }))
  cluster.objects.put({ ...own(), status: { addresses } })
  await untilServed(pod(1, 'a'), hostPort(second, nodePort), { within: 2_000 })
  const before = hostPort(node1.addresses.IPv4, nodePort)
  assert.ok(!(await askOnce(pod(1, 'a'), before, { timeoutMs: 300 })).ok)
  cluster.objects.put(own())
  await untilServed(pod(1, 'a'), before, { within: 2_000 })
})

test('what serves goes on serving when the Node is gone', async () => {
  const { cluster, node1, pod, vip } = serving
  cluster.objects.put(own())
  const target = hostPort(node1.addresses.IPv4, nodePort)
  await untilServed(pod(1, 'a'), target, { within: 2_000 })
  /* A change in the same write tells when it was seen. */
  cluster.objects.change({ remove: [own()], put: slicesFor(1, [pod(1, 'b')]) })
  await untilServed(pod(1, 'a'), vip(1), { by: 'node1/b', within: 2_000 })
  await untilServed(pod(1, 'a'), target, { by: 'node1/b' })
})
