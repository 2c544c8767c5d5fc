import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  createEndpointTracker,
  slicesOf,
  takeChangedEndpoints,
} from '../../src/model/endpoint-tracker.ts'
import { createServiceTracker, type ServiceTracker } from '../../src/model/service-tracker.ts'
import { takeChanges, track } from '../../src/model/tracker.ts'
import { serviceName, type EndpointSlice, type Service } from '../../src/model/types.ts'
import { parseEndpointSlice } from '../../src/kube/parse-endpointslice.ts'
import { parseService } from '../../src/kube/parse-service.ts'

function slice(name: string, service: string | undefined, address = '10.1.0.1'): EndpointSlice {
  const labels = service === undefined ? {} : { 'kubernetes.io/service-name': service }
  const result = parseEndpointSlice({
    metadata: { namespace: 'ns', name, labels },
    addressType: 'IPv4',
    ports: [{ port: 80 }],
    endpoints: [{ addresses: [address] }],
  })
  return (result as { value: EndpointSlice }).value
}

function service(name: string, spec: object): Service {
  const result = parseService({
    metadata: { namespace: 'ns', name, annotations: { 'kube-shunt.io/a': 'b' } },
    spec: { clusterIP: '10.0.0.1', ports: [{ port: 80 }], ...spec },
  })
  return (result as { value: Service }).value
}

const a = serviceName('ns', 'a')
const b = serviceName('ns', 'b')

function takenFrom(tracker: ServiceTracker): string[] {
  return takeChanges(tracker).map(({ key }) => key)
}

describe('trackers', () => {
  it('track() forgets a change that is taken back before the pass', () => {
    const tracker = createServiceTracker()
    assert.equal(track(tracker, a, service('a', {})), true)
    assert.deepEqual(takenFrom(tracker), [a])
    assert.equal(track(tracker, a, service('a', {})), false, 'an equal object is no change')
    assert.equal(track(tracker, a, service('a', { clusterIP: '10.0.0.2' })), true)
    assert.equal(tracker.pending.size, 1)
    assert.equal(track(tracker, a, service('a', {})), false)
    assert.equal(tracker.pending.size, 0)
    assert.equal(track(tracker, b, undefined), false, 'removing what never was is no change')
    assert.equal(track(tracker, b, service('b', {})), true)
    assert.equal(track(tracker, b, undefined), false)
    assert.deepEqual(takenFrom(tracker), [])
  })

  it('track() sees every field that changes what is served', () => {
    const changes = [
      { clusterIP: '10.0.0.2' },
      { type: 'NodePort' },
      { ports: [{ port: 81 }] },
      { ports: [{ port: 80, nodePort: 30000 }] },
      { ports: [{ port: 80, protocol: 'UDP' }] },
      { ports: [{ port: 80, name: 'x' }] },
      { ports: [] },
      { internalTrafficPolicy: 'Local' },
      { externalTrafficPolicy: 'Local' },
      { sessionAffinity: 'ClientIP' },
      { externalIPs: ['192.0.2.1'] },
      { loadBalancerSourceRanges: ['10.0.0.0/8'] },
      { loadBalancerSourceRanges: ['junk'] },
      { publishNotReadyAddresses: true },
    ]
    for (const change of changes) {
      const tracker = createServiceTracker()
      track(tracker, a, service('a', {}))
      takeChanges(tracker)
      assert.equal(track(tracker, a, service('a', change)), true, JSON.stringify(change))
    }
  })

  it('takeChangedEndpoints() names the Service that a slice left', () => {
    const tracker = createEndpointTracker()
    track(tracker.slices, 'ns/s1', slice('s1', 'a'))
    track(tracker.slices, 'ns/s2', slice('s2', 'a'))
    assert.deepEqual(takeChangedEndpoints(tracker), new Set([a]))
    assert.deepEqual(
      slicesOf(tracker, a).map((one) => one.key),
      ['ns/s1', 'ns/s2'],
    )
    track(tracker.slices, 'ns/s1', slice('s1', 'b'))
    assert.deepEqual(takeChangedEndpoints(tracker), new Set([a, b]))
    assert.deepEqual(
      [slicesOf(tracker, a), slicesOf(tracker, b)].map((list) => list.map((one) => one.key)),
      [['ns/s2'], ['ns/s1']],
    )
    track(tracker.slices, 'ns/s1', slice('s1', undefined))
    assert.deepEqual(takeChangedEndpoints(tracker), new Set([b]))
    track(tracker.slices, 'ns/s2', undefined)
    assert.deepEqual(takeChangedEndpoints(tracker), new Set([a]))
    assert.equal(tracker.byService.size, 0, 'nothing is left over')
  })

  it('the order in which slices arrive leaves no trace', () => {
    const tracker = createEndpointTracker()
    for (const name of ['s3', 's1', 's2']) track(tracker.slices, `ns/${name}`, slice(name, 'a'))
    takeChangedEndpoints(tracker)
    track(tracker.slices, 'ns/s1', slice('s1', 'a', '10.1.0.2'))
    takeChangedEndpoints(tracker)
    assert.deepEqual(
      slicesOf(tracker, a).map((one) => one.key),
      ['ns/s1', 'ns/s2', 'ns/s3'],
    )
  })

  it('a slice that changes in any way we use is a change', () => {
    const tracker = createEndpointTracker()
    const base = slice('s', 'a')
    const endpoint = base.endpoints[0]!
    const changes: Partial<EndpointSlice>[] = [
      { endpoints: [] },
      { endpoints: [{ ...endpoint, address: '10.1.0.9' }] },
      { endpoints: [{ ...endpoint, ready: false }] },
      { endpoints: [{ ...endpoint, serving: false }] },
      { endpoints: [{ ...endpoint, terminating: true }] },
      { endpoints: [{ ...endpoint, node: 'n' }] },
      { endpoints: [{ ...endpoint, zone: 'z' }] },
      { endpoints: [{ ...endpoint, zoneHints: ['z'] }] },
      { endpoints: [{ ...endpoint, nodeHints: ['n'] }] },
      { ports: [] },
      { ports: [{ portName: '', protocol: 'UDP', port: 80 }] },
      { family: 6 },
    ]
    track(tracker.slices, base.key, base)
    takeChangedEndpoints(tracker)
    assert.equal(track(tracker.slices, base.key, slice('s', 'a')), false)
    for (const change of changes) {
      assert.equal(track(tracker.slices, base.key, { ...base, ...change }), true)
    }
  })
})
