import type { FrontendImage, Placed, TrackedBackend } from './image.ts'
import { fillTable, tableSize } from './maglev.ts'

/** What decides where the slots of a frontend lie. */
export type LaidOut = Pick<
  FrontendImage,
  'slots' | 'count' | 'local' | 'lead' | 'choice' | 'localOnly' | 'externalLocalOnly'
>

/** The slots of an extent in their order, the spares last, and what a word says of them. */
export interface Layout {
  readonly places: readonly TrackedBackend[]
  readonly placed: Placed
}

/**
 * Where the slots of a frontend lie. A choice at random takes each of them once; Maglev has a
 * table in their place: one of the local backends where only those are chosen, and one of the
 * cluster set where clients choose from that. Undefined: there are too many for a table.
 */
export function layoutOf(image: LaidOut, sizes: readonly number[]): Layout | undefined {
  const { slots, count, local, lead } = image
  if (image.choice === 'random') return { places: slots, placed: { count, local, lead } }
  const isSplit = image.localOnly || image.externalLocalOnly
  const here = isSplit ? tableOf(slots.slice(0, local), sizes) : []
  const rest = image.localOnly
    ? slots.slice(local, count)
    : tableOf(slots.slice(lead, count), sizes)
  if (here === undefined || rest === undefined) return undefined
  const places = [...here, ...rest]
  const placed = {
    count: places.length,
    local: here.length,
    lead: image.localOnly ? 0 : here.length,
  }
  if (placed.count > maxPlaces) return undefined
  return { places: [...places, ...slots.slice(count)], placed }
}

/** The most slots that a frontend word can count. */
export const maxPlaces = 0xffff

/** What a backend is called on all nodes. */
export function backendName({ address, port }: Pick<TrackedBackend, 'address' | 'port'>): string {
  return `${address} ${port}`
}

function tableOf(
  backends: readonly TrackedBackend[],
  sizes: readonly number[],
): readonly TrackedBackend[] | undefined {
  if (backends.length === 0) return []
  const size = tableSize(backends.length, sizes)
  if (size === undefined) return undefined
  const table = fillTable(backends.map(backendName), size)
  return Array.from(table, (at) => backends[at]!)
}

/** Whether two layouts are the same slots in the same places. */
export function isSameLayout(a: Layout, b: Layout): boolean {
  return (
    a.placed.count === b.placed.count &&
    a.placed.local === b.placed.local &&
    a.placed.lead === b.placed.lead &&
    a.places.length === b.places.length &&
    a.places.every((place, at) => place.id === b.places[at]!.id)
  )
}

/** Backends in an order that does not depend on who asks. */
export function sortByName<Named extends Pick<TrackedBackend, 'address' | 'port'>>(
  backends: readonly Named[],
): Named[] {
  const named = backends.map((backend) => ({ backend, name: backendName(backend) }))
  return named.sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ backend }) => backend)
}
