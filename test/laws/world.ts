import fc from 'fast-check'
import type { RawEndpoint, RawNode, RawService, RawSlice } from './raw-objects.ts'

/** Something that happens to a cluster. */
export type Event =
  | { readonly kind: 'service'; readonly raw: RawService }
  | { readonly kind: 'slice'; readonly raw: RawSlice }
  | { readonly kind: 'node'; readonly raw: RawNode }
  | { readonly kind: 'interfaces'; readonly addresses: readonly string[] }
  | { readonly kind: 'remove service' | 'remove slice'; readonly name: string }
  | { readonly kind: 'pass'; readonly after: number }
  | { readonly kind: 'restart' }
  /** The agent dies, or the kernel refuses, after so many writes. */
  | { readonly kind: 'crash' | 'failure'; readonly writes: number }

const serviceNames = ['a', 'b', 'c']
const sliceNames = ['s1', 's2', 's3', 's4']
const servicePorts = [
  { name: 'http', port: 80, protocol: 'TCP', nodePort: 30080 },
  { name: 'dns', port: 53, protocol: 'UDP', nodePort: 30053 },
  { name: 'dns', port: 53, protocol: 'TCP', nodePort: 30080 },
  { name: '', port: 81, protocol: 'TCP', nodePort: 0 },
  { name: 'ssh', port: 82, protocol: 'TCP', nodePort: 22 },
]
const slicePorts = [
  { name: 'http', port: 8080, protocol: 'TCP' },
  { name: 'http', port: 8081, protocol: 'TCP' },
  { name: 'dns', port: 53, protocol: 'UDP' },
  { name: 'dns', port: 53, protocol: 'TCP' },
  { name: '', port: 9000, protocol: 'TCP' },
]

const rarely = <Value>(usual: Value, odd: Value): fc.Arbitrary<Value> =>
  fc.oneof({ weight: 7, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constant(odd) })

/** Few addresses, so that Services quarrel about them; some of the values are not addresses. */
const clusterIPs = fc.constantFrom(
  ['10.96.0.1'],
  ['10.96.0.2'],
  ['10.96.0.3', 'fd00::3'],
  ['fd00::4'],
  ['10.96.0.4', '::ffff:10.0.0.1'],
  ['10.1.0.3'],
  ['None'],
)

const ingress: { ip: string; ipMode?: string }[] = [
  { ip: '198.51.100.1' },
  { ip: '198.51.100.2', ipMode: 'VIP' },
  { ip: '198.51.100.3', ipMode: 'Proxy' },
  { ip: '10.96.0.2' },
  { ip: '10.1.0.9' },
  { ip: '192.0.2.1' },
  { ip: '172.16.0.9' },
  { ip: 'fd02::1' },
]

/** The node moves between zones, and its addresses come and go. */
const node: fc.Arbitrary<RawNode> = fc.record({
  metadata: fc.record({
    name: fc.constant('here'),
    labels: fc
      .constantFrom('a', 'a', 'b', '')
      .map((zone): Record<string, string> =>
        zone === '' ? {} : { 'topology.kubernetes.io/zone': zone },
      ),
  }),
  spec: fc.constant({ podCIDRs: ['10.1.0.0/16'] }),
  status: fc.record({
    addresses: fc.subarray([
      { type: 'ExternalIP', address: '192.0.2.2' },
      { type: 'InternalIP', address: '172.16.0.9' },
      { type: 'InternalIP', address: 'fd03::9' },
      { type: 'Hostname', address: 'here' },
    ]),
  }),
})

