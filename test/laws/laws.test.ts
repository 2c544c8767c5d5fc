import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ShuntError } from '../../src/errors.ts'
import { decodeDump, restore } from '../../src/datapath/restore.ts'
import { dumpImages } from '../../src/plan/dump.ts'
import type { MapOp } from '../../src/plan/image.ts'
import { createFakeCluster, type FakeCluster } from '../fakes/fake-cluster.ts'
import { trieKey } from '../fakes/fake-maps.ts'
import { expected, rules } from './expected.ts'
import { checkReaders, checkUnused, createLease, type Lease } from './readers.ts'
import { history, type Event } from './world.ts'

/** Histories that broke a law once, found by its seeds, and are tried first ever since. */
const pinned = JSON.parse(
  readFileSync(new URL('pinned-histories.json', import.meta.url), 'utf8'),
) as Event[][] // written by fast-check
const examples = pinned.map((events): [Event[]] => [events])

const roomy = { keys: 1024, indexes: 512, slots: 6144, ids: 512, ranges: 128, tableSizes: [7, 17] }
const runs = { numRuns: Number(process.env['LAW_RUNS'] ?? 400) }

function watcher(cluster: FakeCluster, lease: Lease): (op: MapOp) => void {
  return (op) => {
    checkReaders(cluster.maps)
    if (op.kind === 'name') checkUnused(cluster.maps, op.index)
    lease.wrote(op, cluster.now)
  }
}

/** Lets an event happen; a failing pass is simply left for the next one to make good. */
function happen(cluster: FakeCluster, event: Event, lease: Lease): void {
  switch (event.kind) {
    case 'service':
      return cluster.upsert('Service', event.raw)
    case 'slice':
      return cluster.upsert('EndpointSlice', event.raw)
    case 'node':
      return cluster.upsert('Node', event.raw)
    case 'interfaces':
      return cluster.setInterfaceAddresses(event.addresses)
    case 'remove service':
      return cluster.remove('Service', event.name)
    case 'remove slice':
      return cluster.remove('EndpointSlice', event.name)
    case 'pass':
      cluster.now += event.after
      return void cluster.pass(watcher(cluster, lease))
    case 'restart':
      lease.restarted()
      return void cluster.restart()
    case 'crash':
    case 'failure':
      cluster.maps.failAt = cluster.maps.writes + event.writes
      try {
        cluster.pass(watcher(cluster, lease))
      } catch (error) {
        assert.ok(error instanceof ShuntError && error.code === 'KSH_MAP_WRITE', String(error))
        if (event.kind === 'crash') {
          lease.restarted()
          cluster.restart()
        }
      }
      cluster.maps.failAt = -1
  }
}

function play(events: readonly Event[]): FakeCluster {
  const cluster = createFakeCluster(roomy, rules)
  const lease = createLease()
  for (const event of events) happen(cluster, event, lease)
  cluster.now += 5000
  cluster.pass(watcher(cluster, lease))
  return cluster
}

