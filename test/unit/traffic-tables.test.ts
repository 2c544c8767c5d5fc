import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseEndpointSlice } from '../../src/kube/parse-endpointslice.ts'
import { parseService } from '../../src/kube/parse-service.ts'
import { createAddressOwners } from '../../src/model/address-owners.ts'
import { defaultRules, surroundingsOf } from '../../src/model/exposure.ts'
import { resolveService } from '../../src/model/resolve.ts'
import type { EndpointSlice, Frontend, Service } from '../../src/model/types.ts'

/*
 * kube-proxy's traffic tables: which endpoints do clients get, by policy, condition and hint?
 * An endpoint is "a:ready@here hints=zone/x,node/y"; the answer is the names chosen, "drop" where
 * there are endpoints but none that may be used, or "reject" where there is none at all.
 */

const conditions: Readonly<Record<string, object>> = {
  ready: { ready: true, serving: true, terminating: false },
  leaving: { ready: false, serving: true, terminating: true },
  gone: { ready: false, serving: false, terminating: true },
  unready: { ready: false, serving: false, terminating: false },
  'serving-only': { ready: false, serving: true, terminating: false },
  'ready-and-terminating': { ready: true, serving: true, terminating: true },
  unknown: {},
  'unknown-serving': { ready: true, serving: null, terminating: null },
}

const names = 'abcdefgh'

function endpoint(text: string): object {
  const match = /^([a-h]):([\w-]+)@(\w*)(?:\[(.*)\])?$/.exec(text)
  const [, name, state, nodeName, hints = ''] = match!
  const hinted = (kind: string): { name: string }[] =>
    hints
      .split(',')
      .filter((hint) => hint.startsWith(`${kind}/`))
      .map((hint) => ({ name: hint.slice(kind.length + 1) }))
  return {
    addresses: [`10.1.0.${names.indexOf(name!) + 1}`],
    conditions: conditions[state!],
    nodeName,
    hints: { forZones: hinted('zone'), forNodes: hinted('node') },
  }
}

function sliceOf(text: string): EndpointSlice {
  const raw = {
    metadata: { name: 's', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080 }],
    endpoints: text.split(/\s+/).filter(Boolean).map(endpoint),
  }
  return (parseEndpointSlice(raw) as { value: EndpointSlice }).value
}

interface Row {
  readonly endpoints: string
  /** Pods at the cluster IP, by internal policy. */
  readonly internalCluster?: string
  readonly internalLocal?: string
  /** Clients outside at the node port, by external policy. */
  readonly externalCluster?: string
  readonly externalLocal?: string
  /** Pods at the node port, under either external policy. */
  readonly podAtNodePort?: string
}

interface Place {
  readonly zone?: string
}

function frontends(row: Row, spec: object, { zone = '' }: Place): readonly Frontend[] {
  const raw = {
    metadata: { name: 'web' },
    spec: {
      type: 'NodePort',
      clusterIP: '10.96.0.1',
      ports: [{ name: 'http', port: 80, nodePort: 30080 }],
      ...spec,
    },
  }
  const { value } = parseService(raw) as { value: Service }
  const node = { name: 'here', zone, addresses: ['172.16.0.1'], podCIDRs: [] }
  const around = surroundingsOf(node, [], defaultRules, createAddressOwners())
  return resolveService(value, [sliceOf(row.endpoints)], around).frontends
}

/** What the datapath does with a set. */
function outcome(frontend: Frontend, from: 'pod' | 'outside'): string {
  const { backends, lead, localOnly, externalLocalOnly } = frontend
  const set = from === 'pod' ? backends.slice(lead) : backends
  const isLocal = from === 'pod' ? localOnly : externalLocalOnly
  if (set.length === 0) return 'reject'
  const chosen = isLocal ? set.filter((backend) => backend.local) : set
  if (chosen.length === 0) return 'drop'
  return chosen
    .map(({ address }) => names[Number(address.split('.').at(-1)) - 1]!)
    .sort()
    .join('')
}

