import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostPort, podAddresses } from '../cluster/addressing.ts'
import { podSlices, service } from '../cluster/objects.ts'
import type { KubeObject } from '../cluster/objects.ts'
import { dial, measureLatency, startEchoServer } from '../cluster/traffic.ts'
import type { Cluster, ClusterOptions, Family, OutsideClient, Place } from '../cluster/types.ts'
import {
  families,
  nameOf,
  podPort,
  startServing,
  untilServed,
  vipPort,
  type Serving,
} from './serving.ts'

/*
 * Ways that packets of clients outside take: small hops, other uplinks, nodes that filter.
 * Service 1 has a pod of node 1, 2 one of node 2, 3 node 2 itself.
 */
const numbers = [1, 2, 3] as const
type Number = (typeof numbers)[number]
const balancers = { IPv4: '203.0.113.', IPv6: '2001:db8:113::' } as const
const balancerCidrs = ['203.0.113.0/24', '2001:db8:113::/64']

function endpointOf({ nodes }: Pick<Cluster, 'nodes'>, n: Number) {
  return [nodes[0]!.pod('a'), nodes[1]!.pod('a'), nodes[1]!][n - 1]!
}

function balanced(cluster: Cluster, n: Number): KubeObject[] {
  const port = { port: vipPort, targetPort: podPort }
  const ports = [
    { name: 'tcp', ...port },
    { name: 'udp', ...port, protocol: 'UDP' as const },
  ]
  const web = service({
    name: `web${n}`,
    type: 'LoadBalancer',
    ports,
    clusterIps: families.map((family) => cluster.clusterIp(n, family)),
    ingressIps: families.map((family) => `${balancers[family]}${n}`),
  })
  return [web, ...podSlices({ service: `web${n}`, ports }, [endpointOf(cluster, n)])]
}

async function startBalanced(options: ClusterOptions): Promise<Serving> {
  const serving = await startServing({ podsPerNode: 1, ...options }, {}, (cluster) =>
    numbers.flatMap((n) => balanced(cluster, n)),
  )
  await startEchoServer(serving.node2, [podPort])
  return serving
}

function targetOf(n: Number, family: Family): string {
  return hostPort(`${balancers[family]}${n}`, vipPort)
}

for (const profile of ['ptp', 'vxlan'] as const)
  test(`${profile}: a megabyte each way passes a hop of 1300 bytes, and endpoints are told`, async () => {
    const serving = await startBalanced({ profile })
    await using cluster = serving.cluster
    const far = await cluster.addFarClient('far')
    await far.routeVia(serving.node1, balancerCidrs)
    await untilServed(far, targetOf(2, 'IPv4'))
    for (const n of numbers)
      for (const family of families) {
        const endpoint = endpointOf(cluster, n)
        await forgetPaths(far, endpoint)
        await transfer(far, targetOf(n, family), { size: 50_000, count: 20 })
        await forgetPaths(far, endpoint)
        await transfer(far, targetOf(n, family), { ask: 'send 1000000', count: 1 })
        const client = peerOf(serving, { client: far, n, family })
        const { stdout } = await endpoint.exec(['ip', 'route', 'get', client])
        assert.match(stdout, /mtu 1300/, `${n} ${family}: ${stdout}`)
      }
  })

/** As whom an endpoint sees a client that comes by node 1. */
function peerOf(
  { cluster, node1 }: Serving,
  { client, n, family }: { client: Place; n: Number; family: Family },
): string {
  if (n === 1) return client.addresses[family]
  if (cluster.profile !== 'vxlan' || n === 3) return node1.addresses[family]
  return podAddresses(1, 0)[family].replace(/::0$/, '::') // the tunnel device's own
}

/** What one side learnt of a path makes the other send less at once. */
async function forgetPaths(...places: readonly Place[]): Promise<void> {
  for (const place of places)
    for (const family of ['-4', '-6']) await place.exec(['ip', family, 'route', 'flush', 'cache'])
}

async function transfer(
  client: Place,
  target: string,
  what: { readonly size?: number; readonly ask?: string; readonly count: number },
): Promise<void> {
  const [report] = await measureLatency(client, { target }, { mode: 'crr', warmup: 0, ...what })
  assert.equal(report!.errors, 0, `${target} ${JSON.stringify(what)}`)
}

/** Every endpoint answers and sees whom it is to see. */
async function assertServed(serving: Serving, client: OutsideClient): Promise<void> {
  await client.routeVia(serving.node1, balancerCidrs)
  await untilServed(client, targetOf(1, 'IPv4'))
  for (const n of numbers)
    for (const family of families)
      for (const udp of [false, true]) {
        const options = { udp, count: 20, rate: 500 }
        const { ok, backends, peers } = await dial(client, targetOf(n, family), options)
        const endpoint = endpointOf(serving.cluster, n)
        const name = 'node' in endpoint ? nameOf(endpoint) : endpoint.name
        assert.deepEqual(
          { ok, backends, peers },
          {
            ok: 20,
            backends: { [name]: 20 },
            peers: { [peerOf(serving, { client, n, family })]: 20 },
          },
          `${n} ${family} ${udp ? 'UDP' : 'TCP'}`,
        )
      }
}

for (const policyRouting of [true, false])
  test(`a client of the second uplink is served, policy routing ${policyRouting}`, async () => {
    const serving = await startBalanced({ profile: 'ptp', uplinks: 2, policyRouting })
    await using cluster = serving.cluster
    await assertServed(serving, await cluster.addOutsideClient('outside2', { lan: 2 }))
  })

const strictest = { firewall: true, rpFilter: 'strict', masquerade: true } as const
const variants: readonly ClusterOptions[] = [
  { profile: 'bridge', ...strictest, bridgeNetfilter: true },
  { profile: 'ptp', ...strictest },
  { profile: 'vxlan', ...strictest },
  { profile: 'ptp', nodeAddress: 'loopback' },
  { profile: 'vxlan', nodeAddress: 'loopback', mtu: 9000 },
]
for (const variant of variants)
  test(`a client outside is served: ${JSON.stringify(variant)}`, async () => {
    const serving = await startBalanced(variant)
    await using cluster = serving.cluster
    await assertServed(serving, await cluster.addOutsideClient('outside'))
  })
