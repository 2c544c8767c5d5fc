import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { startApiServer, type ApiServer } from '../cluster/api-server/server.ts'
import { connectApiServer } from '../cluster/api-source.ts'
import { hostPort } from '../cluster/addressing.ts'
import { createCluster } from '../cluster/cluster.ts'
import { nodeObject, type KubeObject } from '../cluster/objects.ts'
import { pingPong, startDial } from '../cluster/traffic.ts'
import type { Agent, Cluster, ClusterNode } from '../cluster/types.ts'
import { hasCommonName, hostileObjects, type Hostile } from '../laws/hostile.ts'
import { service } from '../laws/mutate.ts'
import { readMetric } from './metrics-page.ts'
import { readDump } from './programmed.ts'
import {
  answerOn,
  eventually,
  families,
  nameOf,
  podPort,
  serviceFor,
  slicesFor,
  startAgent,
  untilServed,
  vipPort,
} from './serving.ts'

/*
 * Service 1 is the canary: under traffic on both nodes while hundreds of hostile objects come.
 * The agent of node 1 reads them from the cluster file, that of node 2 from an API server.
 * Service 2 tells that a batch was seen.
 */
const objectsPerBatch = 40
const batches = 8
const nodePort = 31_234
/* Long, as the machine may be busy; an answer that was lost never comes. */
const timeoutMs = 3_000
const seed = Number(process.env['HOSTILE_SEED'] ?? Date.now() % 2 ** 31)

let cluster: Cluster
let server: ApiServer
let agents: readonly [Agent, Agent]

before(async () => {
  cluster = await createCluster({ profile: 'ptp', podsPerNode: 2 })
  server = await startApiServer()
  await Promise.all(cluster.pods.map(answerOn))
  cluster.objects.put(...cluster.nodes.map((node) => nodeObject(node)), ...canary())
  cluster.objects.put(...serviceFor(cluster, 2, []).map(oldest))
  const source = await connectApiServer(cluster, server)
  const flags = ['--external-ip-cidrs=0.0.0.0/0,::/0']
  const [one, two] = cluster.nodes
  agents = await Promise.all([startAgent(one!, { flags }), startAgent(two!, { flags, source })])
})
after(async () => {
  await cluster.close()
  await server.close()
})

/** Nobody is older, so that nobody can have its addresses and ports. */
function canary(): KubeObject[] {
  const port = { port: vipPort, targetPort: podPort, nodePort }
  const ports = [
    { ...port, name: 'tcp', protocol: 'TCP' },
    { ...port, name: 'udp', protocol: 'UDP' },
  ]
  const backends = cluster.nodes.map((node) => node.pod('b'))
  const [object, ...slices] = serviceFor(cluster, 1, backends, { type: 'NodePort', ports })
  return [oldest(object!), ...slices]
}

function oldest(object: KubeObject): KubeObject {
  const metadata = { ...object.metadata, uid: '', creationTimestamp: '1970-01-01T00:00:00Z' }
  return { ...object, metadata }
}

/** What others must not get: addresses of the Services, and those of the node and its pods. */
function wantedOn(node: ClusterNode): unknown[] {
  const addresses = [node, ...node.pods].flatMap((place) => Object.values(place.addresses))
  const vips = [1, 2].flatMap((n) => families.map((family) => cluster.clusterIp(n, family)))
  return [...addresses, ...vips, vipPort, podPort, nodePort]
}

/** Batches of hostile objects that a file or an API server can hold at all. */
function batchesFor(node: ClusterNode): KubeObject[][] {
  const all = fc.sample(hostileObjects(wantedOn(node)), {
    seed: seed + Number(node.name.slice(-1)),
    numRuns: objectsPerBatch * batches,
  })
  const objects = all.map(storable)
  return Array.from({ length: batches }, (_, at) => [
    ...objects.slice(at * objectsPerBatch, (at + 1) * objectsPerBatch),
    thief(at, node),
  ])
}

