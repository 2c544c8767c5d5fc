import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseNode } from '../../src/kube/parse-node.ts'

describe('parseNode()', () => {
  it('reads addresses, ranges, zone, taints and deletion', () => {
    const result = parseNode({
      metadata: {
        name: 'n1',
        uid: 'u1',
        labels: { 'topology.kubernetes.io/zone': 'z1', x: 'y', odd: 7 },
        deletionTimestamp: '2026-01-01T00:00:00Z',
      },
      spec: {
        podCIDR: '10.244.1.0/24',
        podCIDRs: ['10.244.1.0/24', 'fd00:1::/64'],
        taints: [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }, {}],
      },
      status: {
        addresses: [
          { type: 'ExternalIP', address: '192.0.2.1' },
          { type: 'InternalIP', address: '10.0.0.1' },
          { type: 'InternalIP', address: 'FD00::1' },
          { type: 'InternalIP', address: 'junk' },
          { type: 'Hostname', address: 'n1' },
        ],
      },
    })
    assert.deepEqual(result, {
      kind: 'parsed',
      name: 'n1',
      value: {
        name: 'n1',
        uid: 'u1',
        zone: 'z1',
        addresses: ['10.0.0.1', 'fd00::1', '192.0.2.1'],
        podCIDRs: ['10.244.1.0/24', 'fd00:1::/64'],
        labels: new Map([
          ['topology.kubernetes.io/zone', 'z1'],
          ['x', 'y'],
        ]),
        taints: ['ToBeDeletedByClusterAutoscaler'],
        deleting: true,
      },
      refusals: [
        { field: 'status.addresses[3].address', value: '"junk"', reason: 'is not an IP address' },
      ],
    })
  })

  it('takes a bare Node, and the single podCIDR of old ones', () => {
    const bare = parseNode({ metadata: { name: 'n1' } })
    assert.equal(bare.kind, 'parsed')
    const old = parseNode({ metadata: { name: 'n1' }, spec: { podCIDR: '10.244.1.0/24' } })
    assert.deepEqual(old.kind === 'parsed' && old.value.podCIDRs, ['10.244.1.0/24'])
    assert.equal(parseNode({}).kind, 'refused')
    assert.equal(parseNode(null).kind, 'refused')
  })
})