function check(row: Row, place: Place = {}): void {
  const of = (spec: object, kind: string): Frontend =>
    frontends(row, spec, place).find((frontend) => frontend.kind === kind)!
  for (const policy of ['Cluster', 'Local'] as const) {
    const inside = of({ internalTrafficPolicy: policy }, 'ClusterIP')
    const outside = of({ externalTrafficPolicy: policy }, 'NodePort')
    const expected = {
      inside: row[`internal${policy}`],
      outside: row[`external${policy}`],
      pod: row.podAtNodePort,
    }
    const found = {
      inside: outcome(inside, 'pod'),
      outside: outcome(outside, 'outside'),
      pod: outcome(outside, 'pod'),
    }
    for (const who of ['inside', 'outside', 'pod'] as const) {
      if (expected[who] !== undefined) assert.equal(found[who], expected[who], `${policy} ${who}`)
    }
    assert.equal(outcome(inside, 'outside'), found.inside, 'a cluster IP is the same from outside')
  }
}

/** The answer by policy alone, the same for traffic from inside and outside. */
function byPolicy(endpoints: string, cluster: string, local: string): Row {
  return {
    endpoints,
    internalCluster: cluster,
    internalLocal: local,
    externalCluster: cluster,
    externalLocal: local,
    podAtNodePort: cluster,
  }
}

describe('terminating endpoints by policy', () => {
  const rows: readonly (readonly [string, Row])[] = [
    ['no endpoints', byPolicy('', 'reject', 'reject')],
    ['ready here and there', byPolicy('a:ready@here b:ready@there', 'ab', 'a')],
    ['ready only elsewhere', byPolicy('a:ready@there b:ready@there', 'ab', 'drop')],
    [
      'two ready here, one leaving, one gone, one ready elsewhere',
      byPolicy(
        'a:ready@here b:ready@here c:leaving@here d:gone@here e:ready@there',
        ...(['abe', 'ab'] as const),
      ),
    ],
    [
      'only leaving ones here, one ready elsewhere',
      byPolicy('a:leaving@here b:leaving@here c:gone@here d:ready@there', 'd', 'ab'),
    ],
    ['leaving everywhere', byPolicy('a:leaving@here b:leaving@there', 'ab', 'a')],
    ['only one leaving elsewhere', byPolicy('a:leaving@there', 'a', 'drop')],
    ['gone everywhere', byPolicy('a:gone@here b:gone@there', 'reject', 'reject')],
    ['ready here, leaving elsewhere', byPolicy('a:ready@here b:leaving@there', 'a', 'a')],
    ['ready and terminating at once', byPolicy('a:ready-and-terminating@here', 'a', 'a')],
    ['no conditions at all', byPolicy('a:unknown@here b:unready@here', 'a', 'a')],
    ['an old controller without serving', byPolicy('a:unknown-serving@there', 'a', 'drop')],
    ['serving but neither ready nor leaving', byPolicy('a:serving-only@here', 'reject', 'reject')],
    ['unready ones do not help a leaving one', byPolicy('a:unready@here b:leaving@here', 'b', 'b')],
    ['no node name is nowhere', byPolicy('a:ready@', 'a', 'drop')],
  ]
  for (const [name, row] of rows) it(name, () => check(row))
})

