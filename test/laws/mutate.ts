import fc from 'fast-check'

/** Objects with every field that parsers read. */
export const service = {
  metadata: {
    namespace: 'ns',
    name: 'a',
    uid: 'u',
    creationTimestamp: '2026-01-01T00:00:00Z',
    labels: {},
  },
  spec: {
    type: 'LoadBalancer',
    clusterIPs: ['10.0.0.1', 'fd00::1'],
    externalIPs: ['192.0.2.1'],
    ports: [
      { name: 'a', port: 80, protocol: 'TCP', nodePort: 30000 },
      { name: 'b', port: 53, protocol: 'UDP' },
    ],
    loadBalancerSourceRanges: ['10.0.0.0/8'],
    sessionAffinity: 'ClientIP',
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 5 } },
  },
  status: { loadBalancer: { ingress: [{ ip: '198.51.100.1', ipMode: 'VIP' }] } },
}
export const slice = {
  metadata: { namespace: 'ns', name: 's', labels: { 'kubernetes.io/service-name': 'a' } },
  addressType: 'IPv4',
  ports: [{ name: 'a', port: 8080, protocol: 'TCP' }],
  endpoints: [
    {
      addresses: ['10.1.0.1'],
      conditions: { ready: true },
      nodeName: 'n',
      hints: { forZones: [{ name: 'z' }] },
    },
    { addresses: ['10.1.0.2'] },
  ],
}
export const node = {
  metadata: { name: 'n', labels: { x: 'y' } },
  spec: { podCIDRs: ['10.244.0.0/24'], taints: [{ key: 'k' }] },
  status: { addresses: [{ type: 'InternalIP', address: '10.0.0.9' }] },
}

/** Values that nobody should send. */
export const odd = fc.oneof(
  fc.anything(),
  fc.ipV4(),
  fc.ipV6(),
  fc.integer(),
  fc.constantFrom(
    '__proto__',
    'constructor',
    'None',
    '127.0.0.1',
    '::ffff:10.0.0.1',
    '10.0.0.010',
    '\u001b[2J',
  ),
)

/** The object with a few values anywhere in it replaced. */
export function mutated(
  object: object,
  values: fc.Arbitrary<unknown> = odd,
): fc.Arbitrary<unknown> {
  const hit = fc.tuple(fc.array(fc.nat(6), { minLength: 1, maxLength: 6 }), values)
  return fc.array(hit, { minLength: 1, maxLength: 4 }).map((hits) => {
    const copy = structuredClone(object) as Record<string, unknown>
    for (const [path, value] of hits) replace(copy, path, value)
    return copy
  })
}

function replace(at: Record<string, unknown>, path: readonly number[], value: unknown): void {
  const keys = Object.keys(at)
  const key = keys[path[0]! % Math.max(keys.length, 1)]
  if (key === undefined) return
  const inner = at[key]
  if (path.length > 1 && typeof inner === 'object' && inner !== null) {
    replace(inner as Record<string, unknown>, path.slice(1), value)
  } else at[key] = value
}
