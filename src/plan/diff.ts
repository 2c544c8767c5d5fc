import { vipKey, type FrontendKey } from '../model/types.ts'
import type { Changes } from './changes.ts'
import {
  UNUSED_PORT,
  wordOf,
  type FrontendImage,
  type ServiceImage,
  type TrackedBackend,
} from './image.ts'
import { layoutOf } from './layout.ts'
import { diffRanges } from './source-ranges.ts'
import type { PlanState } from './state.ts'

/** The keys that Services no longer want; whether they go is known when all are compared. */
export interface Leavings {
  readonly keys: { readonly key: FrontendKey; readonly index: number }[]
  readonly addresses: Set<string>
}

/** What a comparison adds to. */
export interface Diff {
  readonly state: PlanState
  readonly changes: Changes
  readonly leavings: Leavings
}

/** Notes the writes that turn what the maps hold for a Service into what they should. */
export function diffService(
  diff: Diff,
  have: ServiceImage | undefined,
  want: ServiceImage | undefined,
): ServiceImage | undefined {
  const had = new Map(have?.frontends.map((frontend) => [frontend.index, frontend]))
  const frontends = want?.frontends.map((frontend) => {
    const before = had.get(frontend.index)
    had.delete(frontend.index)
    return before === undefined ? publish(diff, frontend) : republish(diff, before, frontend)
  })
  for (const gone of had.values()) withdraw(diff, gone)
  diffStates(diff, have, want)
  return frontends === undefined || frontends.length === 0 ? undefined : { ...want!, frontends }
}

/** Notes the removal of the keys that nobody took over. */
export function diffLeavings({ state, changes, leavings }: Diff): void {
  for (const { key, index } of leavings.keys) {
    if (state.keys.get(key.text) === index) removeKey(state, changes, key)
  }
  for (const address of leavings.addresses) {
    const key = vipKey(address)
    if (!state.vips.has(address) && state.keys.has(key.text)) removeKey(state, changes, key)
  }
}

export function removeKey(state: PlanState, changes: Changes, key: FrontendKey): void {
  state.keys.delete(key.text)
  changes.unkeys.push({ kind: 'unkey', key })
}

function publish(diff: Diff, frontend: FrontendImage): FrontendImage {
  const { state, changes } = diff
  const { index, kind, text } = frontend
  changes.names.push({ kind: 'name', index, frontend: kind, text })
  if (state.wordGenerations[index] !== 0) changes.unstats.push({ kind: 'unstat', index })
  diffRanges(diff, index, frontend.sourceRanges)
  const published = publishWord(diff, frontend, true)
  diffKeys(diff, undefined, published)
  return published
}

function republish(diff: Diff, before: FrontendImage, frontend: FrontendImage): FrontendImage {
  const isMoved = before.extent !== frontend.extent
  const isNew =
    isMoved ||
    before.localOnly !== frontend.localOnly ||
    before.externalLocalOnly !== frontend.externalLocalOnly ||
    before.affinitySeconds !== frontend.affinitySeconds ||
    before.choice !== frontend.choice ||
    (before.sourceRanges === undefined) !== (frontend.sourceRanges === undefined)
  if (isMoved) freeExtent(diff, before)
  diffRanges(diff, frontend.index, frontend.sourceRanges)
  const published = isNew ? publishWord(diff, frontend, isMoved) : frontend
  diffKeys(diff, before, published)
  return published
}

function publishWord(
  { state, changes }: Diff,
  image: FrontendImage,
  isMoved: boolean,
): FrontendImage {
  const { index, extent, text } = image
  const generation = (state.wordGenerations[index]! % 255) + 1
  state.wordGenerations[index] = generation
  const published = { ...image, generation }
  if (isMoved && extent.size > 0)
    changes.slots.push({ kind: 'slots', index, base: extent.base, slots: placesOf(state, image) })
  changes.words.push({ kind: 'word', index, word: wordOf(published), text })
  return published
}

/** Tables are not kept: they are as long as they are quickly filled again. */
function placesOf({ limits }: PlanState, image: FrontendImage): readonly TrackedBackend[] {
  return layoutOf(image, limits.tableSizes)!.places // it was laid out to get its extent
}

function withdraw(diff: Diff, gone: FrontendImage): void {
  diffKeys(diff, gone, undefined)
  diffRanges(diff, gone.index)
  diff.changes.unnames.push({ kind: 'unname', index: gone.index })
  diff.state.freed.indexes.push(gone.index)
  freeExtent(diff, gone)
}

function freeExtent({ state }: Diff, image: FrontendImage): void {
  if (image.extent.size > 0) state.freed.extents.push(image.extent)
}

function diffKeys(
  diff: Diff,
  before: FrontendImage | undefined,
  after: FrontendImage | undefined,
): void {
  const { state, changes, leavings } = diff
  if (before?.keys === after?.keys && before?.ownsAddresses === after?.ownsAddresses) return
  const left = new Map(before?.keys.map((key) => [key.text, key]))
  for (const key of after?.keys ?? []) {
    left.delete(key.text)
    if (state.keys.get(key.text) !== after!.index) {
      state.keys.set(key.text, after!.index)
      changes.keys.push({ kind: 'key', key, index: after!.index })
    }
  }
  for (const key of left.values()) leavings.keys.push({ key, index: before!.index })
  countVips(diff, before, -1)
  countVips(diff, after, 1)
}

/** Counts the keys that keep an address ours, and makes it a VIP with the first. */
function countVips(
  { state, changes, leavings }: Diff,
  image: FrontendImage | undefined,
  by: 1 | -1,
): void {
  if (image?.ownsAddresses !== true) return
  for (const { address } of image.keys) {
    const count = (state.vips.get(address) ?? 0) + by
    if (count === 0) {
      state.vips.delete(address)
      leavings.addresses.add(address)
      continue
    }
    state.vips.set(address, count)
    const key = vipKey(address)
    if (state.keys.get(key.text) === UNUSED_PORT) continue
    state.keys.set(key.text, UNUSED_PORT)
    changes.vips.push({ kind: 'key', key, index: UNUSED_PORT })
  }
}

function diffStates(
  { state, changes }: Diff,
  have: ServiceImage | undefined,
  want: ServiceImage | undefined,
): void {
  const before = backendsOf(have)
  for (const [id, backend] of backendsOf(want)) {
    const { generation, alive } = backend
    const known = before.get(id)
    before.delete(id)
    if (known?.alive === alive && known.generation === generation) continue
    const list = alive ? changes.births : changes.deaths
    list.push({ kind: 'state', id, generation, alive })
  }
  for (const { id, generation, alive } of before.values()) {
    if (alive) changes.deaths.push({ kind: 'state', id, generation, alive: false })
    state.freed.ids.push(id)
  }
}

function backendsOf(image: ServiceImage | undefined): Map<number, TrackedBackend> {
  const backends = new Map<number, TrackedBackend>()
  for (const frontend of image?.frontends ?? []) {
    for (const slot of frontend.slots) backends.set(slot.id, slot)
  }
  return backends
}
