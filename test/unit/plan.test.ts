import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { describe as describeOp, MapWriteError } from '../../src/datapath/apply.ts'
import type { ServiceName } from '../../src/model/types.ts'
import { planPass } from '../../src/plan/plan.ts'
import { createFakeCluster, type FakeCluster } from '../fakes/fake-cluster.ts'

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
  `write 1 slots at backends[${number - 1}] for frontend ${number}`,
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
})
