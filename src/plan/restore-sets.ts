import { familyOf } from '../model/address.ts'
import { firstSlot, type FrontendImage, type TrackedBackend } from './image.ts'
import { setOfTables } from './restore-table.ts'
import type { MapDump } from './restore.ts'

/** Frontends whose slots could be read, and those whose slots contradict. */
export interface RestoredSets {
  readonly sound: readonly FrontendImage[]
  readonly refused: readonly FrontendImage[]
}

/**
 * Reads the slots of restored frontends; a slot names its frontend, so extents that overlap are
 * found out. Spares lie behind the set, where no word counts them.
 */
export function readSets(dump: MapDump, candidates: readonly FrontendImage[]): RestoredSets {
  const inOrder = [...candidates].sort((a, b) => a.extent.base - b.extent.base)
  const owners = new Map<number, string>()
  const sound: FrontendImage[] = []
  const refused: FrontendImage[] = []
  for (const image of inOrder) {
    const known =
      image.choice === 'random' ? readSet(dump, image, owners) : readTables(dump, image, owners)
    if (known === undefined) refused.push(image)
    else sound.push(known)
    for (const slot of known?.slots ?? []) owners.set(slot.id, ownerText(image, slot))
  }
  return { sound: withSpares(dump, sound, owners), refused }
}

function readSet(
  dump: MapDump,
  image: FrontendImage,
  owners: ReadonlyMap<number, string>,
): FrontendImage | undefined {
  const slots = readPlaces(dump, image, owners)
  if (slots === undefined || new Set(slots.map(({ id }) => id)).size < slots.length)
    return undefined
  const isInOrder = slots.every((slot, at) => slot.local === at < image.local)
  return isInOrder ? { ...image, slots } : undefined
}

function readTables(
  dump: MapDump,
  image: FrontendImage,
  owners: ReadonlyMap<number, string>,
): FrontendImage | undefined {
  const places = readPlaces(dump, image, owners)
  return places && setOfTables(image, places, dump.limits.tableSizes)
}

function readPlaces(
  dump: MapDump,
  image: FrontendImage,
  owners: ReadonlyMap<number, string>,
): TrackedBackend[] | undefined {
  const places: TrackedBackend[] = []
  for (let at = 0; at < image.placed.count; at++) {
    const slot = readSlot(dump, image, image.extent.base + at, owners)
    if (slot === undefined) return undefined
    places.push(slot)
  }
  return places
}

function withSpares(
  dump: MapDump,
  images: readonly FrontendImage[],
  owners: Map<number, string>,
): FrontendImage[] {
  const starts = images.filter((image) => image.placed.count > 0).map((image) => image.extent.base)
  let next = 0
  return images.map((image) => {
    const slots = [...image.slots]
    const ids = new Set(slots.map((slot) => slot.id))
    let at = image.extent.base + image.placed.count
    let size = image.placed.count
    while (next < starts.length && starts[next]! < at) next++
    // what earlier owners of the index left at the start is not its own
    const end = at < firstSlot ? at : (starts[next] ?? dump.limits.slots)
    for (; at < end; at++) {
      if (dump.slot(at).index !== image.index) break
      const slot = readSlot(dump, image, at, owners)
      if (slot?.alive !== true || ids.has(slot.id)) continue
      owners.set(slot.id, ownerText(image, slot))
      ids.add(slot.id)
      slots.push(slot)
      size = at + 1 - image.extent.base
    }
    const extent = size === 0 ? { base: 0, size } : { ...image.extent, size }
    return { ...image, slots, extent }
  })
}

/** The backend in a slot, or undefined when the slot is stale or belongs to something else. */
function readSlot(
  dump: MapDump,
  image: FrontendImage,
  position: number,
  owners: ReadonlyMap<number, string>,
): TrackedBackend | undefined {
  const { index, id, generation, address, port, local } = dump.slot(position)
  if (index !== image.index || id < 1 || id >= dump.limits.ids) return undefined
  const state = dump.state(id)
  if (state.generation !== generation || familyOf(address) !== image.family) return undefined
  const slot = { id, generation, address, port, local, alive: state.alive }
  const owner = owners.get(id)
  return owner === undefined || owner === ownerText(image, slot) ? slot : undefined
}

function ownerText(image: FrontendImage, slot: TrackedBackend): string {
  return `${image.servicePort} ${image.family} ${slot.address} ${slot.port}`
}