describe('laws', () => {
  it('any history ends in the frontends that the objects ask for', () => {
    fc.assert(
      fc.property(history, (events) => {
        const cluster = play(events)
        assert.equal(cluster.dump({ plain: true }), expected(cluster))
      }),
      { numRuns: Number(process.env['LAW_RUNS'] ?? 1000), examples },
    )
  })

  it('a pass without changes writes nothing, and neither does a restart', () => {
    fc.assert(
      fc.property(history, (events) => {
        const cluster = play(events)
        assert.deepEqual(cluster.pass(), [])
        cluster.restart()
        assert.deepEqual(cluster.restart(), [])
      }),
      { ...runs, examples },
    )
  })

  it('a restart after a committed pass writes nothing', () => {
    const calm = history.map((events) => events.filter(({ kind }) => !/crash|fail/.test(kind)))
    fc.assert(
      fc.property(calm, (events) => assert.deepEqual(play(events).restart(), [])),
      { ...runs, examples },
    )
  })

  it('what a restore reads is what the state said', () => {
    fc.assert(
      fc.property(history, (events) => {
        const cluster = play(events)
        const restored = restore(cluster.maps.dump())
        const image = (state: typeof restored): string => dumpImages(state.services.values())
        assert.equal(image(restored), image(cluster.state))
        assert.deepEqual(restored.keys, sortedLike(restored.keys, cluster.state.keys))
        assert.deepEqual([...restored.ranges].sort(), [...cluster.state.ranges].sort())
        assert.equal(restored.rangeCount, cluster.state.rangeCount)
        assert.deepEqual(restored.vips, sortedLike(restored.vips, cluster.state.vips))
      }),
      runs,
    )
  })

  it('the order of events leaves no trace', () => {
    const settled = history.map((events) =>
      events.filter(({ kind }) => !/remove|restart|crash|failure/.test(kind)),
    )
    fc.assert(
      fc.property(settled, fc.infiniteStream(fc.nat()), (events, random) => {
        const latest = new Map<string, Event>()
        for (const event of events) {
          if (event.kind === 'interfaces') latest.set(event.kind, event)
          if (event.kind === 'service' || event.kind === 'slice' || event.kind === 'node') {
            latest.set(`${event.kind} ${event.raw.metadata.name}`, event)
          }
        }
        const shuffled = [...latest.values()]
          .map((event) => ({ event, at: random.next().value as number }))
          .sort((a, b) => a.at - b.at)
          .flatMap(({ event }): Event[] => [event, { kind: 'pass', after: 100 }])
        assert.equal(play(shuffled).dump({ plain: true }), play(events).dump({ plain: true }))
      }),
      runs,
    )
  })

  it('a restore survives any bytes and a first pass repairs them', () => {
    const damage = fc.array(fc.tuple(fc.nat(5), fc.nat(), fc.nat(255)), { maxLength: 12 })
    fc.assert(
      fc.property(history, damage, (events, hits) => {
        const cluster = play(events)
        for (const [target, position, value] of hits) damageMaps(cluster, target, position, value)
        cluster.restart()
        cluster.now += 5000
        cluster.pass()
        assert.equal(cluster.dump({ plain: true }), expected(cluster))
        checkReaders(cluster.maps)
        const wanted = cluster.state.keys.size
        assert.equal(decodeDump(cluster.maps.dump()).keys.length, wanted, 'no key is left over')
        assert.equal(cluster.maps.keys.size, wanted, 'no strange key is left over')
        assert.equal(cluster.maps.ranges.size, cluster.state.rangeCount, 'no range is left over')
        assert.deepEqual(cluster.restart(), [])
      }),
      runs,
    )
  })
})

function damageMaps(cluster: FakeCluster, target: number, position: number, value: number): void {
  const { maps } = cluster
  const keys = [...maps.keys.keys()]
  const words = Buffer.from(maps.words.buffer)
  const states = Buffer.from(maps.states.buffer)
  if (target < 4) {
    const bytes = [words, maps.names, maps.slots, states][target]!
    bytes[position % Math.min(bytes.length, 2048)] = value
  } else if (target === 5) damageRanges(maps.ranges, position, value)
  else if (keys.length > 0) {
    const key = keys[position % keys.length]!
    const entry = maps.keys.get(key)!
    maps.keys.delete(key)
    const bytes = Buffer.from(key, 'hex')
    if (value % 2 === 0) bytes[position % bytes.length] = value
    else entry[position % entry.length] = value
    maps.keys.set(bytes.toString('hex'), entry)
  }
}

function damageRanges(ranges: Set<string>, position: number, value: number): void {
  const all = [...ranges]
  const key = all[position % Math.max(all.length, 1)]
  if (key === undefined) return
  const bytes = Buffer.from(key, 'hex')
  bytes[position % bytes.length] = value
  // the kernel refuses longer prefixes
  if (bytes.readUInt32LE(0) <= 160) ranges.add(trieKey(bytes))
}

function sortedLike<Value>(
  like: ReadonlyMap<string, Value>,
  map: ReadonlyMap<string, Value>,
): Map<string, Value> {
  const order = [...like.keys()]
  return new Map([...map].sort(([a], [b]) => order.indexOf(a) - order.indexOf(b)))
}
