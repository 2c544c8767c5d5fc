import type { Extent } from './image.ts'

/**
 * Ranges of the `backends` array to give away. A freed range is kept under its size and mostly
 * taken again whole; only when nothing else is left are all free ranges sorted and joined.
 */
export interface ExtentPool {
  readonly limit: number
  /** Slots before this one are never given away. */
  readonly first: number
  /** Slots from here on were never taken. */
  next: number
  readonly free: Map<number, number[]>
}

/** A pool of which no slot is taken yet. */
export function createExtentPool(limit: number, first = 0): ExtentPool {
  return { limit, first, next: Math.min(first, limit), free: new Map() }
}

/** A range of `size` slots, or undefined when there is none; size 0 takes no room. */
export function takeExtent(pool: ExtentPool, size: number): Extent | undefined {
  if (size === 0) return { base: 0, size: 0 }
  const base = takeExact(pool, size) ?? takeNext(pool, size) ?? split(pool, size)
  if (base !== undefined) return { base, size }
  join(pool)
  const joined = takeExact(pool, size) ?? takeNext(pool, size) ?? split(pool, size)
  return joined === undefined ? undefined : { base: joined, size }
}

/** Gives a range back. */
export function giveExtent(pool: ExtentPool, extent: Extent): void {
  if (extent.size === 0) return
  const bases = pool.free.get(extent.size)
  if (bases === undefined) pool.free.set(extent.size, [extent.base])
  else bases.push(extent.base)
}

/** Marks ranges as taken in a fresh pool; they must not overlap. */
export function reserveExtents(pool: ExtentPool, taken: readonly Extent[]): void {
  let end = pool.next
  for (const extent of [...taken].sort((a, b) => a.base - b.base)) {
    if (extent.size === 0) continue
    giveExtent(pool, { base: end, size: Math.max(0, extent.base - end) })
    end = extent.base + extent.size
  }
  pool.next = end
}

/** How many slots are free. */
export function freeSlots(pool: ExtentPool): number {
  let free = pool.limit - pool.next
  for (const [size, bases] of pool.free) free += size * bases.length
  return free
}

function takeExact(pool: ExtentPool, size: number): number | undefined {
  const bases = pool.free.get(size)
  const base = bases?.pop()
  if (bases?.length === 0) pool.free.delete(size)
  return base
}

function takeNext(pool: ExtentPool, size: number): number | undefined {
  if (pool.next + size > pool.limit) return undefined
  const base = pool.next
  pool.next += size
  return base
}

/** Takes the start of the smallest free range that is larger. */
function split(pool: ExtentPool, size: number): number | undefined {
  let best: number | undefined
  for (const other of pool.free.keys()) {
    if (other > size && (best === undefined || other < best)) best = other
  }
  if (best === undefined) return undefined
  const base = takeExact(pool, best)!
  giveExtent(pool, { base: base + size, size: best - size })
  return base
}

function join(pool: ExtentPool): void {
  const extents: Extent[] = []
  for (const [size, bases] of pool.free) for (const base of bases) extents.push({ base, size })
  extents.sort((a, b) => a.base - b.base)
  pool.free.clear()
  let run: Extent | undefined
  for (const extent of extents) {
    if (run !== undefined && run.base + run.size === extent.base) {
      run = { base: run.base, size: run.size + extent.size }
      continue
    }
    if (run !== undefined) giveExtent(pool, run)
    run = extent
  }
  if (run === undefined) return
  if (run.base + run.size === pool.next) pool.next = run.base
  else giveExtent(pool, run)
}
