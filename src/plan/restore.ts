import { familyOf } from '../model/address.ts'
import {
  servicePortName,
  type FrontendKey,
  type FrontendKind,
  type ServiceName,
} from '../model/types.ts'
import { reserveExtents } from './extent-pool.ts'
import {
  UNUSED_PORT,
  type Commit,
  type Extent,
  type FrontendImage,
  type Limits,
  type Slot,
  type Word,
} from './image.ts'
import { reserveNumbers } from './number-pool.ts'
import { readSets } from './restore-sets.ts'
import { createPlanState, unknownIndex, type PlanState } from './state.ts'

/** A slot as it is in the map, with the index it was written for. */
export interface StoredSlot extends Slot {
  readonly index: number
}

/** An entry of `frontends`; `isSound` is false when its echo is not that of its key. */
export interface StoredKey {
  readonly key: FrontendKey
  readonly index: number
  readonly isSound: boolean
}

/** An entry of `source_ranges`. */
export interface StoredRange {
  readonly index: number
  readonly range: string
}

/** What the maps hold, read on demand; positions out of range are never asked for. */
export interface MapDump {
  readonly limits: Limits
  readonly keys: readonly StoredKey[]
  readonly strangeKeys: readonly string[]
  /** Entries of `source_ranges`. */
  readonly ranges: readonly StoredRange[]
  readonly strangeRanges: readonly string[]
  word(index: number): Word
  name(index: number): { readonly kind: FrontendKind; readonly text: string } | undefined
  slot(position: number): StoredSlot
  state(id: number): { readonly generation: number; readonly alive: boolean }
}

/**
 * The state that the maps describe, so that a restarted agent goes on where the last one
 * stopped. What does not fit together is not believed: its keys are written again when a
 * Service wants them, and go when all inputs are known.
 */
export function restoreState(dump: MapDump): PlanState {
  const state = createPlanState(dump.limits)
  for (let id = 0; id < dump.limits.ids; id++) state.generations[id] = dump.state(id).generation
  for (let index = 0; index < dump.limits.indexes; index++) {
    state.wordGenerations[index] = dump.word(index).generation
  }
  readRanges(state, dump)
  const byIndex = readKeys(state, dump)
  const candidates: FrontendImage[] = []
  for (const [index, keys] of byIndex) {
    const image = readFrontend(dump, index, keys, state.ranges.get(index))
    if (image === undefined) refuseIndex(state, dump, index, keys)
    else candidates.push(image)
  }
  const { sound, refused } = readSets(dump, candidates)
  for (const { index, keys } of refused) refuseIndex(state, dump, index, keys)
  for (const image of sound) adopt(state, image)
  reserve(state, dump, sound)
  return state
}

function readRanges(state: PlanState, dump: MapDump): void {
  const byIndex = new Map<number, Set<string>>()
  for (const { index, range } of dump.ranges) {
    const ranges = byIndex.get(index)
    if (ranges === undefined) byIndex.set(index, new Set([range]))
    else ranges.add(range)
  }
  for (const [index, ranges] of byIndex) state.ranges.set(index, ranges)
  state.rangeCount = dump.ranges.length
  state.garbage.strangeRanges.push(...dump.strangeRanges)
}

function readKeys(state: PlanState, dump: MapDump): Map<number, FrontendKey[]> {
  const byIndex = new Map<number, FrontendKey[]>()
  state.garbage.strangeKeys.push(...dump.strangeKeys)
  for (const { key, index, isSound } of dump.keys) {
    const isVip = key.protocol === undefined
    const isReadable = isVip ? index === UNUSED_PORT : index > 0 && index < dump.limits.indexes
    state.keys.set(key.text, isSound && isReadable ? index : unknownIndex)
    if (!isSound || !isReadable || isVip) state.garbage.keys.set(key.text, key)
    else if (byIndex.has(index)) byIndex.get(index)!.push(key)
    else byIndex.set(index, [key])
  }
  return byIndex
}

