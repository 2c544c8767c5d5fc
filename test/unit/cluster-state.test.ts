import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node, ServiceName } from '../../src/model/types.ts'
import { createClusterState, type RefusedObject } from '../../src/reconcile/cluster-state.ts'

function service(name: string, port: unknown): unknown {
  return {
    metadata: { name, namespace: 'default', uid: name },
    spec: {
      clusterIP: '10.96.0.1',
      clusterIPs: ['10.96.0.1'],
      ports: [
        { name: 'good', port: 80, protocol: 'TCP' },
        { name: 'other', port, protocol: 'TCP' },
      ],
    },
  }
}

function observed() {
  const refused: RefusedObject[] = []
  const calls = { changed: 0 }
  const state = createClusterState('node1', {
    changed: () => calls.changed++,
    refused: (object) => refused.push(object),
    node: () => undefined,
  })
  return { state, refused, calls }
}

test('clusterState: a refused piece is told with its object, and again when nothing is refused', () => {
  const { state, refused } = observed()
  state.services.upsert(service('web', 99999))
  assert.equal(refused.length, 1)
  assert.equal(refused[0]?.name, 'default/web')
  assert.match(refused[0].refusals[0]?.value ?? '', /99999/)
  state.services.upsert(service('web', 81))
  assert.deepEqual(refused[1], { kind: 'Service', name: 'default/web', uid: 'web', refusals: [] })
})

test('clusterState: a refused object that is removed is refused no longer', () => {
  const { state, refused } = observed()
  state.services.upsert(service('web', 99999))
  state.services.remove({ namespace: 'default', name: 'web' })
  assert.deepEqual(refused.at(-1)?.refusals, [])
})

test('clusterState: an object that was never refused says nothing of refusals', () => {
  const { state, refused } = observed()
  state.services.upsert(service('web', 81))
  state.services.remove({ namespace: 'default', name: 'web' })
  assert.deepEqual(refused, [])
})

test('clusterState: an address given for the node is its primary one, with and without its object', () => {
  const told: (readonly string[] | undefined)[] = []
  const node = (seen: Node | undefined): void => void told.push(seen?.addresses)
  const events = { changed: () => undefined, refused: () => undefined, node }
  const rules = {
    nodePortAddresses: { kind: 'primary' },
    externalRanges: [],
    sourceRangeKinds: 'load-balancer',
  } as const
  const state = createClusterState('node1', events, rules, '192.0.2.7')
  const nodePorts = (): string[] =>
    (state.resolve('default/web' as ServiceName)?.frontends ?? [])
      .filter(({ kind }) => kind === 'NodePort')
      .flatMap(({ keys }) => keys.map(({ address }) => address))
  const web = service('web', 81) as { spec: { ports: object[] } }
  const ports = web.spec.ports.map((port, at) => ({ ...port, nodePort: 30_080 + at }))
  state.services.upsert({ ...web, spec: { ...web.spec, type: 'NodePort', ports } })
  state.takeChanged()
  assert.deepEqual(nodePorts(), ['192.0.2.7', '192.0.2.7'])
  const addresses = ['192.0.2.1', 'fd00::1'].map((address) => ({ type: 'InternalIP', address }))
  state.node.upsert({ metadata: { name: 'node1' }, status: { addresses } })
  assert.deepEqual(told, [['192.0.2.7', '192.0.2.1', 'fd00::1']])
  assert.deepEqual(nodePorts(), ['192.0.2.7', '192.0.2.7'])
})

test('clusterState: it is synced only when Services, EndpointSlices and the Node are', () => {
  const { state } = observed()
  assert.equal(state.isSynced(), false)
  state.services.synced()
  assert.equal(state.isSynced(), false)
  state.endpointSlices.synced()
  assert.equal(state.isSynced(), false)
  state.node.synced()
  assert.equal(state.isSynced(), true)
})

test('clusterState: an object that comes again unchanged is no change', () => {
  const { state, calls } = observed()
  state.services.upsert(service('web', 81))
  assert.equal(calls.changed, 1)
  assert.deepEqual([...state.takeChanged()], ['default/web'])
  state.services.upsert(service('web', 81))
  assert.equal(calls.changed, 1)
  assert.deepEqual([...state.takeChanged()], [])
})

