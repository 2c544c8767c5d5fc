import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { backend, frontendName, mixKey } from '../../src/datapath/abi.ts'
import { describe as describeOp } from '../../src/datapath/apply.ts'
import { encodeState } from '../../src/datapath/encode.ts'
import { restore } from '../../src/datapath/restore.ts'
import { freeSlots } from '../../src/plan/extent-pool.ts'
import type { NumberPool } from '../../src/plan/number-pool.ts'
import { createFakeCluster, type FakeCluster } from '../fakes/fake-cluster.ts'
import { checkReaders } from '../laws/readers.ts'

/** Service a: index 1, ids 1 and 2 in slots 0 and 1, both local; b: index 2, id 3 in slot 2. */
function createCluster(): FakeCluster {
  const cluster = createFakeCluster()
  for (const [name, count] of [
    ['a', 2],
    ['b', 1],
  ] as const) {
    cluster.upsert('Service', {
      metadata: { name },
      spec: { clusterIP: `10.96.0.${count}`, ports: [{ port: 80 }] },
    })
    cluster.upsert('EndpointSlice', {
      metadata: { name, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      ports: [{ port: 8080 }],
      endpoints: Array.from({ length: count }, (_, at) => ({
        addresses: [`10.${count}.0.${at + 1}`],
        nodeName: 'here',
      })),
    })
  }
  cluster.pass()
  return cluster
}

interface Damage {
  readonly what: string
  /** How many Services are still believed after it. */
  readonly believed: number
  readonly damage: (cluster: FakeCluster) => void
}

const wordOf = (index: number): number => 4 * index
const slotOf = (position: number): number => position * backend.size
const keyOfA = '00000000000000000000ffff0a60000200500600'

const damages: readonly Damage[] = [
  {
    what: 'a word with more local slots than slots',
    believed: 1,
    damage: ({ maps }) => (maps.words[wordOf(1)]! += 1n << 40n),
  },
  {
    what: 'a word that points beyond the array',
    believed: 1,
    damage: ({ maps }) => (maps.words[wordOf(1)]! |= 0xffff00n),
  },
  {
    what: 'a word whose extent overlaps another',
    believed: 1,
    damage: ({ maps }) => (maps.words[wordOf(2)]! -= 1n),
  },
  {
    what: 'a name that another frontend has',
    believed: 1,
    damage: ({ maps }) =>
      maps.names.copy(maps.names, 2 * frontendName.size, frontendName.size, 2 * frontendName.size),
  },
  {
    what: 'a name without a kind',
    believed: 1,
    damage: ({ maps }) => (maps.names[frontendName.size] = 0),
  },
  {
    what: 'a name that is none',
    believed: 1,
    damage: ({ maps }) => (maps.names[frontendName.size + 3] = 0x3a),
  },
  {
    what: 'a slot of another frontend',
    believed: 1,
    damage: ({ maps }) => maps.slots.writeUInt32LE(2, slotOf(1) + 20),
  },
  {
    what: "a slot with the id of another Service's backend",
    believed: 1,
    damage: ({ maps }) => maps.slots.writeUInt32LE(1, slotOf(3) + 24),
  },
  {
    what: 'a slot that is not on this node among those that are',
    believed: 1,
    damage: ({ maps }) => maps.slots.writeUInt16LE(0, slotOf(1) + 18),
  },
  {
    what: 'two protocols at one index',
    believed: 1,
    damage: ({ maps }) => {
      const key = Buffer.from(`${keyOfA.slice(0, -4)}1100`, 'hex')
      const value = Buffer.alloc(8)
      value.writeUInt32LE(1)
      value.writeUInt32LE(mixKey(key), 4)
      maps.keys.set(key.toString('hex'), value)
    },
  },
  {
    what: 'a slot with an id beyond the array',
    believed: 1,
    damage: ({ maps }) => maps.slots.writeUInt32LE(0xffffffff, slotOf(1) + 24),
  },
  {
    what: 'a slot of an earlier generation',
    believed: 1,
    damage: ({ maps }) => maps.slots.writeUInt32LE(7, slotOf(1) + 28),
  },
  {
    what: 'a slot twice',
    believed: 1,
    damage: ({ maps }) => maps.slots.copy(maps.slots, slotOf(2), slotOf(1), slotOf(2)),
  },
  {
    what: 'a slot with an address of the other family',
    believed: 1,
    damage: ({ maps }) => (maps.slots[slotOf(1)] = 0xfd),
  },
  {
    what: 'an index beyond the array',
    believed: 1,
    damage: ({ maps }) => maps.keys.get(keyOfA)!.writeUInt32LE(64, 0),
  },
  {
    what: 'a key that says unused port',
    believed: 1,
    damage: ({ maps }) => maps.keys.get(keyOfA)!.writeUInt32LE(0xffffffff, 0),
  },
  {
    what: 'an echo of another key',
    believed: 1,
    damage: ({ maps }) => maps.keys.get(keyOfA)!.writeUInt32LE(1, 4),
  },
  {
    what: 'a key of a protocol that we do not know',
    believed: 2,
    damage: ({ maps }) => maps.keys.set(`${keyOfA.slice(0, -4)}0100`, Buffer.alloc(8)),
  },
  {
    what: 'a dead backend that serves',
    believed: 2,
    damage: ({ maps }) => (maps.states[1] = encodeState(1, false)),
  },
  {
    what: 'a backend that nothing names',
    believed: 2,
    damage: ({ maps }) => (maps.states[9] = encodeState(4, true)),
  },
  {
    what: 'a missing VIP',
    believed: 2,
    damage: ({ maps }) => maps.keys.delete(`${keyOfA.slice(0, -8)}00000000`),
  },
]

function freeNumbers(pool: NumberPool): number {
  return pool.free.length + pool.limit - pool.next
}

describe('restore()', () => {
  for (const { what, believed, damage } of damages) {
    it(`does not trip over ${what}, and the first pass repairs it`, () => {
      const cluster = createCluster()
      const before = cluster.dump({ plain: true })
      assert.deepEqual(cluster.restart(), [])
      damage(cluster)
      const restored = restore(cluster.maps.dump())
      assert.equal(restored.services.size, believed)
      assert.notDeepEqual(cluster.restart(), [], 'the damage was noticed')
      assert.equal(cluster.dump({ plain: true }), before)
      checkReaders(cluster.maps)
      assert.equal(cluster.maps.keys.size, 4)
      cluster.now += 2000
      assert.deepEqual(cluster.pass(), [])
      const { indexes, ids, extents } = cluster.state
      assert.equal(freeNumbers(indexes), indexes.limit - 3, 'no index is lost')
      assert.equal(freeNumbers(ids), ids.limit - 4, 'no id is lost')
      assert.equal(freeSlots(extents), extents.limit - extents.first - 3, 'no slot is lost')
      assert.deepEqual(cluster.restart(), [])
      const alive = cluster.maps.states.filter((state) => state >> 32n === 1n)
      assert.equal(alive.length, 3, 'no backend is left alive that nothing names')
    })
  }

  it('keeps off what a frontend it does not believe may still be using', () => {
    const cluster = createCluster()
    cluster.maps.names[frontendName.size] = 0
    const ops = cluster.restart().map(describeOp)
    assert.deepEqual(ops, [
      'write backend_states[4]',
      'write backend_states[5]',
      'write 2 slots at backends[4] for frontend 3',
      'write frontend_names[3] (default/a)',
      'write frontend_words[3] (default/a)',
      'write frontends[10.96.0.2:80/TCP]',
      'write backend_states[1]',
      'write backend_states[2]',
      'clear frontend_names[1]',
    ])
  })
})
