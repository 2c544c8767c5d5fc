import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startApiServer, type ApiServer } from '../cluster/api-server/server.ts'
import { connectApiServer } from '../cluster/api-source.ts'
import { hostPort } from '../cluster/addressing.ts'
import { createCluster } from '../cluster/cluster.ts'
import { nodeObject, type KubeObject } from '../cluster/objects.ts'
import { askOnce, pingPong, startDial } from '../cluster/traffic.ts'
import type { Agent, Cluster, ClusterNode, Family } from '../cluster/types.ts'
import { answerOutside, outside } from './outside.ts'
import { readProgrammed } from './programmed.ts'
import {
  answerOn,
  eventually,
  families,
  podPort,
  serviceFor,
  slicesFor,
  startAgent,
  untilServed,
  vipPort,
} from './serving.ts'

/*
 * Service 1 is the canary that nothing may disturb, Service 2 is what changes. A machine outside
 * answers for every address that is not ours, which is not the same as a reject of ours.
 */
const rounds = 20
const nodePort = 30_082
const balancer: Readonly<Record<Family, string>> = { IPv4: '198.51.100.82', IPv6: 'fd51::82' }
const served = 'node2/b'
const rejected = 'ECONNREFUSED'
const notOurs = outside

let cluster: Cluster
let node: ClusterNode
let server: ApiServer
let agent: Agent

before(async () => {
  cluster = await createCluster({ profile: 'ptp', podsPerNode: 2, masquerade: true })
  node = cluster.nodes[0]!
  await Promise.all(cluster.pods.map(answerOn))
  await answerOutside(cluster, ['10.96.0.0/16', '198.51.100.0/24', 'fd00:10:96::/112', 'fd51::/64'])
  await node.exec(['sysctl', '-qw', 'net.ipv4.icmp_ratelimit=0', 'net.ipv6.icmp.ratelimit=0'])
  server = await startApiServer()
  put(...cluster.nodes.map((one) => nodeObject(one)), ...serviceFor(cluster, 1, [near()]))
  put(changing(), ...slicesFor(2, [far()]))
  const source = await connectApiServer(cluster, server)
  agent = await startAgent(node, {
    source,
    /* What nobody serves is to go on to who answers outside. */
    flags: ['--frontends-max=256', '--backends-max=256', '--service-cidrs=none'],
  })
})
after(async () => {
  await cluster.close()
  await server.close()
})

/** Each type, and what a pod then meets at the cluster IP, the node port and the balancer. */
const types = {
  ClusterIP: [() => changing(), served, rejected, notOurs],
  NodePort: [() => changing({ type: 'NodePort', ports: exposed }), served, served, notOurs],
  LoadBalancer: [
    () => ({
      ...changing({ type: 'LoadBalancer', ports: exposed }),
      status: { loadBalancer: { ingress: Object.values(balancer).map((ip) => ({ ip })) } },
    }),
    ...[served, served, served],
  ],
  /* With all that it was before still in the object. */
  ExternalName: [
    () => changing({ type: 'ExternalName', externalName: 'elsewhere.test', ports: exposed }),
    ...[notOurs, rejected, notOurs],
  ],
  headless: [() => changing(headless), notOurs, rejected, notOurs],
} as const satisfies Readonly<Record<string, readonly [() => KubeObject, ...string[]]>>

const headless = { clusterIP: 'None', clusterIPs: ['None'] }
const exposed = [
  { name: 'tcp', port: vipPort, targetPort: podPort, nodePort },
  { name: 'udp', port: vipPort, targetPort: podPort, protocol: 'UDP', nodePort },
]
const order = ['NodePort', 'LoadBalancer', 'ExternalName', 'headless', 'ClusterIP'] as const
const backwards = ['headless', 'ExternalName', 'LoadBalancer', 'NodePort', 'ClusterIP'] as const

test(`types walked ${rounds} times leave flows alone, and nothing in the maps`, async () => {
  for (const family of families) await untilServed(client(), vip(2, family))
  const start = await readProgrammed(node, agent)
  assert.ok(start.frontends.length > 0 && start.backendsAlive > 0, JSON.stringify(start))
  const canary = startDial(client(), vip(1), { rate: 50 })
  const flows = await pingPong(client(), vip(2), 4, { intervalMs: 50, timeoutMs: 3_000 })
  for (let round = 0; round < rounds; round++)
    for (const type of round % 2 === 0 ? order : backwards) {
      const [object, ...expected] = types[type]
      put(object())
      const udp = round % 7 === 3
      const asked = round === 0 ? families : [families[round % 3 === 0 ? 0 : 1]!]
      await Promise.all(asked.map((family) => untilFrontends(family, udp, expected)))
    }
  const { open, resets, closed, switched, timeouts } = await flows.stop()
  assert.deepEqual([open, resets, closed, switched, timeouts], [4, 0, 0, 0, 0])
  assert.deepEqual((await canary.stop()).failed, {})
  await eventually(async () => {
    touch()
    assert.deepEqual(await readProgrammed(node, agent), start)
  }, 15_000)
})