function slice(change: string, addresses: readonly string[]): unknown {
  return {
    metadata: {
      ...{ name: 'web-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'web' } },
      annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': change },
    },
    addressType: 'IPv4',
    ports: [{ name: 'good', port: 80, protocol: 'TCP' }],
    endpoints: addresses.map((address) => ({
      ...{ addresses: [address], nodeName: 'node1' },
      conditions: { ready: true },
    })),
  }
}

test('clusterState: when endpoints changed is told once, and not for the first list', () => {
  const { state } = observed()
  state.endpointSlices.upsert(slice('2026-01-01T00:00:00Z', ['10.0.0.1']))
  state.endpointSlices.synced()
  assert.deepEqual(state.takeTriggers(), [])
  state.endpointSlices.upsert(slice('2026-01-01T00:00:05Z', ['10.0.0.2']))
  assert.deepEqual(state.takeTriggers(), [{ family: 4, at: Date.UTC(2026, 0, 1, 0, 0, 5) }])
  assert.deepEqual(state.takeTriggers(), [])
  state.endpointSlices.upsert(slice('nonsense', ['10.0.0.3']))
  assert.deepEqual(state.takeTriggers(), [])
})

test('clusterState: a health check follows the Service and its local endpoints', () => {
  const { state } = observed()
  const web = 'default/web' as ServiceName
  const balanced = service('web', 81) as { metadata: object; spec: object }
  const spec = {
    ...{ ...balanced.spec, type: 'LoadBalancer', healthCheckNodePort: 31008 },
    externalTrafficPolicy: 'Local',
  }
  state.services.upsert({ ...balanced, spec })
  state.endpointSlices.upsert(slice('', ['10.0.0.1', '10.0.0.2']))
  assert.equal(state.healthCheck(web), undefined)
  state.takeChanged()
  assert.equal(state.healthCheck(web)?.localEndpoints, 2)
  state.services.remove({ namespace: 'default', name: 'web' })
  state.takeChanged()
  assert.equal(state.healthCheck(web), undefined)
})

test('clusterState: the Node and the addresses of interfaces bring up every Service again', () => {
  const { state } = observed()
  state.services.upsert(service('web', 81))
  state.takeChanged()
  const node = (zone: string) => ({
    metadata: { name: 'node1', labels: { 'topology.kubernetes.io/zone': zone } },
  })
  const changes: readonly (readonly [string, () => void, boolean])[] = [
    ['a zone', () => state.node.upsert(node('a')), true],
    ['the same zone', () => state.node.upsert(node('a')), false],
    ['another zone', () => state.node.upsert(node('b')), true],
    ['another node', () => state.node.upsert({ metadata: { name: 'other' } }), false],
    ['the Node is gone', () => state.node.remove({ namespace: '', name: 'node1' }), false],
    ['an address', () => state.setInterfaceAddresses(['192.168.0.1']), true],
    ['a link-local one', () => state.setInterfaceAddresses(['fe80::1', '192.168.0.1']), false],
  ]
  for (const [what, change, expected] of changes) {
    change()
    assert.deepEqual([...state.takeChanged()], expected ? ['default/web'] : [], what)
  }
})

test('clusterState: what is around a Service is refused with what is wrong in it', () => {
  const { state, refused } = observed()
  const bad = service('web', 99999) as { spec: object }
  state.services.upsert({ ...bad, spec: { ...bad.spec, externalIPs: ['192.0.2.1'] } })
  state.takeChanged()
  state.resolve('default/web' as ServiceName)
  state.resolve('default/web' as ServiceName)
  assert.deepEqual(
    refused.map(({ refusals }) => refusals.map(({ field }) => field)),
    [['spec.ports[1].port'], ['spec.ports[1].port', 'spec.externalIPs']],
  )
  state.services.remove({ namespace: 'default', name: 'web' })
  state.takeChanged()
  state.resolve('default/web' as ServiceName)
  assert.deepEqual(refused.at(-1)?.refusals, [])
})
