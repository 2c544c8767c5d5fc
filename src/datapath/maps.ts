import { BPFError, createMapRef, RawMap, type MapRef } from 'bpf'
import type { Limits } from '../plan/image.ts'
import { tableSizes } from '../plan/maglev.ts'
import { backend, frontendKey, frontendName, frontendWord, sourceRangeKey } from './abi.ts'
import { BatchFailure, type DatapathMaps } from './apply.ts'
import { encodeState } from './encode.ts'
import { binding, check } from './native-binding.ts'
import type { RawDump } from './restore.ts'

/** The open maps that the control plane writes; whoever opened the descriptors closes them. */
export interface MapHandles {
  readonly frontends: number
  readonly frontendWords: number
  readonly frontendNames: number
  readonly backends: number
  readonly backendStates: number
  /** Absent where an older agent has pinned the maps. */
  readonly sourceRanges?: number | undefined
  /** The mapped memory of frontend_words and backend_states, where the kernel allows it. */
  readonly wordsMemory?: ArrayBuffer | undefined
  readonly statesMemory?: ArrayBuffer | undefined
  /** Per-CPU maps are opened elsewhere. */
  readonly clearStats: (index: number) => void
}

/** The kernel's maps, to write and to read back at start. */
export interface KernelMaps extends DatapathMaps {
  dump(): RawDump
}

/** Entries per system call; measured best around here. */
const batchSize = 1000

/** Entries of an array read at a time. */
const rangeSize = 16_384

/** The maps behind open descriptors. */
export function openDatapathMaps(handles: MapHandles): KernelMaps {
  const frontends = openMap(handles.frontends)
  const backends = openMap(handles.backends)
  const names = openMap(handles.frontendNames)
  const wordsMap = openMap(handles.frontendWords)
  const statesMap = openMap(handles.backendStates)
  const ranges = handles.sourceRanges === undefined ? undefined : openMap(handles.sourceRanges)
  const words = createWords(wordsMap, frontendWord.size / 8, handles.wordsMemory)
  const states = createWords(statesMap, 1, handles.statesMemory)
  const limits: Limits = {
    keys: frontends.ref.maxEntries,
    indexes: wordsMap.ref.maxEntries,
    slots: backends.ref.maxEntries,
    ids: statesMap.ref.maxEntries,
    // kernels before 6.13 refuse to replace an entry of a full trie
    ranges: ranges === undefined ? 0 : ranges.ref.maxEntries - 1,
    tableSizes,
  }
  return {
    limits,
    setKeys: (keys, values, count) =>
      setAll(frontends, (at) => part(keys, frontendKey.size, at), values, count),
    deleteKeys: (keys, count) => deleteAll(frontends, keys, count),
    ...rangeWriters(ranges),
    setSlots: (positions, values) => setEntries(backends, positions, values),
    setNames: (indexes, values) => setEntries(names, indexes, values),
    storeWord: (index, values) => words.store(index, values),
    storeState: (id, generation, alive) => states.store(id, [encodeState(generation, alive)]),
    clearStats: handles.clearStats,
    dump: () => ({
      limits,
      keys: [...frontends.getBatch(4096)].flat(),
      words: words.load(),
      ranges: [...(ranges?.keys() ?? [])],
      names: readArray(names, frontendName.size),
      slots: readArray(backends, backend.size),
      states: states.load(),
    }),
  }
}

function rangeWriters(map: RawMap | undefined): Pick<DatapathMaps, 'setRanges' | 'deleteRanges'> {
  if (map === undefined) return { setRanges: () => undefined, deleteRanges: () => undefined }
  const key = (keys: Buffer, at: number): Buffer => part(keys, sourceRangeKey.size, at)
  return {
    setRanges: (keys, count) => setAll(map, (at) => key(keys, at), rangeValues(count), count),
    deleteRanges: (keys, count) => deleteAll(map, keys, count),
  }
}

