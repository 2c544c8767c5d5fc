import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readFrontends } from '../../src/cli/frontends.ts'
import { describe as describeOp } from '../../src/datapath/apply.ts'
import { decodeDump, restore } from '../../src/datapath/restore.ts'
import { fillTable, tableSize, tableSizes } from '../../src/plan/maglev.ts'
import type { MapDump } from '../../src/plan/restore.ts'
import { refusals } from '../../src/plan/plan.ts'
import { createFakeCluster, type FakeCluster } from '../fakes/fake-cluster.ts'

function names(count: number, first = 0): string[] {
  return Array.from(
    { length: count },
    (_, at) => `10.1.${(at + first) >> 8}.${(at + first) & 255} 80`,
  )
}

/** The backend of each place by name. */
function named(backends: readonly string[], size: number): string[] {
  return Array.from(fillTable(backends, size), (at) => backends[at]!)
}

function isPrime(number: number): boolean {
  for (let factor = 2; factor * factor <= number; factor++) if (number % factor === 0) return false
  return true
}

describe('tables', () => {
  it('have prime sizes, at most 10 % apart in places where they are chosen', () => {
    for (const size of tableSizes) assert.ok(isPrime(size), String(size))
    const sizes = [1, 102, 103, 409, 410, 1638, 1639, 16_374].map((count) =>
      tableSize(count, tableSizes),
    )
    assert.deepEqual(sizes, [1021, 1021, 4093, 4093, 16_381, 16_381, 32_749, 32_749])
    assert.equal(tableSize(16_375, tableSizes), undefined)
    assert.ok(2 * tableSizes.at(-1)! <= 0xffff, 'two fit into an extent')
  })

  for (const count of [1, 2, 3, 10, 100]) {
    it(`give each of ${count} backends as many places as any other, give or take one`, () => {
      const places = Map.groupBy(named(names(count), 1021), (name) => name)
      const counts = [...places.values()].map(({ length }) => length)
      assert.equal(counts.length, count)
      assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, String(counts))
    })
  }

  it('do not depend on the order of backends', () => {
    const all = names(50)
    const shuffled = all.map((_, at) => all[(at * 17) % all.length]!)
    assert.deepEqual(named(shuffled, 1021), named(all, 1021))
  })

  /* Section 5.3 of the paper: of the places of others a few per cent change, fewer in larger ones. */
  const disruptions: readonly (readonly [count: number, size: number, most: number])[] = [
    [3, 1021, 0.08],
    [10, 1021, 0.08],
    [100, 1021, 0.12],
    [100, 16_381, 0.05],
  ]
  for (const [count, size, most] of disruptions) {
    it(`of ${size} places change little when one of ${count} backends goes or comes back`, () => {
      const all = names(count)
      let worst = 0
      for (let gone = 0; gone < Math.min(count, 20); gone++) {
        const before = named(all, size)
        const after = named(all.toSpliced(gone, 1), size)
        const others = before.flatMap((name, at) => (name === all[gone] ? [] : [at]))
        const moved = others.filter((at) => before[at] !== after[at])
        worst = Math.max(worst, moved.length / others.length)
      }
      assert.ok(worst < most, `${(worst * 100).toFixed(1)} % moved`)
    })
  }

  it('are filled quickly', () => {
    const all = names(1000)
    const started = performance.now()
    fillTable(all, 16_381)
    assert.ok(performance.now() - started < 200)
  })
})

const maglev = { 'kube-shunt.io/load-balancing': 'maglev' }
const limits = { keys: 64, indexes: 32, slots: 4096, ids: 128, ranges: 8, tableSizes: [61, 251] }

interface Wanted {
  readonly annotations?: object
  readonly internal?: string
  readonly external?: string
  readonly slots?: number
}

function put(cluster: FakeCluster, { annotations = maglev, internal, external }: Wanted): void {
  cluster.upsert('Service', {
    metadata: { name: 'a', annotations },
    spec: {
      type: 'LoadBalancer',
      clusterIP: '10.96.0.1',
      ports: [{ port: 80 }],
      internalTrafficPolicy: internal,
      externalTrafficPolicy: external,
    },
    status: { loadBalancer: { ingress: [{ ip: '198.51.100.1' }] } },
  })
}

/** Endpoints by number; odd ones are on this node. */
function endpoints(cluster: FakeCluster, numbers: readonly number[], here = 'here'): void {
  cluster.upsert('EndpointSlice', {
    metadata: { name: 'a', labels: { 'kubernetes.io/service-name': 'a' } },
    addressType: 'IPv4',
    ports: [{ port: 8080 }],
    endpoints: numbers.map((number) => ({
      addresses: [`10.1.0.${number}`],
      nodeName: number % 2 === 1 ? here : 'there',
    })),
  })
}

function createCluster(wanted: Wanted = {}): FakeCluster {
  const cluster = createFakeCluster({ ...limits, slots: wanted.slots ?? limits.slots })
  put(cluster, wanted)
  endpoints(cluster, [1, 2, 3, 4])
  cluster.pass()
  return cluster
}

