import type { Backend, Family, ServicePortName } from '../model/types.ts'
import type { FrontendImage, ServiceImage, TrackedBackend } from './image.ts'
import { takeNumber } from './number-pool.ts'
import type { PlanState } from './state.ts'

/** The backends of one (ServicePort, family) that have an id, by address and port. */
export type Group = Map<string, TrackedBackend>

/** Each group's backends as a Service has them now. */
export function groupsOf(have: ServiceImage | undefined): Map<string, Group> {
  const groups = new Map<string, Group>()
  for (const frontend of have?.frontends ?? []) {
    const group = groupOf(groups, frontend)
    for (const slot of frontend.slots) group.set(backendText(slot), slot)
  }
  return groups
}

/** The group a frontend takes its backends from. */
export function groupOf(
  groups: Map<string, Group>,
  frontend: { readonly servicePort: ServicePortName; readonly family: Family },
): Group {
  const name = `${frontend.servicePort} ${frontend.family}`
  let group = groups.get(name)
  if (group === undefined) {
    group = new Map()
    groups.set(name, group)
  }
  return group
}

/** The wanted backends with ids, known ones with the id they had; undefined: the ids ran out. */
export function trackBackends(
  state: PlanState,
  group: Group,
  wanted: readonly Backend[],
): TrackedBackend[] | undefined {
  const tracked: TrackedBackend[] = []
  for (const backend of wanted) {
    const text = backendText(backend)
    const known = group.get(text) ?? newBackend(state, backend)
    if (known === undefined) return undefined
    const isCurrent = known.alive && known.local === backend.local
    const now = isCurrent ? known : { ...known, local: backend.local, alive: true }
    group.set(text, now)
    tracked.push(now)
  }
  return tracked.slice()
}

/** Gives back the ids that were taken for frontends which then were refused. */
export function returnUnusedIds(
  state: PlanState,
  groups: ReadonlyMap<string, Group>,
  images: readonly (ServiceImage | undefined)[],
): void {
  const used = new Set<number>()
  for (const image of images) {
    for (const frontend of image?.frontends ?? []) {
      for (const slot of frontend.slots) used.add(slot.id)
    }
  }
  for (const group of groups.values()) {
    for (const { id } of group.values()) if (!used.has(id)) state.ids.free.push(id)
  }
}

/** The slots a frontend keeps when it cannot have what it wants, and which of them still serve. */
export function keptSlots(
  have: FrontendImage,
  group: Group,
  wanted: readonly Backend[],
): TrackedBackend[] {
  const serving = new Set(wanted.map(backendText))
  return have.slots.map((slot) => {
    const alive = serving.has(backendText(slot))
    if (slot.alive === alive) return slot
    const now = { ...slot, alive }
    group.set(backendText(now), now)
    return now
  })
}

function newBackend(state: PlanState, backend: Backend): TrackedBackend | undefined {
  const id = takeNumber(state.ids)
  if (id === undefined) return undefined
  const generation = (state.generations[id]! + 1) >>> 0 || 1
  state.generations[id] = generation
  const { address, port, local } = backend
  return { id, generation, address, port, local, alive: true }
}

function backendText(backend: Pick<Backend, 'address' | 'port'>): string {
  return `${backend.address} ${backend.port}`
}
