import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { hostPort, podAddresses } from '../cluster/addressing.ts'
import { podSlices, service } from '../cluster/objects.ts'
import type { KubeObject } from '../cluster/objects.ts'
import { dial, startEchoServer } from '../cluster/traffic.ts'
import type { Cluster, Family, Place, VipRoutes } from '../cluster/types.ts'
import { readMetric } from './metrics-page.ts'
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
 * Clients outside send everything by node 1. What is served on that node sees the client; what
 * is elsewhere, a host-network endpoint included, sees node 1 as it is called where they meet.
 */
const external = {
  LoadBalancer: { IPv4: '203.0.113.', IPv6: '2001:db8:113::' },
  ExternalIP: { IPv4: '198.51.100.', IPv6: '2001:db8:51::' },
} as const
const externalCidrs = ['198.51.100.0/24', '2001:db8:51::/64']
const balancerCidrs = ['203.0.113.0/24', '2001:db8:113::/64']

const kinds = ['NodePort', 'LoadBalancer', 'ExternalIP', 'ClusterIP'] as const
type Kind = (typeof kinds)[number]

/** By number of the Service that has the endpoint. */
const endpoints = { 1: 'local', 2: 'remote', 3: 'host-network' } as const
type Number = 1 | 2 | 3
const numbers: readonly Number[] = [1, 2, 3]

function endpointOf({ nodes }: Cluster, n: Number) {
  const [node1, node2] = nodes
  return { 1: node1!.pod('a'), 2: node2!.pod('a'), 3: node2! }[n]
}

function webService(cluster: Cluster, n: Number): KubeObject[] {
  const port = { port: vipPort, targetPort: podPort, nodePort: nodePortOf(n) }
  const ports = [
    { name: 'tcp', ...port },
    { name: 'udp', ...port, protocol: 'UDP' as const },
  ]
  const web = service({
    name: `web${n}`,
    type: 'LoadBalancer',
    ports,
    clusterIps: families.map((family) => cluster.clusterIp(n, family)),
    ingressIps: families.map((family) => `${external.LoadBalancer[family]}${n}`),
    spec: { externalIPs: families.map((family) => `${external.ExternalIP[family]}${n}`) },
  })
  return [web, ...podSlices({ service: `web${n}`, ports }, [endpointOf(cluster, n)])]
}

function nodePortOf(n: Number): number {
  return 30_080 + n
}

function targetOf({ cluster, node1 }: Serving, kind: Kind, n: Number, family: Family): string {
  if (kind === 'NodePort') return hostPort(node1.addresses[family], nodePortOf(n))
  const vip = kind === 'ClusterIP' ? cluster.clusterIp(n, family) : `${external[kind][family]}${n}`
  return hostPort(vip, vipPort)
}

/** As whom the endpoint sees a client. */
function seenAs({ cluster, node1 }: Serving, client: Place, n: Number, family: Family): string {
  if (n === 1) return client.addresses[family]
  const isTunnelled = cluster.profile === 'vxlan' && n === 2
  if (!isTunnelled) return node1.addresses[family]
  return podAddresses(1, 0)[family].replace(/::0$/, '::') // the tunnel device's own
}

const places = [
  { profile: 'ptp', xdp: false },
  { profile: 'vxlan', xdp: false },
  { profile: 'bridge', xdp: true },
] as const

for (const { profile, xdp } of places)
  describe(`${profile}${xdp ? ', XDP' : ''}: clients outside`, () => {
    let serving: Serving
    const clients: Record<string, Place & VipRoutes> = {}
    before(async () => {
      const flags = [`--external-ip-cidrs=${externalCidrs.join()}`]
      if (xdp) flags.push('--xdp=native')
      serving = await startServing({ profile, podsPerNode: 1, xdp }, { flags }, (cluster) =>
        numbers.flatMap((n) => webService(cluster, n)),
      )
      const { cluster, node1, node2 } = serving
      await startEchoServer(node2, [podPort])
      clients['outside'] = await cluster.addOutsideClient('outside')
      clients['far'] = await cluster.addFarClient('far')
      const cidrs = [...Object.values(cluster.serviceCidrs), ...externalCidrs, ...balancerCidrs]
      for (const client of Object.values(clients)) await client.routeVia(node1, cidrs)
      for (const family of families)
        await untilServed(clients['outside'], targetOf(serving, 'NodePort', 1, family))
    })
    after(() => serving.cluster.close())

    test(`XDP ${xdp ? 'sends packets for other nodes on' : 'is not there'}`, async () => {
      const [before] = await sentByXdp(serving)
      const target = targetOf(serving, 'NodePort', 2, 'IPv4')
      await dial(clients['outside']!, target, { count: 10, rate: 500 })
      const [forward, reverse] = await sentByXdp(serving)
      const shown = JSON.parse((await serving.node1.shunt(['status', '-o', 'json'])).stdout) as {
        hooks: { direction: string; isAttached: boolean }[]
      }
      const hooks = shown.hooks.filter(({ direction }) => direction === 'xdp')
      assert.deepEqual(
        hooks.map(({ isAttached }) => isAttached),
        xdp ? [true] : [],
      )
      const doctor = await serving.node1.shunt(['doctor'])
      assert.doesNotMatch(doctor.stdout, /XDP \(native\)/, 'our own program is no foreign one')
      assert.ok(xdp ? forward - before >= 30 && reverse >= 30 : forward === 0, `${forward}`)
    })

    for (const who of ['outside', 'far'])
      for (const kind of kinds)
        for (const n of numbers)
          for (const family of families)
            for (const udp of [false, true])
              test(`${who} > ${kind} > ${endpoints[n]}, ${udp ? 'UDP' : 'TCP'} ${family}`, async () => {
                const client = clients[who]!
                const target = targetOf(serving, kind, n, family)
                const { ok, failed, backends, peers } = await dial(client, target, {
                  ...{ udp, count: 20, rate: 500 },
                })
                const endpoint = endpointOf(serving.cluster, n)
                const name = 'node' in endpoint ? nameOf(endpoint) : endpoint.name
                assert.deepEqual(
                  { ok, failed, backends, peers },
                  {
                    ok: 20,
                    failed: {},
                    backends: { [name]: 20 },
                    peers: { [seenAs(serving, client, n, family)]: 20 },
                  },
                )
              })
  })

/** Packets that node 1 has sent on by XDP so far, to endpoints and back to clients. */
async function sentByXdp({ agents }: Serving): Promise<[forward: number, reverse: number]> {
  const read = (verdict: string) =>
    readMetric(agents[0]!, 'kubeshunt_datapath_packets_total', verdict)
  return [await read('xdp_forward'), await read('xdp_reverse')]
}
