import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseEndpointSlice } from '../../src/kube/parse-endpointslice.ts'
import { parseNode } from '../../src/kube/parse-node.ts'
import { parseService } from '../../src/kube/parse-service.ts'
import { canonicalAddress } from '../../src/model/address.ts'
import type { Parsed, Refusal } from '../../src/model/types.ts'

const runs = { numRuns: Number(process.env['LAW_RUNS'] ?? 400) * 5 }

const service = {
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
const slice = {
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
const node = {
  metadata: { name: 'n', labels: { x: 'y' } },
  spec: { podCIDRs: ['10.244.0.0/24'], taints: [{ key: 'k' }] },
  status: { addresses: [{ type: 'InternalIP', address: '10.0.0.9' }] },
}

const odd = fc.oneof(
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
function mutated(object: object): fc.Arbitrary<unknown> {
  const hit = fc.tuple(fc.array(fc.nat(6), { minLength: 1, maxLength: 6 }), odd)
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

function checkRefusals(parsed: Parsed<unknown>): void {
  const refusals: readonly Refusal[] = parsed.kind === 'ignored' ? [] : parsed.refusals
  for (const { field, value, reason } of refusals) {
    const line = `${field} ${value} ${reason}`
    assert.ok(line.length < 1000, line)
    assert.match(line, /^[\x20-\x7e]*$/)
  }
  assert.match(parsed.name, /^[-_./A-Za-z0-9]*$/)
}

function checkAddresses(addresses: readonly string[]): void {
  for (const address of addresses) assert.equal(canonicalAddress(address), address)
}

function checkPort(port: number): void {
  assert.ok(Number.isInteger(port) && port >= 1 && port <= 65535, `port ${port}`)
}

describe('parsers', () => {
  it('parseService() never throws and lets nothing odd through', () => {
    fc.assert(
      fc.property(mutated(service), (raw) => {
        const parsed = parseService(raw)
        checkRefusals(parsed)
        if (parsed.kind !== 'parsed') return
        const { clusterIPs, externalIPs, loadBalancerIPs, ports } = parsed.value
        checkAddresses([...clusterIPs, ...externalIPs, ...loadBalancerIPs])
        for (const { port, nodePort } of ports) {
          checkPort(port)
          if (nodePort !== 0) checkPort(nodePort)
        }
        assert.equal(new Set(ports.map((port) => port.name)).size, ports.length)
      }),
      runs,
    )
  })

  it('parseEndpointSlice() never throws and lets nothing odd through', () => {
    fc.assert(
      fc.property(mutated(slice), (raw) => {
        const parsed = parseEndpointSlice(raw)
        checkRefusals(parsed)
        if (parsed.kind !== 'parsed') return
        checkAddresses(parsed.value.endpoints.map((endpoint) => endpoint.address))
        for (const { port } of parsed.value.ports) checkPort(port)
      }),
      runs,
    )
  })

  it('parseNode() never throws and lets nothing odd through', () => {
    fc.assert(
      fc.property(mutated(node), (raw) => {
        const parsed = parseNode(raw)
        checkRefusals(parsed)
        if (parsed.kind === 'parsed') checkAddresses(parsed.value.addresses)
      }),
      runs,
    )
  })
})
