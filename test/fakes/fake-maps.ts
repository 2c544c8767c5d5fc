import {
  backend,
  frontendKey,
  frontendName,
  frontendRef,
  sourceRangeKey,
} from '../../src/datapath/abi.ts'
import { BatchFailure, type DatapathMaps } from '../../src/datapath/apply.ts'
import { encodeState } from '../../src/datapath/encode.ts'
import type { RawDump } from '../../src/datapath/restore.ts'
import type { Limits } from '../../src/plan/image.ts'

/** Maps in memory, byte for byte what the kernel would hold. */
export interface FakeMaps extends DatapathMaps {
  /** frontends by hexadecimal key. */
  readonly keys: Map<string, Buffer>
  readonly words: BigUint64Array
  readonly names: Buffer
  /** Keys of source_ranges in hexadecimal. */
  readonly ranges: Set<string>
  readonly slots: Buffer
  readonly states: BigUint64Array
  /** Indexes whose counters were zeroed. */
  readonly cleared: number[]
  /** Writes done since the last reset of this number. */
  writes: number
  /** The write with this number fails, once. */
  failAt: number
  dump(): RawDump
}

export const smallLimits: Limits = {
  keys: 256,
  indexes: 64,
  slots: 256,
  ids: 128,
  ranges: 64,
  tableSizes: [7, 17],
}

/** Empty maps of the given size. */
export function createFakeMaps(limits: Limits = smallLimits): FakeMaps {
  const write = (at: number): void => {
    if (fake.writes++ !== fake.failAt) return
    fake.failAt = -1
    throw new BatchFailure(at, new Error('EIO, injected'))
  }
  const setEntries = (target: Buffer, positions: Uint32Array, values: Buffer, size: number) => {
    positions.forEach((position, at) => {
      write(at)
      if ((position + 1) * size > target.length) throw new BatchFailure(at, new Error('E2BIG'))
      values.copy(target, position * size, at * size, (at + 1) * size)
    })
  }
  const fake: FakeMaps = {
    limits,
    keys: new Map(),
    words: new BigUint64Array(4 * limits.indexes),
    names: Buffer.alloc(limits.indexes * frontendName.size),
    ranges: new Set(),
    slots: Buffer.alloc(limits.slots * backend.size),
    states: new BigUint64Array(limits.ids),
    cleared: [],
    writes: 0,
    failAt: -1,
    setKeys(keys, values, count) {
      for (let at = 0; at < count; at++) {
        write(at)
        const key = entry(keys, frontendKey.size, at).toString('hex')
        if (!fake.keys.has(key) && fake.keys.size >= limits.keys) {
          throw new BatchFailure(at, new Error('E2BIG'))
        }
        fake.keys.set(key, Buffer.from(entry(values, frontendRef.size, at)))
      }
    },
    deleteKeys(keys, count) {
      for (let at = 0; at < count; at++) {
        write(at)
        fake.keys.delete(entry(keys, frontendKey.size, at).toString('hex'))
      }
    },
    setRanges(keys, count) {
      for (let at = 0; at < count; at++) {
        write(at)
        const key = trieKey(entry(keys, sourceRangeKey.size, at))
        if (!fake.ranges.has(key) && fake.ranges.size >= limits.ranges) {
          throw new BatchFailure(at, new Error('ENOSPC'))
        }
        fake.ranges.add(key)
      }
    },
    deleteRanges(keys, count) {
      for (let at = 0; at < count; at++) {
        write(at)
        fake.ranges.delete(trieKey(entry(keys, sourceRangeKey.size, at)))
      }
    },
    setSlots: (positions, values) => setEntries(fake.slots, positions, values, backend.size),
    setNames: (indexes, values) => setEntries(fake.names, indexes, values, frontendName.size),
    storeWord(index, words) {
      write(0)
      fake.words.set(words, 4 * index)
    },
    storeState(id, generation, alive) {
      write(0)
      fake.states[id] = encodeState(generation, alive)
    },
    clearStats(index) {
      write(0)
      fake.cleared.push(index)
    },
    dump: () => ({
      limits,
      keys: [...fake.keys].map(([key, value]) => [Buffer.from(key, 'hex'), value]),
      words: fake.words.slice(),
      names: Buffer.from(fake.names),
      ranges: [...fake.ranges].map((key) => Buffer.from(key, 'hex')),
      slots: Buffer.from(fake.slots),
      states: fake.states.slice(),
    }),
  }
  return fake
}

/** What a trie knows a key by: bits behind the prefix do not count. */
export function trieKey(key: Buffer): string {
  const bytes = Buffer.from(key)
  const bits = bytes.readUInt32LE(0)
  for (let at = 4; at < bytes.length; at++) {
    bytes[at]! &= 0xff00 >> Math.min(8, Math.max(0, bits - 8 * (at - 4)))
  }
  return bytes.toString('hex')
}

function entry(buffer: Buffer, size: number, at: number): Buffer {
  return buffer.subarray(at * size, (at + 1) * size)
}
