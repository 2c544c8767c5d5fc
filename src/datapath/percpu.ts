import { closeSync } from 'node:fs'
import { ShuntError } from '../errors.ts'
import { binding, check } from './native-binding.ts'
import { mapInfo } from './native-info.ts'
import type { MapInfo } from './native-info.ts'
import { getPinned } from './native.ts'

const perCpuTypes = { hash: 5, array: 6, lruHash: 10 }
const errnoMissing = -2

/** How many values a per-CPU entry has: CPUs that may ever come up, not those up now. */
export function possibleCpus(): number {
  return check(binding().possibleCpus(), 'count possible CPUs')
}

/** Opens a pinned per-CPU map; no other file may, because the kernel writes all CPUs' values. */
export function openPerCpu(path: string): PerCpuMap {
  return perCpuOf(getPinned(path))
}

/** Takes over the fd of a per-CPU map. */
export function perCpuOf(fd: number): PerCpuMap {
  const info = mapInfo(fd)
  if (!Object.values(perCpuTypes).includes(info.type)) {
    throw new ShuntError('KSH_KERNEL', `open ${info.name} as a per-CPU map: its type is other`)
  }
  return new PerCpuMap(fd, info)
}

/** A per-CPU map whose values are rows of 64-bit counters. */
export class PerCpuMap {
  readonly info: MapInfo
  /** Counters in a value. */
  readonly fields: number
  readonly #fd: number
  readonly #cpus = possibleCpus()

  constructor(fd: number, info: MapInfo) {
    this.#fd = fd
    this.info = info
    this.fields = Math.ceil(info.valueSize / 8)
  }

  /** Sums over the CPUs for these indices of an array: `fields` numbers for each index. */
  sumRange(first: number, count: number): Float64Array {
    const what = `read ${this.info.name} from ${first}, ${count} entries`
    return this.#sum(check<Buffer>(binding().mapRange(this.#fd, first, count), what), count)
  }

  /** Sums over the CPUs for one key, or undefined when it is not there. */
  sum(key: Buffer): Float64Array | undefined {
    const values = binding().mapLookup(this.#fd, key)
    if (values === errnoMissing) return undefined
    return this.#sum(check<Buffer>(values, `read ${this.info.name}`), 1)
  }

  /** Every key of a hash; keys that come or go meanwhile may be missed or seen twice. */
  keys(): Buffer[] {
    const keys: Buffer[] = []
    for (let key: Buffer | null = null; keys.length <= this.info.maxEntries;) {
      const next: Buffer | number = binding().mapNextKey(this.#fd, key)
      if (next === errnoMissing) break
      key = check<Buffer>(next, `list keys of ${this.info.name}`)
      keys.push(key)
    }
    return keys
  }

  /** Sets every CPU's value to zero; counts made at the same moment may be lost. */
  clear(key: Buffer): void {
    const zeros = Buffer.alloc(this.fields * 8 * this.#cpus)
    check(binding().mapUpdate(this.#fd, key, zeros, 0), `clear an entry of ${this.info.name}`)
  }

  /** The same for an index of an array. */
  clearIndex(index: number): void {
    this.clear(indexKey(index))
  }

  close(): void {
    closeSync(this.#fd)
  }

  /* Counters are exact up to 2^53, so numbers do. */
  #sum(values: Buffer, count: number): Float64Array {
    const sums = new Float64Array(count * this.fields)
    const view = new Uint32Array(values.buffer, values.byteOffset, values.length / 4)
    const words = this.fields * this.#cpus
    for (let entry = 0; entry < count; entry++) {
      for (let word = 0; word < words; word++) {
        const at = 2 * (entry * words + word)
        sums[entry * this.fields + (word % this.fields)]! += view[at]! + view[at + 1]! * 2 ** 32
      }
    }
    return sums
  }
}

/** The key of an array index. */
export function indexKey(index: number): Buffer {
  const key = Buffer.alloc(4)
  key.writeUInt32LE(index)
  return key
}