/** What a range is stored with: any value lets its clients in. */
function rangeValues(count: number): Buffer {
  return Buffer.from(new Uint32Array(count).fill(1).buffer)
}

/** A plain map behind a descriptor that stays the caller's; never a per-CPU map. */
export function openMap(fd: number): RawMap {
  const known = createMapRef(fd)
  const info: MapRef = { ...known, fd, close: () => undefined }
  known.close()
  return new RawMap(info)
}

/** An array map of 64-bit words: the first of an entry is stored last, as it publishes. */
interface Words {
  store(index: number, values: readonly bigint[]): void
  load(): BigUint64Array
}

function createWords(map: RawMap, width: number, memory: ArrayBuffer | undefined): Words {
  if (memory === undefined) return createUnmappedWords(map, width)
  const words = new BigUint64Array(memory, 0, map.ref.maxEntries * width)
  return {
    store(index, values) {
      if (index >= map.ref.maxEntries) throw new RangeError(`no entry ${index}`)
      for (let at = width - 1; at >= 0; at--) Atomics.store(words, index * width + at, values[at]!)
    },
    load: () => words.slice(),
  }
}

function createUnmappedWords(map: RawMap, width: number): Words {
  const key = Buffer.alloc(4)
  const value = Buffer.alloc(8 * width)
  return {
    store(index, values) {
      key.writeUInt32LE(index)
      values.forEach((word, at) => value.writeBigUInt64LE(word, 8 * at))
      map.set(key, value)
    },
    load() {
      const bytes = readArray(map, 8 * width)
      return new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8)
    },
  }
}

/** All values of an array; the addon reads them in one piece, `bpf` as two buffers each. */
function readArray(map: RawMap, size: number): Buffer {
  const { fd, maxEntries } = map.ref
  const all = Buffer.from(new ArrayBuffer(maxEntries * size))
  for (let first = 0; first < maxEntries; first += rangeSize) {
    const count = Math.min(rangeSize, maxEntries - first)
    const what = `read an array map from ${first}, ${count} entries`
    check<Buffer>(binding().mapRange(fd, first, count), what).copy(all, first * size)
  }
  return all
}

function setEntries(map: RawMap, positions: Uint32Array, values: Buffer): void {
  const keys = Buffer.from(positions.buffer, positions.byteOffset, positions.byteLength)
  setAll(map, (at) => part(keys, 4, at), values, positions.length)
}

/** A batch may stop early for no lasting reason; the rest of it is then written one by one. */
function setAll(map: RawMap, key: (at: number) => Buffer, values: Buffer, count: number): void {
  const value = (at: number): Buffer => part(values, map.ref.valueSize, at)
  inBatches(count, {
    many: (start, end) => map.setBatch(range(start, end).map((at) => [key(at), value(at)])),
    one: (at) => map.set(key(at), value(at)),
  })
}

function deleteAll(map: RawMap, keys: Buffer, count: number): void {
  const key = (at: number): Buffer => part(keys, map.ref.keySize, at)
  inBatches(count, {
    many: (start, end) => map.deleteBatch(range(start, end).map(key)),
    one: (at) => map.delete(key(at)),
  })
}

interface BatchWriter {
  readonly many: (start: number, end: number) => unknown
  readonly one: (at: number) => unknown
}

/** Runs a write over `count` entries; throws a BatchFailure with the entry that failed. */
export function inBatches(count: number, writer: BatchWriter): void {
  for (let start = 0; start < count; start += batchSize) {
    const end = Math.min(start + batchSize, count)
    let done = start
    try {
      writer.many(start, end)
      done = end
    } catch (error) {
      if (!(error instanceof BPFError)) throw error
      done += error.count ?? 0
    }
    for (; done < end; done++) {
      try {
        writer.one(done)
      } catch (error) {
        throw new BatchFailure(done, error)
      }
    }
  }
}

function part(buffer: Buffer, size: number, at: number): Buffer {
  return buffer.subarray(at * size, (at + 1) * size)
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, at) => start + at)
}
