import fc from 'fast-check'
import type { RawEndpoint, RawService, RawSlice } from './reference.ts'

/** Something that happens to a cluster. */
export type Event =
  | { readonly kind: 'service'; readonly raw: RawService }
  | { readonly kind: 'slice'; readonly raw: RawSlice }
  | { readonly kind: 'remove service' | 'remove slice'; readonly name: string }
  | { readonly kind: 'pass'; readonly after: number }
  | { readonly kind: 'restart' }
  /** The agent dies, or the kernel refuses, after so many writes. */
  | { readonly kind: 'crash' | 'failure'; readonly writes: number }

const serviceNames = ['a', 'b', 'c']
const sliceNames = ['s1', 's2', 's3', 's4']
const servicePorts = [
  { name: 'http', port: 80, protocol: 'TCP' },
  { name: 'dns', port: 53, protocol: 'UDP' },
  { name: 'dns', port: 53, protocol: 'TCP' },
  { name: '', port: 81, protocol: 'TCP' },
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
  ['None'],
)

export const service: fc.Arbitrary<RawService> = fc.record({
  metadata: fc.record({
    namespace: fc.constant('default'),
    name: fc.constantFrom(...serviceNames),
    uid: fc.constantFrom('u1', 'u2'),
    creationTimestamp: fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
    labels: rarely<Record<string, string>>({}, { 'service.kubernetes.io/service-proxy-name': 'x' }),
  }),
  spec: fc.record({
    clusterIPs,
    internalTrafficPolicy: rarely('Cluster', 'Local'),
    sessionAffinity: rarely('None', 'ClientIP'),
    ports: fc.subarray(servicePorts),
  }),
})

const endpoint: (family: string) => fc.Arbitrary<RawEndpoint> = (family) =>
  fc.record({
    addresses: fc
      .integer({ min: 1, max: 6 })
      .map((number) => [family === 'IPv4' ? `10.1.0.${number}` : `fd01::${number}`]),
    nodeName: fc.constantFrom('here', 'there', ''),
    conditions: fc.record({
      ready: fc.constantFrom(true, true, true, false, null),
      serving: fc.constantFrom(true, false, null),
      terminating: fc.constantFrom(true, false, null),
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
