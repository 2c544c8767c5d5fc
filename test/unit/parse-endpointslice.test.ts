import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseEndpointSlice } from '../../src/kube/parse-endpointslice.ts'
import type { EndpointSlice } from '../../src/model/types.ts'

type Fields = Readonly<Record<string, unknown>>

function raw(fields: Fields, labels: Fields = { 'kubernetes.io/service-name': 'web' }): unknown {
  return {
    metadata: { namespace: 'shop', name: 'web-abc', labels },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080 }],
    endpoints: [],
    ...fields,
  }
}

function parsed(object: unknown): { slice: EndpointSlice; refused: string[] } {
  const result = parseEndpointSlice(object)
  assert.equal(result.kind, 'parsed')
  const { value, refusals } = result
  return { slice: value, refused: refusals.map((one) => `${one.field} ${one.value} ${one.reason}`) }
}

describe('parseEndpointSlice()', () => {
  it('reads our fields and nothing else', () => {
    const { slice, refused } = parsed(
      raw({
        ports: [
          { name: 'http', port: 8080, protocol: 'TCP', appProtocol: 'x' },
          { name: 'dns', port: 53, protocol: 'UDP' },
          { port: 9, protocol: 'SCTP' },
        ],
        endpoints: [
          {
            addresses: ['10.1.0.1', '10.1.0.2'],
            conditions: { ready: false, serving: true, terminating: true },
            nodeName: 'n1',
            zone: 'z1',
            hints: { forZones: [{ name: 'z1' }, { name: 'z2' }], forNodes: [{ name: 'n1' }] },
            targetRef: { name: 'pod' },
          },
        ],
      }),
    )
    assert.deepEqual(refused, [])
    assert.deepEqual(slice, {
      key: 'shop/web-abc',
      service: 'shop/web',
      family: 4,
      ports: [
        { portName: 'http', protocol: 'TCP', port: 8080 },
        { portName: 'dns', protocol: 'UDP', port: 53 },
        { portName: '', protocol: 'SCTP', port: 9 },
      ],
      endpoints: [
        {
          address: '10.1.0.1',
          ready: false,
          serving: true,
          terminating: true,
          node: 'n1',
          zone: 'z1',
          zoneHints: ['z1', 'z2'],
          nodeHints: ['n1'],
        },
      ],
    })
  })

  it('takes missing conditions as ready, serving as ready, and not terminating', () => {
    const cases: readonly (readonly [unknown, string])[] = [
      [undefined, 'ready serving'],
      [null, 'ready serving'],
      [{}, 'ready serving'],
      [{ ready: null, serving: null, terminating: null }, 'ready serving'],
      [{ ready: true, terminating: true }, 'ready serving terminating'],
      [{ ready: false }, ''],
      [{ ready: false, serving: true }, 'serving'],
      [{ ready: false, serving: true, terminating: true }, 'serving terminating'],
      [{ serving: false }, 'ready'],
    ]
    for (const [conditions, expected] of cases) {
      const { slice } = parsed(raw({ endpoints: [{ addresses: ['10.1.0.1'], conditions }] }))
      const endpoint = slice.endpoints[0]!
      const names = (['ready', 'serving', 'terminating'] as const).filter((name) => endpoint[name])
      assert.equal(names.join(' '), expected, JSON.stringify(conditions))
    }
  })

  it('leaves bad endpoints out and keeps their neighbours', () => {
    const bad = [
      [],
      ['127.0.0.1'],
      ['169.254.169.254'],
      ['0.0.0.0'],
      ['224.0.0.1'],
      ['255.255.255.255'],
      ['fd00::1'],
      ['::ffff:10.0.0.1'],
      ['10.0.0.010'],
      ['pod.example'],
      [7],
      'x',
    ]
    const endpoints = [...bad, ['10.1.0.1']].map((addresses) => ({ addresses }))
    const { slice, refused } = parsed(raw({ endpoints: [null, ...endpoints] }))
    assert.deepEqual(
      slice.endpoints.map((endpoint) => endpoint.address),
      ['10.1.0.1'],
    )
    assert.equal(refused.length, bad.length + 1)
    assert.equal(refused[7], 'endpoints[7].addresses[0] "fd00::1" is not an IPv4 address')
  })

  it('ignores a port without a number and refuses a bad one', () => {
    const { slice, refused } = parsed(
      raw({
        ports: [
          { name: 'all', port: null },
          { name: 'all2' },
          { name: 'zero', port: 0 },
          { name: 'icmp', port: 1, protocol: 'ICMP' },
          { name: 'good', port: 2 },
        ],
      }),
    )
    assert.deepEqual(slice.ports, [{ portName: 'good', protocol: 'TCP', port: 2 }])
    assert.equal(refused.length, 2)
  })

  it('knows slices that belong to no Service', () => {
    assert.equal(parsed(raw({}, {})).slice.service, undefined)
    const empty = { 'kubernetes.io/service-name': '' }
    assert.equal(parsed(raw({}, empty)).slice.service, undefined)
    const odd = parsed(raw({}, { 'kubernetes.io/service-name': 'a/b' }))
    assert.equal(odd.slice.service, undefined)
    assert.equal(odd.refused.length, 1)
  })

  it('ignores slices of other address types and headless ones', () => {
    for (const addressType of ['FQDN', undefined, 4]) {
      assert.equal(parseEndpointSlice(raw({ addressType })).kind, 'ignored')
    }
    const headless = raw({}, { 'service.kubernetes.io/headless': '' })
    assert.equal(parseEndpointSlice(headless).kind, 'ignored')
    assert.equal(parseEndpointSlice({ metadata: {} }).kind, 'refused')
  })

  it('bounds what it reads', () => {
    const endpoints = Array.from({ length: 20_000 }, () => ({ addresses: ['10.1.0.1'] }))
    const { slice, refused } = parsed(raw({ endpoints }))
    assert.equal(slice.endpoints.length, 10_000)
    assert.match(refused[0]!, /more than 10000/)
  })

  it('keeps one copy of names that many endpoints share', () => {
    const text = JSON.stringify(
      raw({ endpoints: [{ addresses: ['10.1.0.1'], hints: { forZones: [{ name: 'a' }] } }] }),
    )
    const first = parsed(JSON.parse(text)).slice.endpoints[0]!
    const second = parsed(JSON.parse(text)).slice.endpoints[0]!
    assert.equal(first.zoneHints, second.zoneHints)
  })
})
