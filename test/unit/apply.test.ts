import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BPFError } from 'bpf'
import { apply, BatchFailure, MapWriteError } from '../../src/datapath/apply.ts'
import { inBatches } from '../../src/datapath/maps.ts'
import { frontendKey, vipKey } from '../../src/model/types.ts'
import type { MapOp } from '../../src/plan/image.ts'
import { createFakeMaps } from '../fakes/fake-maps.ts'

const set = { base: 2, count: 1, local: 0, generation: 7 }
const word = {
  ...set,
  external: { base: 1, count: 2, local: 1, generation: 7 },
  localOnly: true,
  externalLocalOnly: false,
  hasRanges: false,
  maglev: false,
  affinity: true,
  affinitySeconds: 86400,
}
const slots = [1, 2].map((id) => ({
  id,
  generation: 1,
  address: `10.1.0.${id}`,
  port: 80,
  local: false,
}))
const ops: readonly MapOp[] = [
  { kind: 'state', id: 1, generation: 1, alive: true },
  { kind: 'state', id: 2, generation: 1, alive: true },
  { kind: 'slots', index: 1, base: 2, slots },
  { kind: 'name', index: 1, frontend: 'ClusterIP', text: 'ns/a' },
  { kind: 'unstat', index: 1 },
  { kind: 'word', index: 1, word, text: 'ns/a' },
  { kind: 'key', key: frontendKey('10.0.0.1', 80, 'TCP'), index: 1 },
  { kind: 'key', key: vipKey('10.0.0.1'), index: 0xffffffff },
  { kind: 'unkey', key: frontendKey('10.0.0.2', 80, 'TCP') },
  { kind: 'unname', index: 2 },
]

function failure(at: number): MapWriteError {
  const maps = createFakeMaps()
  maps.failAt = at
  try {
    apply(ops, maps)
  } catch (error) {
    assert.ok(error instanceof MapWriteError)
    assert.equal(error.code, 'KSH_MAP_WRITE')
    return error
  }
  return assert.fail('nothing failed')
}

describe('apply()', () => {
  it('names the map and the key of the write that failed, and counts those before it', () => {
    const cases: readonly (readonly [number, number, string])[] = [
      [0, 0, 'write backend_states[1]'],
      [1, 1, 'write backend_states[2]'],
      [3, 2, 'write 2 slots at backends[2] for frontend 1'],
      [4, 3, 'write frontend_names[1] (ns/a)'],
      [5, 4, 'clear frontend_stats[1]'],
      [6, 5, 'write frontend_words[1] (ns/a)'],
      [7, 6, 'write frontends[10.0.0.1:80/TCP]'],
      [8, 7, 'write frontends[10.0.0.1]'],
      [9, 8, 'delete frontends[10.0.0.2:80/TCP]'],
      [10, 9, 'clear frontend_names[2]'],
    ]
    for (const [at, applied, what] of cases) {
      const error = failure(at)
      assert.equal(error.message, `${what}: EIO, injected`)
      assert.equal(error.applied, applied)
    }
  })

  it('may be repeated from any op before the failure', () => {
    const once = createFakeMaps()
    apply(ops, once)
    const twice = createFakeMaps()
    apply(ops, twice)
    apply(ops.slice(3), twice)
    assert.deepEqual(twice.dump(), once.dump())
  })

  it('writes the commit word as the C header lays it out', () => {
    const maps = createFakeMaps()
    apply(ops, maps)
    assert.deepEqual(
      [...maps.words.slice(4, 8)],
      [
        (7n << 56n) | (1n << 24n) | 2n,
        (7n << 56n) | (1n << 40n) | (2n << 24n) | 1n,
        (86400n << 16n) | 3n,
        0n,
      ],
    )
    assert.equal(maps.states[2], (1n << 32n) | 1n)
  })

  it('writes nothing for no ops', () => {
    const maps = createFakeMaps()
    apply([], maps)
    assert.equal(maps.writes, 0)
  })
})

describe('inBatches()', () => {
  const run = (count: number, stopAt: number, error: unknown): { many: number; ones: number[] } => {
    const seen = { many: 0, ones: [] as number[] }
    inBatches(count, {
      many: (start, end) => {
        seen.many++
        if (stopAt >= start && stopAt < end) throw error
      },
      one: (at) => seen.ones.push(at),
    })
    return seen
  }

  it('finishes a batch that stopped early with single writes', () => {
    const partial = new BPFError(7, 'bpf_map_update_batch', 998)
    assert.deepEqual(run(2500, 1500, partial), { many: 3, ones: [1998, 1999] })
  })

  it('writes one by one where the kernel knows no batches', () => {
    const unknown = new BPFError(22, 'bpf_map_update_batch')
    assert.deepEqual(run(3, 0, unknown), { many: 1, ones: [0, 1, 2] })
  })

  it('tells which entry failed', () => {
    const writer = {
      many: () => {
        throw new BPFError(7, 'bpf_map_update_batch', 2)
      },
      one: (at: number) => {
        if (at === 4) throw new BPFError(7, 'bpf_map_update_elem')
      },
    }
    assert.throws(
      () => inBatches(10, writer),
      (error) => error instanceof BatchFailure && error.position === 4,
    )
  })
})