/** Addresses at the places that clients of a kind choose from. */
function table(cluster: FakeCluster, index: number, isOutside = false): string[] {
  const dump: MapDump = decodeDump(cluster.maps.dump())
  const word = dump.word(index)
  assert.ok(word.maglev)
  const set = isOutside ? word.external : word
  const count = (isOutside ? word.externalLocalOnly : word.localOnly) ? set.local : set.count
  return Array.from({ length: count }, (_, at) => dump.slot(set.base + at).address)
}

function distinct(addresses: readonly string[]): string {
  return [...new Set(addresses)]
    .map((address) => address.split('.').at(-1))
    .sort()
    .join()
}

describe('a Service with Maglev', () => {
  it('has a table in the place of its set', () => {
    const cluster = createCluster()
    assert.equal(table(cluster, 1).length, 61)
    assert.equal(distinct(table(cluster, 1)), '1,2,3,4')
    assert.deepEqual(table(cluster, 2), table(cluster, 2, true))
  })

  it('has the same table on every node, whatever the order of endpoints', () => {
    const other = createFakeCluster(limits)
    endpoints(other, [4, 2, 3, 1], 'elsewhere')
    other.pass()
    put(other, {})
    other.pass()
    assert.deepEqual(table(other, 1), table(createCluster(), 1))
  })

  it('under a Local policy has a table of the local ones and one for the cluster', () => {
    const cluster = createCluster({ internal: 'Local', external: 'Local' })
    assert.equal(distinct(table(cluster, 1)), '1,3', 'pods at the cluster IP')
    assert.equal(distinct(table(cluster, 2)), '1,2,3,4', 'pods at the load balancer')
    assert.equal(distinct(table(cluster, 2, true)), '1,3', 'clients outside')
    assert.equal(table(cluster, 2, true).length, 61)
    endpoints(cluster, [2, 4])
    cluster.pass()
    assert.deepEqual(table(cluster, 2, true), [], 'nothing to choose')
    assert.ok(decodeDump(cluster.maps.dump()).word(2).external.count > 0, 'so it is dropped')
  })

  it('moves to another extent when a policy or the choice changes, and nothing else moves it', () => {
    const cluster = createCluster()
    const slots = (): string[] =>
      cluster
        .pass()
        .map(describeOp)
        .filter((op) => op.includes('slots'))
    put(cluster, {})
    assert.deepEqual(slots(), [])
    put(cluster, { external: 'Local' })
    assert.equal(slots().length, 1)
    put(cluster, { external: 'Local', annotations: {} })
    assert.equal(slots().length, 2)
    endpoints(cluster, [4, 3, 2, 1])
    assert.deepEqual(slots(), [])
  })

  for (const policy of ['Cluster', 'Local']) {
    it(`is restored as it was under policy ${policy}`, () => {
      const cluster = createCluster({ internal: policy, external: policy })
      const before = cluster.dump()
      assert.deepEqual(cluster.restart(), [])
      assert.equal(cluster.dump(), before)
      const sets = restore(cluster.maps.dump()).services.get('default/a' as never)!.frontends
      assert.deepEqual([...new Set(sets.map(({ choice }) => choice))], ['maglev'])
    })
  }

  it('whose tables another version filled keeps them until the first pass writes ours', () => {
    const cluster = createCluster()
    const size = cluster.maps.slots.length / limits.slots
    const [one, two] = [cluster.maps.slots.subarray(size, 2 * size), Buffer.alloc(size)]
    const position = 1 + table(cluster, 1).findIndex((at) => at !== table(cluster, 1)[0])
    const other = cluster.maps.slots.subarray(position * size, (position + 1) * size)
    two.set(one)
    one.set(other)
    other.set(two)
    const [found] = restore(cluster.maps.dump()).services.get('default/a' as never)!.frontends
    assert.equal(found!.choice, 'unknown')
    assert.equal(found!.count, 4, 'its backends are known')
    const ops = cluster.restart()
    assert.deepEqual(
      ops.map(({ kind }) => kind),
      ['slots', 'word'],
    )
    assert.deepEqual(cluster.restart(), [])
  })

  it('is chosen from at random while there is no room for tables, and says so', () => {
    const cluster = createCluster({ slots: 40 })
    assert.match(cluster.dump({ plain: true }), /ClusterIP default\/a backends=10.1.0.1/)
    assert.deepEqual(
      refusals(cluster.state).map(({ kind, reason, detail }) => `${kind} ${reason} ${detail}`),
      ['ClusterIP', 'LoadBalancer'].map(
        (kind) => `${kind} backends-full no 61 adjacent slots of 40 are free`,
      ),
    )
    assert.deepEqual(cluster.pass(), [])
  })

  it('is shown with each backend once', () => {
    const cluster = createCluster({ internal: 'Local', external: 'Local' })
    const views = readFrontends(decodeDump(cluster.maps.dump()))
    const shown = views.map(({ kind, backends, clusterBackends, draining }) => [
      kind,
      distinct(backends.map(({ address }) => address)),
      backends.length,
      clusterBackends?.length,
      draining.length,
    ])
    assert.deepEqual(shown, [
      ['ClusterIP', '1,3', 2, undefined, 0],
      ['LoadBalancer', '1,3', 2, 4, 0],
    ])
  })
})
