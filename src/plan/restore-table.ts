import type { FrontendImage, TrackedBackend } from './image.ts'
import { backendName, isSameLayout, layoutOf, sortByName } from './layout.ts'

/**
 * The set behind the tables that a restore found in an extent: each backend once, in the order of
 * a compiled set. Tables that we would fill otherwise are used as they are until there is a pass.
 */
export function setOfTables(
  image: FrontendImage,
  places: readonly TrackedBackend[],
  sizes: readonly number[],
): FrontendImage | undefined {
  const { localOnly, placed } = image
  const border = localOnly ? placed.local : placed.lead
  const first = inOrder(places.slice(0, border))
  const second = inOrder(places.slice(border))
  if (first === undefined || second === undefined) return undefined
  const known = new Set(second.map(({ id }) => id))
  const lead = first.filter(({ id }) => !known.has(id))
  const here = [...lead, ...second.filter(({ local }) => local)]
  const slots = [...here, ...second.filter(({ local }) => !local)]
  const set = { slots, count: slots.length, local: here.length, lead: localOnly ? 0 : lead.length }
  if (!first.every(({ local }) => local)) return undefined
  const ours = layoutOf({ ...image, ...set, choice: 'maglev' }, sizes)
  const isOurs = ours !== undefined && isSameLayout(ours, { places, placed })
  return { ...image, ...set, choice: isOurs ? 'maglev' : 'unknown' }
}

/** Each backend once, sorted by name; undefined when two slots of one contradict. */
function inOrder(places: readonly TrackedBackend[]): TrackedBackend[] | undefined {
  const byId = new Map<number, TrackedBackend>()
  for (const place of places) {
    const known = byId.get(place.id)
    if (known === undefined) byId.set(place.id, place)
    else if (backendName(known) !== backendName(place) || known.local !== place.local) {
      return undefined
    }
  }
  return sortByName([...byId.values()])
}