describe('topology hints', () => {
  const a = 'a:ready@here[zone/a]'
  const b = 'b:ready@there[zone/b]'
  const rows: readonly (readonly [string, string, string, string])[] = [
    ['every endpoint has a zone: only those of ours', `${a} ${b}`, 'a', 'a'],
    ['the other zone', `${a} ${b}`, 'b', 'b'],
    ['one ready endpoint without a hint: no filtering', `${a} ${b} c:ready@there`, 'a', 'abc'],
    ['an unready one without a hint does not matter', `${a} ${b} c:unready@there`, 'a', 'a'],
    ['a leaving one without a hint does not matter', `${a} ${b} c:leaving@there`, 'a', 'a'],
    ['the node has no zone: no filtering', `${a} ${b}`, '', 'ab'],
    ['no hint names our zone: no filtering', `${a} ${b}`, 'c', 'ab'],
    ['those of our zone are unready: no filtering', `a:unready@here[zone/a] ${b}`, 'a', 'b'],
    ['an endpoint for several zones, in one', `a:ready@here[zone/a,zone/b] ${b}`, 'a', 'a'],
    ['an endpoint for several zones, in the other', `a:ready@here[zone/a,zone/b] ${b}`, 'b', 'ab'],
    ['no hints', 'a:ready@here b:ready@there', 'a', 'ab'],
    ['nothing ready: hints do not matter', 'a:leaving@here[zone/b] b:leaving@there', 'a', 'ab'],
    [
      'node hints come first',
      'a:ready@here[zone/a,node/here] b:ready@there[zone/a,node/there]',
      ...(['a', 'a'] as const),
    ],
    [
      'node hints of which none is ours: zone hints',
      'a:ready@there[zone/a,node/x] b:ready@there[zone/a,node/y] c:ready@there[zone/b,node/z]',
      ...(['a', 'ab'] as const),
    ],
    [
      'one without a node hint: zone hints',
      'a:ready@here[zone/a,node/here] b:ready@there[zone/a] c:ready@there[zone/b,node/there]',
      ...(['a', 'ab'] as const),
    ],
    [
      'neither node nor zone hints are ours: no filtering',
      'a:ready@there[zone/a,node/x] b:ready@there[zone/b,node/y]',
      ...(['c', 'ab'] as const),
    ],
    [
      'node hints alone, of which none is ours',
      'a:ready@there[node/x] b:ready@there[node/y]',
      ...(['a', 'ab'] as const),
    ],
  ]
  for (const [name, endpoints, zone, cluster] of rows) {
    it(name, () =>
      check(
        { endpoints, internalCluster: cluster, externalCluster: cluster, podAtNodePort: cluster },
        { zone },
      ),
    )
  }

  it('a Local set ignores hints, and pods at the node port do not', () => {
    const endpoints = 'a:ready@here[zone/b] b:ready@there[zone/a] c:ready@here[zone/a]'
    check({ ...byPolicy(endpoints, 'bc', 'ac') }, { zone: 'a' })
  })

  it('an endpoint hinted elsewhere serves a Local policy alone', () => {
    const endpoints = 'a:ready@here[zone/b] b:ready@there[zone/a]'
    check({ ...byPolicy(endpoints, 'b', 'a') }, { zone: 'a' })
  })

  it('a Local policy whose node has none drops, whatever the hints', () => {
    const endpoints = 'a:ready@there[zone/b] b:ready@there[zone/a]'
    check({ ...byPolicy(endpoints, 'b', 'drop') }, { zone: 'a' })
  })
})

describe('policies and kinds', () => {
  const row: Row = { endpoints: 'a:ready@here b:ready@there' }
  const kinds = (spec: object): Record<string, string> =>
    Object.fromEntries(
      frontends(row, spec, {}).map((frontend) => [
        frontend.kind,
        `${outcome(frontend, 'pod')} ${outcome(frontend, 'outside')}`,
      ]),
    )

  it('an internal Local policy leaves outside frontends alone', () => {
    const spec = { internalTrafficPolicy: 'Local' }
    assert.deepEqual(kinds(spec), { ClusterIP: 'a a', NodePort: 'ab ab' })
  })

  it('an external Local policy leaves the cluster IP and pods alone', () => {
    const spec = { externalTrafficPolicy: 'Local' }
    assert.deepEqual(kinds(spec), { ClusterIP: 'ab ab', NodePort: 'ab a' })
  })

  it('an external policy of a Service that is only inside means nothing', () => {
    assert.deepEqual(kinds({ type: 'ClusterIP', externalTrafficPolicy: 'Local' }), {
      ClusterIP: 'ab ab',
    })
  })

  it('policies that are not known mean Cluster', () => {
    const spec = { externalTrafficPolicy: 'Foo', internalTrafficPolicy: 'local' }
    assert.deepEqual(kinds(spec), { ClusterIP: 'ab ab', NodePort: 'ab ab' })
  })
})
