import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { startApiServer } from '../cluster/api-server/server.ts'
import { connectApiServer } from '../cluster/api-source.ts'
import { createCluster } from '../cluster/cluster.ts'
import { endpointSlice, service, type KubeObject } from '../cluster/objects.ts'
import type { Agent, Cluster, ClusterNode } from '../cluster/types.ts'
import { eventually, serviceFor, slicesFor, vipPort } from './serving.ts'

/** A change is late after twice this. */
const syncPeriod = 500
const flags = [`--iptables-sync-period=${syncPeriod}ms`, '--iptables-min-sync-period=0s']
const checkPort = 31_009

let cluster: Cluster
let node: ClusterNode
before(async () => {
  cluster = await createCluster({ profile: 'ptp', nodes: 1, podsPerNode: 1 })
  node = cluster.nodes[0]!
})
after(() => cluster.close())

test('an agent that waits for its first complete lists is healthy, however long it takes', async (t) => {
  const server = await startApiServer()
  t.after(() => server.close())
  server.faults.watchListDisabled = true
  server.faults.stalledPages = true
  server.put(serviceFor(cluster, 1, [])[0]!)
  for (let n = 0; n < 600; n++) server.put(filler(n))
  const source = await connectApiServer(cluster, server)
  const agent = await node.startAgent({ source, flags })
  t.after(() => agent.stop('SIGKILL'))
  await eventually(async () => assert.equal(await pendingServices(agent), '1'))
  await pause(3 * syncPeriod) // what must not happen would have happened by then
  assert.deepEqual(await statuses(agent), [200, 200])
  server.faults.clear()
  server.resetConnections()
  await eventually(async () => assert.equal(await pendingServices(agent), '0'), 10_000)
  assert.deepEqual(await statuses(agent), [200, 200])
})

test('passes that fail for longer than two sync periods make it unhealthy, to all who ask', async (t) => {
  cluster.objects.put(balancer(), ...slicesFor(3, [node.pod('a')]))
  const agent = await node.startAgent({ flags })
  t.after(() => agent.stop('SIGKILL'))
  await eventually(async () => assert.equal(await checkStatus(agent), 200))
  /* As a pass fails whose writes the kernel refuses: nothing can be written to it any more. */
  await node.exec(['bpftool', 'map', 'freeze', 'pinned', join(node.bpffs, 'v1/maps/frontends')])
  const frozenAt = Date.now()
  cluster.objects.put(...serviceFor(cluster, 4, [node.pod('a')]))
  await eventually(async () => assert.deepEqual(await statuses(agent), [503, 503]), 10_000)
  assert.ok(Date.now() - frozenAt >= 2 * syncPeriod, 'not before two sync periods')
  assert.match(agent.log(), /"msg":"pass failed"/)
  const { body } = await agent.get('/healthz')
  const report = JSON.parse(body) as Report
  assert.deepEqual([report.healthy, report.nodeEligible], [false, true])
  assert.deepEqual(Object.keys(report.status), ['IPv4', 'IPv6'])
  for (const family of Object.values(report.status)) assert.equal(family.healthy, false)
  assert.ok(Date.parse(report.lastUpdated) <= frozenAt, 'of the last pass that succeeded')
  assert.ok(Date.parse(report.currentTime) > frozenAt)
  assert.equal(await checkStatus(agent), 503)
  assert.match(await metrics(agent), /^kubeshunt_sync_failures_total [1-9]/m)
})

interface Report {
  readonly lastUpdated: string
  readonly currentTime: string
  readonly healthy: boolean
  readonly nodeEligible: boolean
  readonly status: Readonly<Record<string, { readonly healthy: boolean }>>
}

async function statuses(agent: Agent): Promise<number[]> {
  const answers = await Promise.all([agent.get('/healthz'), agent.get('/livez')])
  return answers.map(({ status }) => status)
}

async function checkStatus(agent: Agent): Promise<number> {
  return (await agent.get(`http://127.0.0.1:${checkPort}/`)).status
}

async function metrics(agent: Agent): Promise<string> {
  return (await agent.get('http://127.0.0.1:10249/metrics')).body
}

async function pendingServices(agent: Agent): Promise<string | undefined> {
  const pending = /^kubeproxy_sync_proxy_rules_service_changes_pending (\d+)$/m
  return pending.exec(await metrics(agent))?.[1]
}

function balancer(): KubeObject {
  const spec = { externalTrafficPolicy: 'Local', healthCheckNodePort: checkPort }
  const ports = [{ name: 'tcp', port: vipPort, targetPort: 8080 }]
  const clusterIps = [cluster.clusterIp(3)]
  return service({ name: 'web3', type: 'LoadBalancer', ports, clusterIps, spec })
}

/** A slice that only makes the list of slices long: it comes in two pages. */
function filler(n: number): KubeObject {
  const ports = [{ port: vipPort, targetPort: 9 }]
  const endpoints = [{ address: '10.9.9.9' }]
  return endpointSlice({ service: `filler-${n}`, family: 'IPv4', ports, endpoints })
}
