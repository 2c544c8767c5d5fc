import { ShuntError, messageOf } from '../errors.ts'
import type { Limits, MapOp } from '../plan/image.ts'
import { backend, frontendKey, frontendName, frontendRef, sourceRangeKey } from './abi.ts'
import { encodeRange } from './encode-range.ts'
import { encodeKey, encodeName, encodeRef, encodeSlot, encodeWord } from './encode.ts'

/**
 * The maps as the control plane writes them. A batch that fails throws a BatchFailure; what is
 * before the failing entry has been written. Everything may be repeated.
 */
export interface DatapathMaps {
  readonly limits: Limits
  /** Sets entries of `frontends`: `count` keys and values, one after the other. */
  setKeys(keys: Buffer, values: Buffer, count: number): void
  /** Removes entries of `frontends`; missing ones are fine. */
  deleteKeys(keys: Buffer, count: number): void
  /** The same for `source_ranges`, whose values say nothing. */
  setRanges(keys: Buffer, count: number): void
  deleteRanges(keys: Buffer, count: number): void
  setSlots(positions: Uint32Array, values: Buffer): void
  setNames(indexes: Uint32Array, values: Buffer): void
  /** Stores the 64-bit words of a frontend word, the last one first. */
  storeWord(index: number, words: readonly bigint[]): void
  storeState(id: number, generation: number, alive: boolean): void
  /** Zeroes `frontend_stats` of an index that gets another frontend. */
  clearStats(index: number): void
}

/** A batch of writes stopped at an entry. */
export class BatchFailure extends Error {
  readonly position: number
  constructor(position: number, cause: unknown) {
    super(messageOf(cause), { cause })
    this.position = position
  }
}

type OpOf<Kind extends MapOp['kind']> = Extract<MapOp, { kind: Kind }>

/** A pass ended at a write; `applied` ops before it are in the maps. */
export class MapWriteError extends ShuntError {
  readonly applied: number
  constructor(message: string, applied: number, cause: unknown) {
    super('KSH_MAP_WRITE', message, { cause })
    this.applied = applied
  }
}

/** Writes ops in their order; a MapWriteError names the first that fails and ends the pass. */
export function apply(ops: readonly MapOp[], maps: DatapathMaps): void {
  for (let start = 0; start < ops.length;) {
    const { kind } = ops[start]!
    let end = start + 1
    while (end < ops.length && end - start < runLimit && ops[end]!.kind === kind) end++
    const run = ops.slice(start, end)
    try {
      applyRun(run, maps)
    } catch (error) {
      const at = error instanceof OpFailure ? error.at : 0
      const cause = error instanceof OpFailure ? error.cause : error
      throw new MapWriteError(`${describe(run[at]!)}: ${messageOf(cause)}`, start + at, cause)
    }
    start = end
  }
}

/** Ops encoded at a time, to bound the buffers. */
const runLimit = 4096

class OpFailure extends Error {
  readonly at: number
  constructor(at: number, cause: unknown) {
    super('an op failed', { cause })
    this.at = at
  }
}

/** What an op writes and where, for errors. */
export function describe(op: MapOp): string {
  switch (op.kind) {
    case 'state':
      return `write backend_states[${op.id}]`
    case 'slots':
      return `write ${op.slots.length} slots at backends[${op.base}] for frontend ${op.index}`
    case 'name':
      return `write frontend_names[${op.index}] (${op.text})`
    case 'unname':
      return `clear frontend_names[${op.index}]`
    case 'unstat':
      return `clear frontend_stats[${op.index}]`
    case 'word':
      return `write frontend_words[${op.index}] (${op.text})`
    case 'key':
      return `write frontends[${op.key.text}]`
    case 'unkey':
      return `delete frontends[${op.key.text}]`
    case 'unkey-bytes':
      return `delete frontends[0x${op.bytes}]`
    case 'range':
      return `write source_ranges[${op.index} ${op.range}]`
    case 'unrange':
      return `delete source_ranges[${op.index} ${op.range}]`
    case 'unrange-bytes':
      return `delete source_ranges[0x${op.bytes}]`
  }
}