const labels: readonly (readonly [what: string, () => KubeObject[], outcome: string])[] = [
  ['another proxy', () => [changing({}, proxiedBy('other'))], notOurs],
  ['a proxy without a name', () => [changing({}, proxiedBy(''))], notOurs],
  ['the label headless', () => [changing({}, { [headlessLabel]: '' })], notOurs],
  ['slices labelled headless', () => slicesFor(2, [far()]).map(labelledHeadless), rejected],
  ['no cluster IP', () => [changing(headless)], notOurs],
  ['another port', () => [changing({ ports: tcpPort({ port: 81 }) })], rejected],
  ['another port name', () => [changing({ ports: tcpPort({ name: 'web' }) })], rejected],
  ['another protocol', () => [changing({ ports: tcpPort({ protocol: 'SCTP' }) })], rejected],
  ['other cluster IPs', () => [changing(addressesOf(12))], notOurs],
]
const headlessLabel = 'service.kubernetes.io/headless'

for (const [what, objects, outcome] of labels)
  test(`a Service is gone with ${what}, and back without it`, async () => {
    await untilVip(2, served)
    const canary = startDial(client(), vip(1), { rate: 50 })
    const flows = await pingPong(client(), vip(2), 2, { intervalMs: 50, timeoutMs: 3_000 })
    for (let round = 0; round < 2; round++) {
      put(...objects())
      await untilVip(2, outcome)
      put(changing(), ...slicesFor(2, [far()]))
      await untilVip(2, served)
    }
    const { open, resets, closed } = await flows.stop()
    assert.deepEqual([open, resets, closed], [2, 0, 0])
    assert.deepEqual((await canary.stop()).failed, {})
  })

test('a Service that moves to other cluster IPs and ports is served there only', async () => {
  put(changing({ ...addressesOf(12), ports: tcpPort({ port: 81 }) }))
  await untilVip(12, served, 81)
  await untilVip(2, notOurs)
  put(changing(), ...serviceFor(cluster, 12, [near()]))
  await untilVip(2, served)
  await untilVip(12, 'node1/b')
})

function changing(spec: object = {}, labelled: Readonly<Record<string, string>> = {}): KubeObject {
  const object = serviceFor(cluster, 2, [])[0]!
  return {
    ...object,
    metadata: { ...object.metadata, labels: labelled },
    spec: { ...(object['spec'] as object), ...spec },
  }
}

function proxiedBy(name: string): Readonly<Record<string, string>> {
  return { 'service.kubernetes.io/service-proxy-name': name }
}

function labelledHeadless(slice: KubeObject): KubeObject {
  const { metadata } = slice
  return {
    ...slice,
    metadata: { ...metadata, labels: { ...metadata.labels, [headlessLabel]: '' } },
  }
}

function tcpPort(changed: object): object[] {
  return [{ ...exposed[0], nodePort: undefined, ...changed }]
}

function addressesOf(n: number): object {
  const clusterIPs = families.map((family) => cluster.clusterIp(n, family))
  return { clusterIP: clusterIPs[0], clusterIPs }
}

const client = () => node.pod('a')
const near = () => node.pod('b')
const far = () => cluster.nodes[1]!.pod('b')

function vip(n: number, family: Family = 'IPv4', port = vipPort): string {
  return hostPort(cluster.clusterIp(n, family), port)
}

function put(...objects: readonly KubeObject[]): void {
  for (const object of objects) server.put(object)
}

/** What the client meets at a target: the name of who answers, or the error. */
async function outcomeAt(target: string, udp = false): Promise<string> {
  const answer = await askOnce(client(), target, { udp, timeoutMs: 1_000 })
  return answer.ok ? answer.name : answer.error
}

async function untilVip(n: number, expected: string, port = vipPort): Promise<void> {
  await eventually(async () => {
    const targets = families.map((family) => vip(n, family, port))
    const outcomes = await Promise.all(targets.map((target) => outcomeAt(target)))
    assert.deepEqual(outcomes, [expected, expected])
  })
}

/** Waits for what is expected at the cluster IP, the node port and the balancer of Service 2. */
async function untilFrontends(
  family: Family,
  udp: boolean,
  expected: readonly string[],
): Promise<void> {
  const targets = [
    vip(2, family),
    hostPort(node.addresses[family], nodePort),
    hostPort(balancer[family], vipPort),
  ]
  await eventually(async () => {
    const outcomes = await Promise.all(targets.map((target) => outcomeAt(target, udp)))
    assert.deepEqual(outcomes, expected)
  })
}

/** Has the agent make a pass that changes nothing but takes back what has rested. */
function touch(): void {
  const [object] = serviceFor(cluster, 1, [])
  const annotations = { 'kube-shunt.io/touched': String(++touched) }
  put({ ...object!, metadata: { ...object!.metadata, annotations } })
}

let touched = 0
