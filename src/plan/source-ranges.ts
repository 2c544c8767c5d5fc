import type { Changes } from './changes.ts'
import type { FrontendImage } from './image.ts'
import type { PlanState } from './state.ts'

/** The ranges that the frontends of one Service will add. */
export interface RangeBudget {
  added: number
}

interface RangeFit {
  readonly state: PlanState
  readonly budget: RangeBudget
  readonly refuse: (left: number) => void
}

/**
 * The ranges a frontend gets of those it wants; undefined: it asks for none. Where the map is
 * full the rest let nobody in, and `refuse` is told how many.
 */
export function fitRanges(
  { state, budget, refuse }: RangeFit,
  index: number,
  wanted: readonly string[] | undefined,
): readonly string[] | undefined {
  if (wanted === undefined || wanted.length === 0) return wanted
  const known = state.ranges.get(index)
  const missing = wanted.filter((range) => known?.has(range) !== true)
  const room = Math.max(0, state.limits.ranges - countRanges(state) - budget.added)
  if (missing.length <= room) {
    budget.added += missing.length
    return wanted
  }
  budget.added += room
  refuse(missing.length - room)
  const left = new Set(missing.slice(room))
  return wanted.filter((range) => !left.has(range))
}

/** Notes which ranges an index gets and loses; none: it has no frontend, or one for everybody. */
export function diffRanges(
  { state, changes }: { readonly state: PlanState; readonly changes: Changes },
  index: number,
  wanted: FrontendImage['sourceRanges'] = [],
): void {
  const known = state.ranges.get(index)
  if (known === undefined && wanted.length === 0) return
  const now = new Set(wanted)
  for (const range of now) {
    if (known?.has(range) !== true) changes.ranges.push({ kind: 'range', index, range })
  }
  for (const range of known ?? []) {
    if (now.has(range)) continue
    changes.unranges.push({ kind: 'unrange', index, range })
    state.leavingRanges++
  }
  if (now.size > 0) state.ranges.set(index, now)
  else state.ranges.delete(index)
  state.rangeCount += now.size - (known?.size ?? 0)
}

/** The entries of `source_ranges` until the writes of this pass are done. */
function countRanges({ rangeCount, leavingRanges, garbage }: PlanState): number {
  return rangeCount + leavingRanges + garbage.strangeRanges.length
}
