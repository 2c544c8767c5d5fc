import type { FrontendKey } from '../model/types.ts'
import type { Changes } from './changes.ts'
import { removeKey } from './diff.ts'
import { UNUSED_PORT } from './image.ts'
import { diffRanges } from './source-ranges.ts'
import { unknownIndex, type PlanState } from './state.ts'

/** Notes the removal of what a restore found and no Service has taken up since. */
export function prune(state: PlanState, changes: Changes): void {
  const { garbage } = state
  for (const key of garbage.keys.values())
    if (isUnwanted(state, key)) removeKey(state, changes, key)
  garbage.keys.clear()
  for (const bytes of garbage.strangeKeys.splice(0)) {
    changes.unkeys.push({ kind: 'unkey-bytes', bytes })
  }
  for (const bytes of garbage.strangeRanges.splice(0)) {
    changes.unranges.push({ kind: 'unrange-bytes', bytes })
    state.leavingRanges++
  }
  for (const id of garbage.ids.splice(0)) {
    changes.deaths.push({ kind: 'state', id, generation: state.generations[id]!, alive: false })
    state.freed.ids.push(id)
  }
  for (const index of garbage.indexes.splice(0)) {
    diffRanges({ state, changes }, index)
    changes.unnames.push({ kind: 'unname', index })
    state.freed.indexes.push(index)
  }
  for (const extent of garbage.extents.splice(0)) state.freed.extents.push(extent)
}

function isUnwanted(state: PlanState, key: FrontendKey): boolean {
  const index = state.keys.get(key.text)
  if (index === UNUSED_PORT) return !state.vips.has(key.address)
  return index === unknownIndex
}
