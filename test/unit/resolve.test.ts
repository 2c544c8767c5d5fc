import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseEndpointSlice } from '../../src/kube/parse-endpointslice.ts'
import { parseService } from '../../src/kube/parse-service.ts'
import { createAddressOwners } from '../../src/model/address-owners.ts'
import { defaultRules, surroundingsOf } from '../../src/model/exposure.ts'
import { resolveService } from '../../src/model/resolve.ts'
import type { EndpointSlice, Frontend, Service } from '../../src/model/types.ts'

const node = { name: 'here', zone: '', addresses: [], podCIDRs: [] }
const around = surroundingsOf(node, [], defaultRules, createAddressOwners())

const conditions: Readonly<Record<string, object>> = {
  ready: { ready: true },
  leaving: { ready: false, serving: true, terminating: true },
  dead: { ready: false, serving: false, terminating: true },
  unready: { ready: false },
  both: { ready: true, serving: true, terminating: true },
}

/** "ready@here leaving@there" as endpoints 10.1.0.1, 10.1.0.2, ... */
function slice(text: string, fields: object = {}): EndpointSlice {
  const endpoints = text
    .split(' ')
    .filter((word) => word !== '')
    .map((word, at) => {
      const [state, nodeName] = word.split('@')
      return { addresses: [`10.1.0.${at + 1}`], conditions: conditions[state!], nodeName }
    })
  const raw = {
    metadata: { name: 's', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080 }],
    endpoints,
    ...fields,
  }
  return (parseEndpointSlice(raw) as { value: EndpointSlice }).value
}

function frontends(spec: object, ...slices: EndpointSlice[]): readonly Frontend[] {
  const ports = [{ name: 'http', port: 80 }]
  const raw = { metadata: { name: 'web' }, spec: { clusterIP: '10.96.0.1', ports, ...spec } }
  const { value } = parseService(raw) as { value: Service }
  return resolveService(value, slices, around).frontends
}

/** Last octets: usable local ones, usable others, and spares. */
function sets(frontend: Frontend): string {
  const last = (address: string): string => address.split('.').at(-1)!
  const list = (some: Frontend['backends']): string =>
    some.map(({ address, local }) => `${last(address)}${local ? 'L' : ''}`).join(' ')
  return `${list(frontend.backends)} | ${list(frontend.spares)}`
}

describe('resolveService()', () => {
  it('uses ready endpoints, else those that terminate but serve', () => {
    const cases: readonly (readonly [string, string])[] = [
      ['', ' | '],
      ['ready@there ready@here', '2L 1 | '],
      ['ready@there leaving@here dead@here', '1 | 2L'],
      ['leaving@there leaving@here dead@there', '2L 1 | '],
      ['dead@there dead@here unready@here', ' | '],
      ['both@there leaving@here', '1 | 2L'],
      ['ready@ ready@here', '2L 1 | '],
    ]
    for (const [endpoints, expected] of cases) {
      assert.equal(sets(frontends({}, slice(endpoints))[0]!), expected, endpoints)
    }
  })

  it('decides the local set independently and tells drop from reject', () => {
    const cases: readonly (readonly [string, string])[] = [
      ['ready@there', '1 | '],
      ['ready@here ready@there', '1L 2 | '],
      ['leaving@here ready@there', '1L 2 | '],
      ['leaving@here ready@here ready@there', '2L 3 | 1L'],
      ['leaving@there ready@here', '2L | 1'],
      ['leaving@there leaving@here', '2L 1 | '],
      ['dead@here', ' | '],
    ]
    for (const [endpoints, expected] of cases) {
      const [frontend] = frontends({ internalTrafficPolicy: 'Local' }, slice(endpoints))
      assert.equal(frontend!.localOnly, true)
      assert.equal(sets(frontend!), expected, endpoints)
    }
  })

  it('matches ports by name and protocol, each slice with its own number', () => {
    const ports = [
      { name: 'http', port: 80 },
      { name: 'http2', port: 81 },
      { name: 'http', port: 80, protocol: 'UDP' },
    ]
    const first = slice('ready@there')
    const second = slice('ready@there', { ports: [{ name: 'http', port: 9090 }] })
    const resolved = frontends({ ports }, first, second)
    assert.deepEqual(
      resolved.map((one) => one.backends.map(({ address, port }) => `${address}:${port}`)),
      [['10.1.0.1:8080', '10.1.0.1:9090'], [], []],
    )
  })

  it('counts an endpoint of several slices once, and the ready record wins', () => {
    const ready = slice('ready@there')
    const leaving = slice('leaving@there')
    for (const slices of [
      [ready, leaving],
      [leaving, ready],
      [ready, ready],
    ]) {
      assert.equal(sets(frontends({}, ...slices)[0]!), '1 | ')
    }
  })

  it('keeps the families apart', () => {
    const six = slice('', { addressType: 'IPv6', endpoints: [{ addresses: ['fd01::1'] }] })
    const resolved = frontends({ clusterIPs: ['10.96.0.1', 'fd00::1'] }, slice('ready@here'), six)
    assert.deepEqual(
      resolved.map(({ family, keys, backends }) => [
        family,
        keys.map((key) => key.text),
        backends.map((backend) => backend.address),
      ]),
      [
        [4, ['10.96.0.1:80/TCP'], ['10.1.0.1']],
        [6, ['[fd00::1]:80/TCP'], ['fd01::1']],
      ],
    )
  })
})