export const service: fc.Arbitrary<RawService> = fc.record({
  metadata: fc.record({
    namespace: fc.constant('default'),
    name: fc.constantFrom(...serviceNames),
    uid: fc.constantFrom('u1', 'u2'),
    creationTimestamp: fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
    labels: rarely<Record<string, string>>({}, { 'service.kubernetes.io/service-proxy-name': 'x' }),
    annotations: fc.constantFrom<Record<string, string>>(
      ...[{}, {}, {}, {}],
      { 'kube-shunt.io/load-balancing': 'maglev' },
      { 'service.cilium.io/lb-algorithm': 'maglev' },
      { 'service.cilium.io/lb-algorithm': 'maglev', 'kube-shunt.io/load-balancing': 'random' },
    ),
  }),
  spec: fc.record({
    type: fc.constantFrom('ClusterIP', 'ClusterIP', 'NodePort', 'LoadBalancer'),
    clusterIPs,
    externalIPs: rarely<string[]>([], ['192.0.2.1', '10.96.0.1', '192.0.2.2', '192.0.2.1']),
    internalTrafficPolicy: rarely('Cluster', 'Local'),
    externalTrafficPolicy: fc.constantFrom('Cluster', 'Local'),
    sessionAffinity: rarely('None', 'ClientIP'),
    loadBalancerSourceRanges: fc.constantFrom<string[]>(
      ...[[], [], []],
      ['203.0.113.0/24'],
      ['203.0.113.0/24', '192.0.2.7/31', 'fd00::/16', '10.0.0.0/33'],
      ['::/0', '10.0.0.0/8'],
      ['junk'],
    ),
    ports: fc.subarray(servicePorts),
  }),
  status: fc.record({
    loadBalancer: fc.record({ ingress: fc.subarray(ingress, { maxLength: 3 }) }),
  }),
})

const names = (...all: string[]): fc.Arbitrary<{ name: string }[]> =>
  fc.subarray(all).map((some) => some.map((name) => ({ name })))

const endpoint: (family: string) => fc.Arbitrary<RawEndpoint> = (family) =>
  fc.record({
    addresses: fc
      .integer({ min: 1, max: 7 })
      .map((number) => [
        family === 'IPv6' ? `fd01::${number}` : number === 7 ? '10.96.0.1' : `10.1.0.${number}`,
      ]),
    nodeName: fc.constantFrom('here', 'there', ''),
    conditions: fc.record({
      ready: fc.constantFrom(true, true, true, false, null),
      serving: fc.constantFrom(true, false, null),
      terminating: fc.constantFrom(true, false, null),
    }),
    hints: fc.option(fc.record({ forZones: names('a', 'b'), forNodes: names('here', 'there') }), {
      nil: null,
      freq: 6,
    }),
  })

const slice: fc.Arbitrary<RawSlice> = fc
  .constantFrom('IPv4', 'IPv4', 'IPv6')
  .chain((addressType) =>
    fc.record({
      metadata: fc.record({
        namespace: fc.constant('default'),
        name: fc.constantFrom(...sliceNames),
        labels: fc
          .constantFrom(...serviceNames)
          .map((name) => ({ 'kubernetes.io/service-name': name })),
      }),
      addressType: fc.constant(addressType),
      ports: fc.subarray(slicePorts),
      endpoints: fc.array(endpoint(addressType), { maxLength: 5 }),
    }),
  )
  .map(consistent)

/** One slice never lists an endpoint twice on different nodes; two records of equal rank would tie. */
function consistent(raw: RawSlice): RawSlice {
  return { ...raw, endpoints: raw.endpoints.map((one) => ({ ...one, nodeName: nodeOf(one) })) }
}

function nodeOf(one: RawEndpoint): string {
  return ['here', 'there', ''][Number(one.addresses[0]!.at(-1)) % 3]!
}

export const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 6, arbitrary: service.map((raw): Event => ({ kind: 'service', raw })) },
  { weight: 8, arbitrary: slice.map((raw): Event => ({ kind: 'slice', raw })) },
  { weight: 2, arbitrary: node.map((raw): Event => ({ kind: 'node', raw })) },
  {
    weight: 1,
    arbitrary: fc
      .subarray(['10.96.0.1', '198.51.100.1', '192.0.2.1', '127.0.0.1'])
      .map((addresses): Event => ({ kind: 'interfaces', addresses })),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(...serviceNames)
      .map((name): Event => ({ kind: 'remove service', name: `default/${name}` })),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(...sliceNames)
      .map((name): Event => ({ kind: 'remove slice', name: `default/${name}` })),
  },
  {
    weight: 8,
    arbitrary: fc.constantFrom(0, 700, 1500, 5000).map((after): Event => ({ kind: 'pass', after })),
  },
  { weight: 1, arbitrary: fc.constant<Event>({ kind: 'restart' }) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom('crash' as const, 'failure' as const), fc.nat(20))
      .map(([kind, writes]): Event => ({ kind, writes })),
  },
)

export const history: fc.Arbitrary<Event[]> = fc.array(event, { maxLength: 40, size: 'max' })
