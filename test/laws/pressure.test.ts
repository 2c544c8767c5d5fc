import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { refusals, wakeAt } from '../../src/plan/plan.ts'
import { createFakeCluster, type FakeCluster } from '../fakes/fake-cluster.ts'
import { checkReaders } from './readers.ts'
import { expected, rules } from './expected.ts'
import type { RawService } from './raw-objects.ts'
import { history, type Event } from './world.ts'

const runs = { numRuns: Number(process.env['LAW_RUNS'] ?? 400) }
const plain = { type: 'ClusterIP', externalIPs: [] }
const tight = { keys: 9, indexes: 6, slots: 15, ids: 8, ranges: 3, tableSizes: [7, 17] }

function happen(cluster: FakeCluster, event: Event): void {
  if (event.kind === 'service') cluster.upsert('Service', event.raw)
  else if (event.kind === 'slice') cluster.upsert('EndpointSlice', event.raw)
  else if (event.kind === 'remove service') cluster.remove('Service', event.name)
  else if (event.kind === 'remove slice') cluster.remove('EndpointSlice', event.name)
  else if (event.kind === 'node') cluster.upsert('Node', event.raw)
  else if (event.kind === 'interfaces') cluster.setInterfaceAddresses(event.addresses)
  else if (event.kind === 'restart') cluster.restart()
  else if (event.kind === 'pass') {
    cluster.now += event.after
    pass(cluster)
  }
}

/** A refused frontend may keep backends that are gone; everything else must hold. */
function pass(cluster: FakeCluster): void {
  const hadRoom = hasRoom(cluster)
  cluster.pass(() => checkReaders(cluster.maps, hadRoom && hasRoom(cluster)))
}

function hasRoom({ state }: FakeCluster): boolean {
  return state.refused.size === 0
}

/** Passes as long as somebody waits for room that time will bring. */
function settle(cluster: FakeCluster): void {
  for (let times = 0; times < 50; times++) {
    const wake = wakeAt(cluster.state)
    if (wake === undefined) return
    cluster.now = Math.max(cluster.now, wake)
    pass(cluster)
  }
  assert.fail('a pass that changes nothing asks to be repeated for ever')
}

describe('laws without enough room', () => {
  it('no write is refused by a map, and readers never see a half-written set', () => {
    fc.assert(
      fc.property(history, (events) => {
        const cluster = createFakeCluster(tight, rules)
        for (const event of events) happen(cluster, event)
        cluster.now += 5000
        pass(cluster)
        settle(cluster)
      }),
      runs,
    )
  })

  it('what was refused enters when room appears, and nothing has leaked', () => {
    fc.assert(
      fc.property(history, (events) => {
        const cluster = createFakeCluster(tight, rules)
        for (const event of events) happen(cluster, event)
        for (const name of ['a', 'b']) cluster.remove('Service', `default/${name}`)
        for (const name of ['s2', 's3', 's4']) cluster.remove('EndpointSlice', `default/${name}`)
        const last = cluster.objects.get('Service default/c') as RawService | undefined
        if (last !== undefined) {
          const ports = last.spec.ports.slice(0, 1)
          cluster.upsert('Service', {
            ...last,
            metadata: { ...last.metadata, annotations: {} },
            spec: { ...last.spec, ...plain, ports },
          })
        }
        for (const after of [0, 2000, 2000]) {
          cluster.now += after
          pass(cluster)
        }
        assert.deepEqual(refusals(cluster.state), [])
        assert.equal(cluster.dump({ plain: true }), expected(cluster))
        if (last !== undefined) cluster.remove('Service', 'default/c')
        pass(cluster)
        cluster.now += 2000
        pass(cluster)
        assertEmpty(cluster)
      }),
      runs,
    )
  })
})

function assertEmpty({ state, maps }: FakeCluster): void {
  assert.equal(maps.keys.size, 0)
  assert.equal(state.indexes.free.length + state.indexes.limit - state.indexes.next, 5)
  assert.equal(state.ids.free.length + state.ids.limit - state.ids.next, 7)
  let slots = state.extents.limit - state.extents.next
  for (const [size, bases] of state.extents.free) slots += size * bases.length
  assert.equal(slots, tight.slots - state.extents.first)
  const sizes = [state.services, state.keys, state.vips, state.claims.byKey, state.claims.byService]
  assert.deepEqual(
    sizes.map((map) => map.size),
    [0, 0, 0, 0, 0],
  )
  assert.equal(maps.ranges.size, 0)
  assert.equal(state.ranges.size + state.rangeCount, 0)
  assert.equal(state.refused.size, 0)
}
