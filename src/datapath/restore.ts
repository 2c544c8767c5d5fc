import type { Limits } from '../plan/image.ts'
import { restoreState, type MapDump, type StoredKey, type StoredRange } from '../plan/restore.ts'
import type { PlanState } from '../plan/state.ts'
import { backend, frontendKey, frontendName, frontendRef, mixKey } from './abi.ts'
import { decodeRange } from './encode-range.ts'
import { decodeKey, decodeName, decodeSlot, decodeState, decodeWord } from './encode.ts'

/** The bytes of all maps that the control plane writes. */
export interface RawDump {
  readonly limits: Limits
  /** Entries of `frontends`. */
  readonly keys: readonly (readonly [key: Buffer, value: Buffer])[]
  /** Four words for each entry of `frontend_words`. */
  readonly words: BigUint64Array
  readonly names: Buffer
  /** Keys of `source_ranges`. */
  readonly ranges: readonly Buffer[]
  readonly slots: Buffer
  /** One word for each entry of `backend_states`. */
  readonly states: BigUint64Array
}

/** The state that the maps describe. */
export function restore(raw: RawDump): PlanState {
  return restoreState(decodeDump(raw))
}

/** The maps' bytes as values, decoded on demand. */
export function decodeDump(raw: RawDump): MapDump {
  const words = halvesOf(raw.words)
  const states = halvesOf(raw.states)
  const keys: StoredKey[] = []
  const strangeKeys: string[] = []
  for (const [bytes, value] of raw.keys) {
    const key = bytes.length === frontendKey.size ? decodeKey(bytes) : undefined
    if (key === undefined) {
      strangeKeys.push(bytes.toString('hex'))
      continue
    }
    const { index, echo } = frontendRef.parse(value)
    keys.push({ key, index, isSound: echo === mixKey(bytes) })
  }
  const ranges: StoredRange[] = []
  const strangeRanges: string[] = []
  for (const bytes of raw.ranges) {
    const range = decodeRange(bytes)
    if (range !== undefined && range.index > 0 && range.index < raw.limits.indexes) {
      ranges.push(range)
    } else strangeRanges.push(bytes.toString('hex'))
  }
  return {
    limits: raw.limits,
    keys,
    strangeKeys,
    ranges,
    strangeRanges,
    word: (index) => decodeWord(words, index),
    name: (index) => decodeName(raw.names, index * frontendName.size),
    slot: (position) => decodeSlot(raw.slots, position * backend.size),
    state: (id) => decodeState(states, id),
  }
}

function halvesOf(words: BigUint64Array): Uint32Array {
  return new Uint32Array(words.buffer, words.byteOffset, words.length * 2)
}