/** A sound object of somebody who wants what the canary has, each time in another way. */
function thief(batch: number, node: ClusterNode): KubeObject {
  const vips = families.map((family) => cluster.clusterIp(1, family))
  const [object] = canary()
  const own = { namespace: 'hostile', name: `thief-${batch}`, uid: `thief-${batch}` }
  const ways = [
    { clusterIPs: vips },
    { clusterIPs: families.map((family) => node.pod('b').addresses[family]) },
    { externalIPs: [...vips, ...Object.values(node.addresses)] },
    { type: 'LoadBalancer' },
  ]
  const clusterIPs = families.map((family) => cluster.clusterIp(900 + batch, family))
  return {
    ...object!,
    metadata: { ...own, creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { ...(object!['spec'] as object), clusterIPs, ...ways[batch % ways.length] },
    status: { loadBalancer: { ingress: vips.map((ip) => ({ ip })) } },
  }
}

/** With a kind, a name and another namespace than the canary's. */
function storable([kind, raw, number]: Hostile): KubeObject {
  const object = raw as Readonly<Record<string, unknown>>
  const given = object['metadata']
  const metadata = typeof given === 'object' && given !== null ? given : {}
  const { name } = metadata as { name?: unknown }
  const isName = typeof name === 'string' && name !== '' && !hasCommonName(name)
  const own = { namespace: 'hostile', name: isName ? name : `evil-${number}` }
  const apiVersion = kind === 'EndpointSlice' ? 'discovery.k8s.io/v1' : 'v1'
  const spec = kind === 'Service' ? addressed(object['spec'], number) : object['spec']
  return { ...object, spec, apiVersion, kind, metadata: { ...metadata, ...own } }
}

/** All are made with the same cluster IPs: with their own, they are served as far as they can be. */
function addressed(spec: unknown, number: number): unknown {
  if (typeof spec !== 'object' || spec === null) return spec
  const { clusterIPs } = spec as { clusterIPs?: unknown }
  if (!isDeepStrictEqual(clusterIPs, service.spec.clusterIPs)) return spec
  return { ...spec, clusterIPs: families.map((one) => cluster.clusterIp(1_000 + number, one)) }
}

test('hundreds of hostile objects harm neither the agents nor the canary', async (context) => {
  context.diagnostic(`HOSTILE_SEED=${seed}`)
  const traffic = await Promise.all(cluster.nodes.map(startTraffic))
  const [inFile, inServer] = cluster.nodes.map(batchesFor) as [KubeObject[][], KubeObject[][]]
  let taken = 0
  for (let batch = 0; batch < batches; batch++) {
    const marker = slicesFor(2, [cluster.nodes[batch % 2]!.pod('b')])
    cluster.objects.put(...inFile[batch]!, ...marker)
    for (const object of inServer[batch]!) if (isTaken(object)) taken++
    for (const object of marker) server.put(object)
    await untilSeen(batch)
  }
  assert.ok(taken > (objectsPerBatch * batches) / 2, `the server took ${taken} objects`)
  for (const agent of agents) {
    assert.ok((await readMetric(agent, 'kubeshunt_refused_objects')) > 0)
    await assertHealthy(agent)
  }
  await removeHostile()
  for (const end of traffic) await end()
})

/** An API server refuses some of them, as a real one does. */
function isTaken(object: KubeObject): boolean {
  try {
    server.put(object)
    return true
  } catch {
    return false
  }
}

/** All that is asked of the canary on a node; the answer ends it and checks what came of it. */
async function startTraffic(node: ClusterNode): Promise<() => Promise<void>> {
  const client = node.pod('a')
  const [four, six] = families.map((family) => hostPort(cluster.clusterIp(1, family), vipPort))
  const port = hostPort(node.addresses.IPv4, nodePort)
  for (const target of [four!, six!, port]) await untilServed(client, target)
  const flows = await Promise.all([
    pingPong(client, four!, 6, { intervalMs: 20, timeoutMs }),
    pingPong(client, six!, 4, { intervalMs: 20, timeoutMs, udp: true }),
  ])
  const dialled = [
    startDial(client, six!, { rate: 50, timeoutMs }),
    startDial(client, four!, { rate: 50, timeoutMs, udp: true }),
    startDial(client, port, { rate: 20, timeoutMs }),
  ]
  return async () => {
    for (const { resets, closed, timeouts, switched } of await Promise.all(
      flows.map((flow) => flow.stop()),
    ))
      assert.deepEqual([resets, closed, timeouts, switched], [0, 0, 0, 0])
    for (const { ok, failed } of await Promise.all(dialled.map((dialling) => dialling.stop()))) {
      assert.deepEqual(failed, {})
      assert.ok(ok > 20, `${ok} answers`)
    }
  }
}

async function untilSeen(batch: number): Promise<void> {
  const by = nameOf(cluster.nodes[batch % 2]!.pod('b'))
  for (const node of cluster.nodes)
    await untilServed(node.pod('a'), hostPort(cluster.clusterIp(2), vipPort), { by })
}

async function assertHealthy(agent: Agent): Promise<void> {
  assert.equal((await agent.get('/livez')).status, 200)
  assert.equal(await readMetric(agent, 'kubeshunt_sync_failures_total'), 0)
  assert.doesNotMatch(agent.log(), /"level":"(error|fatal)"|handler failed|cluster file refused/)
}

/** Takes the hostile objects away: then nothing of them is left. */
async function removeHostile(): Promise<void> {
  const isHostile = ({ metadata: { namespace } }: KubeObject): boolean => namespace === 'hostile'
  cluster.objects.remove(...cluster.objects.all().filter(isHostile))
  for (const kind of ['Service', 'EndpointSlice'])
    for (const { metadata } of server.list(kind))
      if (metadata.namespace === 'hostile')
        server.delete({ kind, name: metadata.name, namespace: 'hostile' })
  for (const node of cluster.nodes)
    await eventually(async () => {
      const services = (await readDump(node)).map(({ service }) => service)
      assert.deepEqual([...new Set(services)], ['default/web1', 'default/web2'])
    })
}
