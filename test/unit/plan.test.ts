import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { describe as describeOp, MapWriteError } from '../../src/datapath/apply.ts'
import { restore } from '../../src/datapath/restore.ts'
import type { ServiceName } from '../../src/model/types.ts'
import { planPass, refusals, wakeAt } from '../../src/plan/plan.ts'
import { createFakeCluster, type FakeCluster } from '../fakes/fake-cluster.ts'
import { smallLimits } from '../fakes/fake-maps.ts'

function addService(cluster: FakeCluster, name: string, address: string): void {
  cluster.upsert('Service', {
    metadata: { name },
    spec: { clusterIP: address, ports: [{ port: 80 }] },
  })
  cluster.upsert('EndpointSlice', {
    metadata: { name, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [{ port: 8080 }],
    endpoints: [{ addresses: ['10.1.0.1'] }],
  })
}

const writesOf = (name: string, number: number, key: string): string[] => [
  `write backend_states[${number}]`,
  `write 1 slots at backends[${number}] for frontend ${number}`,
  `write frontend_names[${number}] (default/${name})`,
  `write frontend_words[${number}] (default/${name})`,
  `write frontends[${key}:80/TCP]`,
  `write frontends[${key}]`,
]

describe('planPass()', () => {
  it('goes on behind what a failed pass has written, before anything new', () => {
    const cluster = createFakeCluster()
    addService(cluster, 'a', '10.96.0.1')
    cluster.maps.failAt = 3
    assert.throws(() => cluster.pass(), MapWriteError)
    addService(cluster, 'b', '10.96.0.2')
    const ops = cluster.pass().map(describeOp)
    const a = writesOf('a', 1, '10.96.0.1')
    assert.deepEqual(ops, [...a.slice(3), ...writesOf('b', 2, '10.96.0.2')])
    assert.deepEqual(cluster.pass(), [])
    assert.deepEqual(cluster.restart(), [])
  })

  it('asks about the changed Services only', () => {
    const cluster = createFakeCluster()
    for (const name of ['a', 'b', 'c']) addService(cluster, name, `10.96.0.${name.charCodeAt(0)}`)
    cluster.pass()
    const asked: ServiceName[] = []
    const resolve = (name: ServiceName): undefined => void asked.push(name)
    planPass(cluster.state, { changed: ['default/b' as ServiceName], resolve, now: 0 })
    assert.deepEqual(asked, ['default/b'])
    assert.deepEqual([...cluster.state.services.keys()], ['default/a', 'default/c'])
  })

  it('deletes nothing that it has not heard of before all inputs are known', () => {
    const cluster = createFakeCluster()
    addService(cluster, 'a', '10.96.0.1')
    cluster.pass()
    const { state } = cluster
    const resolve = (): undefined => undefined
    assert.deepEqual(planPass(state, { changed: [], resolve, now: 0 }).ops, [])
    const pruned = planPass(state, { changed: [], resolve, prune: true, now: 0 }).ops
    assert.deepEqual(pruned.map(describeOp), [
      'delete frontends[10.96.0.1:80/TCP]',
      'delete frontends[10.96.0.1]',
      'write backend_states[1]',
      'clear frontend_names[1]',
    ])
  })

  it('serves as many endpoints as a word can count, and says so', () => {
    const cluster = createFakeCluster({
      keys: 8,
      indexes: 8,
      slots: 70_000,
      ids: 70_000,
      ranges: 8,
      tableSizes: [7],
    })
    addService(cluster, 'a', '10.96.0.1')
    for (let slice = 0; slice < 7; slice++) {
      cluster.upsert('EndpointSlice', {
        metadata: { name: `s${slice}`, labels: { 'kubernetes.io/service-name': 'a' } },
        addressType: 'IPv4',
        ports: [{ port: 8080 }],
        endpoints: Array.from({ length: 10_000 }, (_, at) => ({
          addresses: [`10.${slice + 2}.${at >> 8}.${at & 255}`],
        })),
      })
    }
    cluster.pass()
    const [frontend] = cluster.state.services.get('default/a' as ServiceName)!.frontends
    assert.equal(frontend!.count, 65_535)
    assert.equal(restore(cluster.maps.dump()).services.size, 1)
    const [refusal] = refusals(cluster.state)
    assert.equal(refusal!.reason, 'too-many-backends')
    assert.equal(refusal!.detail, '70001; only 65535 are used')
    assert.equal(wakeAt(cluster.state), undefined, 'waiting does not help')
  })

  it('takes no address over for which there is no room, until there is', () => {
    const cluster = createFakeCluster({ ...smallLimits, keys: 3 })
    cluster.setInterfaceAddresses(['198.51.100.1'])
    cluster.upsert('Service', {
      metadata: { name: 'a' },
      spec: { type: 'LoadBalancer', clusterIP: '10.96.0.1', ports: [{ port: 80 }] },
      status: { loadBalancer: { ingress: [{ ip: '198.51.100.1' }] } },
    })
    cluster.pass()
    assert.deepEqual(refusals(cluster.state), [])
    cluster.setInterfaceAddresses([])
    assert.deepEqual(cluster.pass(), [])
    assert.deepEqual(
      refusals(cluster.state).map(({ kind, reason }) => `${kind} ${reason}`),
      ['LoadBalancer frontends-full'],
    )
  })
})