/** The frontend at an index without its slots, or undefined when something contradicts. */
function readFrontend(
  dump: MapDump,
  index: number,
  keys: readonly FrontendKey[],
  ranges: ReadonlySet<string> | undefined,
): FrontendImage | undefined {
  const name = dump.name(index)
  const word = dump.word(index)
  const identity = name && identityOf(name.text, keys)
  if (name === undefined || identity === undefined) return undefined
  const { external } = word
  const lead = external.count - word.count
  if (external.local > external.count || !isTailOf(word, external)) return undefined
  if (external.base + external.count > dump.limits.slots) return undefined
  return {
    index,
    ...identity,
    kind: name.kind,
    text: name.text,
    keys,
    ownsAddresses: false,
    extent: { base: external.base, size: external.count },
    slots: [],
    count: external.count,
    local: external.local,
    lead,
    choice: word.maglev ? 'unknown' : 'random',
    placed: { count: external.count, local: external.local, lead },
    generation: word.generation,
    localOnly: word.localOnly,
    externalLocalOnly: word.externalLocalOnly,
    affinitySeconds: word.affinity ? word.affinitySeconds : 0,
    sourceRanges: word.hasRanges ? [...(ranges ?? [])] : undefined,
  }
}

/** Whether two sets were published as one: the smaller leaves out local slots at the start. */
function isTailOf(set: Commit, whole: Commit): boolean {
  const lead = whole.count - set.count
  return (
    lead >= 0 &&
    set.base === whole.base + lead &&
    set.local === whole.local - lead &&
    set.local >= 0 &&
    set.generation === whole.generation
  )
}

function identityOf(
  text: string,
  keys: readonly FrontendKey[],
): Pick<FrontendImage, 'servicePort' | 'protocol' | 'family'> | undefined {
  const match = /^([^/:]+\/[^/:]+)(?::([^/:]+))?$/.exec(text)
  const first = keys[0]
  if (match === null || first?.protocol === undefined) return undefined
  const { protocol } = first
  const family = familyOf(first.address)
  const isOne = keys.every((key) => key.protocol === protocol && familyOf(key.address) === family)
  if (!isOne) return undefined
  const service = match[1] as ServiceName
  return { servicePort: servicePortName(service, match[2] ?? '', protocol), protocol, family }
}

/** Its keys lead somewhere that packets may still use, so nothing of it is given away yet. */
function refuseIndex(
  state: PlanState,
  dump: MapDump,
  index: number,
  keys: readonly FrontendKey[],
): void {
  for (const key of keys) {
    state.keys.set(key.text, unknownIndex)
    state.garbage.keys.set(key.text, key)
  }
  state.garbage.indexes.push(index)
  const word = dump.word(index)
  for (const { base, count } of [word.external, word]) {
    if (count > 0 && base + count <= dump.limits.slots) {
      state.garbage.extents.push({ base, size: count })
    }
  }
}

function adopt(state: PlanState, image: FrontendImage): void {
  const ownsAddresses = image.keys.every((key) => state.keys.get(key.address) === UNUSED_PORT)
  const service = image.text.split(':', 1)[0] as ServiceName
  const others = state.services.get(service)?.frontends ?? []
  state.services.set(service, { service, frontends: [...others, { ...image, ownsAddresses }] })
  if (!ownsAddresses) return
  for (const { address } of image.keys) {
    state.vips.set(address, (state.vips.get(address) ?? 0) + 1)
  }
}

/** Takes everything that is in use out of the pools. */
function reserve(state: PlanState, dump: MapDump, images: readonly FrontendImage[]): void {
  const { garbage } = state
  const indexes = new Set(images.map((image) => image.index))
  const ids = new Set(images.flatMap((image) => image.slots.map((slot) => slot.id)))
  const extents = images.map((image) => image.extent)
  const overlapping = garbage.extents.splice(0)
  for (const extent of overlapping) {
    if (extents.some((other) => overlaps(extent, other))) continue
    extents.push(extent)
    garbage.extents.push(extent)
  }
  for (let id = 1; id < dump.limits.ids; id++) {
    if (!ids.has(id) && dump.state(id).alive) garbage.ids.push(id)
  }
  // an index is not given again before its ranges are gone
  for (const index of state.ranges.keys()) {
    if (!indexes.has(index) && !garbage.indexes.includes(index)) garbage.indexes.push(index)
  }
  reserveNumbers(state.indexes, new Set([...indexes, ...garbage.indexes]))
  reserveNumbers(state.ids, new Set([...ids, ...garbage.ids]))
  reserveExtents(state.extents, extents)
}

function overlaps(a: Extent, b: Extent): boolean {
  return a.base < b.base + b.size && b.base < a.base + a.size
}
