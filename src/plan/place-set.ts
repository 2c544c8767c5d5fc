import type { Backend, Frontend } from '../model/types.ts'
import { takeExtent } from './extent-pool.ts'
import type { FrontendImage, TrackedBackend } from './image.ts'
import { layoutOf, sortByName } from './layout.ts'
import type { PlanState, RefusalReason } from './state.ts'

/** Where a backend set lies, and how slots of it are chosen. */
export type SetImage = Pick<
  FrontendImage,
  'extent' | 'slots' | 'count' | 'local' | 'lead' | 'choice' | 'placed'
>

type BackendSet = Pick<SetImage, 'slots' | 'count' | 'local' | 'lead'>

interface Placing {
  readonly state: PlanState
  readonly frontend: Frontend
  readonly had: FrontendImage | undefined
  readonly refuse: (reason: RefusalReason, detail: string) => undefined
}

/**
 * A place for a set, the one it has if that will do. A set for which there is no room as tables
 * is chosen from at random; undefined: there is no room at all.
 */
export function placeSet(placing: Placing, set: BackendSet): SetImage | undefined {
  const { state, frontend, had, refuse } = placing
  const { limits, extents } = state
  const isSame = had !== undefined && isSameSet(had, set)
  const choices = frontend.choice === 'random' ? randomOnly : maglevFirst
  for (const choice of choices) {
    if (isSame && isLaidOut(had, frontend, choice)) {
      return { ...setOf(had), slots: inOrderOf(had, set.slots) }
    }
    const { localOnly, externalLocalOnly } = frontend
    const layout = layoutOf({ ...set, choice, localOnly, externalLocalOnly }, limits.tableSizes)
    if (layout === undefined) {
      refuse('too-many-backends', `${set.count} are too many for tables; they are chosen at random`)
      continue
    }
    const size = layout.places.length
    const extent = takeExtent(extents, size)
    if (extent !== undefined) return { ...set, extent, choice, placed: layout.placed }
    refuse('backends-full', `no ${size} adjacent slots of ${limits.slots} are free`)
  }
  return undefined
}

const randomOnly = ['random'] as const
const maglevFirst = ['maglev', 'random'] as const

/** The set that a frontend keeps, whatever is wanted now. */
export function keptSet(had: FrontendImage, frontend: Frontend): SetImage {
  const isStill = had.choice === 'random' || isLaidOut(had, frontend, had.choice)
  return { ...setOf(had), choice: isStill ? had.choice : 'unknown' }
}

/** The wanted backends in an order that all nodes and restarts share, each part by itself. */
export function sortSet({ backends, lead }: Frontend): Backend[] {
  const others = backends.slice(lead)
  return [
    ...sortByName(backends.slice(0, lead)),
    ...sortByName(others.filter(({ local }) => local)),
    ...sortByName(others.filter(({ local }) => !local)),
  ]
}

function setOf(had: FrontendImage): SetImage {
  const { extent, slots, count, local, lead, choice, placed } = had
  return { extent, slots, count, local, lead, choice, placed }
}

/** Whether the extent is as this choice wants it; tables also depend on the traffic policies. */
function isLaidOut(
  had: FrontendImage,
  frontend: Frontend,
  choice: FrontendImage['choice'],
): boolean {
  if (had.choice !== choice || choice === 'random') return had.choice === choice
  return (
    had.localOnly === frontend.localOnly && had.externalLocalOnly === frontend.externalLocalOnly
  )
}

/**
 * Whether the slots that are there will do, whatever their order: they hold the same set, and
 * every spare. A spare more does no harm; its state says that it is gone.
 */
function isSameSet(had: FrontendImage, set: BackendSet): boolean {
  if (had.count !== set.count || had.lead !== set.lead) return false
  const roles = new Map(had.slots.map((slot, at) => [slot.id, roleOf(had, slot, at)]))
  return set.slots.every((slot, at) => roles.get(slot.id) === roleOf(set, slot, at))
}

function roleOf({ count, lead }: BackendSet, slot: TrackedBackend, at: number): number {
  return (at < lead ? 4 : at < count ? 2 : 0) + Number(slot.local)
}

function inOrderOf(
  had: FrontendImage,
  slots: readonly TrackedBackend[],
): readonly TrackedBackend[] {
  const byId = new Map(slots.map((slot) => [slot.id, slot]))
  const ordered = had.slots.flatMap((slot) => byId.get(slot.id) ?? [])
  const isSame =
    ordered.length === had.slots.length && ordered.every((slot, at) => slot === had.slots[at])
  return isSame ? had.slots : ordered
}