/** Ops of one kind. */
function applyRun(run: readonly MapOp[], maps: DatapathMaps): void {
  switch (run[0]!.kind) {
    case 'slots':
      return setSlots(run as readonly OpOf<'slots'>[], maps)
    case 'name':
    case 'unname':
      return setNames(run as readonly (OpOf<'name'> | OpOf<'unname'>)[], maps)
    case 'key':
      return setKeys(run as readonly OpOf<'key'>[], maps)
    case 'unkey':
    case 'unkey-bytes':
      return deleteKeys(run as readonly (OpOf<'unkey'> | OpOf<'unkey-bytes'>)[], maps)
    case 'range':
    case 'unrange':
    case 'unrange-bytes':
      return writeRanges(run as readonly RangeOp[], maps)
    case 'state':
    case 'word':
    case 'unstat':
      return run.forEach((op, at) => atOp(at, () => applySingle(op, maps)))
  }
}

function applySingle(op: MapOp, maps: DatapathMaps): void {
  if (op.kind === 'state') maps.storeState(op.id, op.generation, op.alive)
  else if (op.kind === 'word') maps.storeWord(op.index, encodeWord(op.word))
  else if (op.kind === 'unstat') maps.clearStats(op.index)
}

function setSlots(run: readonly OpOf<'slots'>[], maps: DatapathMaps): void {
  const total = run.reduce((sum, op) => sum + op.slots.length, 0)
  const positions = new Uint32Array(total)
  const values = Buffer.alloc(total * backend.size)
  const owners: number[] = []
  for (const [at, op] of run.entries()) {
    for (const [place, slot] of op.slots.entries()) {
      positions[owners.length] = op.base + place
      encodeSlot(values, owners.length * backend.size, op.index, slot)
      owners.push(at)
    }
  }
  batch(
    (position) => owners[position] ?? 0,
    () => maps.setSlots(positions, values),
  )
}

function setNames(run: readonly (OpOf<'name'> | OpOf<'unname'>)[], maps: DatapathMaps): void {
  const values = Buffer.alloc(run.length * frontendName.size)
  for (const [at, op] of run.entries()) {
    const isName = op.kind === 'name'
    encodeName(
      values,
      at * frontendName.size,
      isName ? op.frontend : undefined,
      isName ? op.text : '',
    )
  }
  const indexes = Uint32Array.from(run, (op) => op.index)
  batch(
    (position) => position,
    () => maps.setNames(indexes, values),
  )
}

function setKeys(run: readonly OpOf<'key'>[], maps: DatapathMaps): void {
  const keys = Buffer.alloc(run.length * frontendKey.size)
  const values = Buffer.alloc(run.length * frontendRef.size)
  for (const [at, op] of run.entries()) {
    const key = { buffer: keys, at: at * frontendKey.size }
    encodeKey(keys, key.at, op.key)
    encodeRef(values, at * frontendRef.size, op.index, key)
  }
  batch(
    (position) => position,
    () => maps.setKeys(keys, values, run.length),
  )
}

function deleteKeys(
  run: readonly (OpOf<'unkey'> | OpOf<'unkey-bytes'>)[],
  maps: DatapathMaps,
): void {
  const keys = Buffer.alloc(run.length * frontendKey.size)
  for (const [at, op] of run.entries()) {
    if (op.kind === 'unkey') encodeKey(keys, at * frontendKey.size, op.key)
    else keys.write(op.bytes, at * frontendKey.size, 'hex')
  }
  batch(
    (position) => position,
    () => maps.deleteKeys(keys, run.length),
  )
}

type RangeOp = OpOf<'range' | 'unrange'> | OpOf<'unrange-bytes'>

function writeRanges(run: readonly RangeOp[], maps: DatapathMaps): void {
  const keys = Buffer.alloc(run.length * sourceRangeKey.size)
  for (const [at, op] of run.entries()) {
    const start = at * sourceRangeKey.size
    if (op.kind === 'unrange-bytes') keys.write(op.bytes, start, 'hex')
    else encodeRange(keys, start, op)
  }
  const isNew = run[0]!.kind === 'range'
  batch(
    (position) => position,
    () => (isNew ? maps.setRanges(keys, run.length) : maps.deleteRanges(keys, run.length)),
  )
}

function batch(opOf: (position: number) => number, write: () => void): void {
  try {
    write()
  } catch (error) {
    if (!(error instanceof BatchFailure)) throw error
    throw new OpFailure(opOf(error.position), error.cause)
  }
}

function atOp(at: number, write: () => void): void {
  try {
    write()
  } catch (error) {
    throw new OpFailure(at, error)
  }
}
