import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { startApiServer, type ApiServer } from '../cluster/api-server/server.ts'
import { connectApiServer } from '../cluster/api-source.ts'
import { createCluster } from '../cluster/cluster.ts'
import { endpointSlice, service, type KubeObject } from '../cluster/objects.ts'
import { askOnce, startDial, type Dialling } from '../cluster/traffic.ts'
import type { Agent, Cluster, ClusterNode } from '../cluster/types.ts'
import { answerOn, eventually, serviceFor, slicesFor, untilServed, vipPort } from './serving.ts'

/** How long a recovered server may take to be seen in traffic. */
const within = 2_000

let cluster: Cluster
let node: ClusterNode
let server: ApiServer
let agent: Agent
let source: { kubeconfig: string }
/** Connections to Service 1 all the time: nothing that happens here may stop them. */
let canary: Dialling

before(async () => {
  cluster = await createCluster({ profile: 'ptp', nodes: 1, podsPerNode: 3 })
  node = cluster.nodes[0]!
  await Promise.all([answerOn(node.pod('b')), answerOn(node.pod('c'))])
  server = await startApiServer()
  source = await connectApiServer(cluster, server)
})
after(async () => {
  await cluster.close()
  await server.close()
})

test('an agent that starts while the server is away serves within 2 s of its return', async () => {
  /* Slices before their Services, and one without any. */
  const [web, ...slices] = serviceFor(cluster, 1, [node.pod('b')])
  put(...slices, ...slicesFor(99, [node.pod('c')]))
  await server.down()
  agent = await node.startAgent({ source })
  await eventually(() => assert.match(agent.log(), /resource interrupted/))
  await pause(8_000) // as long as it takes for pauses between tries to grow
  await server.up()
  put(web!)
  await untilServed(node.pod('a'), vip(1), { by: 'node1/b', within })
  await eventually(() =>
    assert.match(
      agent.log(),
      /service ranges known.*10\.96\.0\.0\/16|10\.96\.0\.0\/16.*service ranges known/,
    ),
  )
  canary = startDial(node.pod('a'), vip(1), { rate: 50 })
  await canary.until(({ ok }) => ok > 0)
})

test('a server that goes away and comes back is caught up with within 2 s', async () => {
  put(...serviceFor(cluster, 2, [node.pod('b')]), ...serviceFor(cluster, 3, [node.pod('b')]))
  await untilServed(node.pod('a'), vip(2), { within })
  await untilServed(node.pod('a'), vip(3), { within })
  await server.down()
  put(...slicesFor(2, [node.pod('c')]), ...serviceFor(cluster, 4, [node.pod('c')]))
  server.delete(reference(serviceFor(cluster, 3, [])[0]!))
  await pause(8_000)
  await untilServed(node.pod('a'), vip(3))
  await server.up()
  await Promise.all([
    untilServed(node.pod('a'), vip(2), { by: 'node1/c', within }),
    untilServed(node.pod('a'), vip(4), { within }),
    untilGone(vip(3)),
  ])
})

test('after 410 the agent lists again, and removes what went meanwhile', async () => {
  server.faults.respond({ status: 503, times: 1, on: 'watch' })
  server.delete(reference(serviceFor(cluster, 4, [])[0]!))
  put(...slicesFor(2, [node.pod('b')]))
  server.compact()
  await Promise.all([
    untilServed(node.pod('a'), vip(2), { by: 'node1/b', within }),
    untilGone(vip(4)),
  ])
})

test('while the second page of a list does not come nothing is removed or emptied', async () => {
  const many = Array.from({ length: 700 }, (_, index) => filler(index))
  put(...many.flat())
  await untilServed(node.pod('a'), vip(2))
  await agent.stop('SIGKILL')
  server.faults.watchListDisabled = true
  server.faults.stalledPages = true
  server.delete(reference(serviceFor(cluster, 2, [])[0]!))
  const before = server.requests.length
  agent = await node.startAgent({ source })
  const isSecondPage = ({ query }: ApiServer['requests'][number]) => query.has('continue')
  await eventually(() => assert.equal(server.requests.slice(before).filter(isSecondPage).length, 2))
  await untilServed(node.pod('a'), vip(2))
  server.faults.clear()
  server.resetConnections()
  await untilGone(vip(2))
})

test('through all of this no connection to a Service that did not change failed', async () => {
  const { dialled, failed } = await canary.stop()
  assert.ok(dialled > 500)
  assert.deepEqual(failed, {})
})

function put(...objects: readonly KubeObject[]): void {
  for (const object of objects) server.put(object)
}

function vip(n: number): string {
  return `${cluster.clusterIp(n)}:${vipPort}`
}

function reference({ kind, metadata: { namespace, name } }: KubeObject) {
  return { kind, name, ...(namespace !== undefined && { namespace }) }
}

/** Service and slice number `index` of those that only make lists long. */
function filler(index: number): KubeObject[] {
  const name = `filler-${String(index).padStart(4, '0')}`
  const ports = [{ port: vipPort, targetPort: 9 }]
  return [
    service({ name, ports, clusterIps: [cluster.clusterIp(1000 + index)] }),
    endpointSlice({ service: name, family: 'IPv4', ports, endpoints: [{ address: '10.9.9.9' }] }),
  ]
}

/** Waits until nobody answers at the VIP any more. */
async function untilGone(target: string): Promise<void> {
  await eventually(async () => {
    const { ok } = await askOnce(node.pod('a'), target, { timeoutMs: 200 })
    assert.ok(!ok, `${target} still answers`)
  }, within)
}
