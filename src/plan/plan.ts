import type { ResolvedService, ServiceName } from '../model/types.ts'
import { noChanges, order } from './changes.ts'
import { compareAge, updateClaims } from './claims.ts'
import { compileService } from './compile.ts'
import { diffLeavings, diffService, type Diff } from './diff.ts'
import { giveExtent } from './extent-pool.ts'
import type { MapOp } from './image.ts'
import { prune } from './prune.ts'
import { nothingFreed, type PlanRefusal, type PlanState } from './state.ts'

/** How long what a pass freed may still be in use by a packet, with a wide margin. */
export const restMilliseconds = 2000

/** What a pass starts from. */
export interface PassInput {
  readonly changed: Iterable<ServiceName>
  /** The Service as it should be now; undefined: gone. Also asked about Services not in `changed`. */
  readonly resolve: (service: ServiceName) => ResolvedService | undefined
  /** All inputs are complete: what no Service wants goes, restored Services included. */
  readonly prune?: boolean
  /** Milliseconds of a clock that never goes back. */
  readonly now: number
}

export interface Pass {
  readonly ops: readonly MapOp[]
  /** The Services that were compared. */
  readonly services: readonly ServiceName[]
}

/**
 * The ordered map writes that bring the changed Services up to date. The state moves on to them
 * at once; what a failed pass left comes first.
 */
export function planPass(state: PlanState, input: PassInput): Pass {
  thaw(state, input.now)
  const work = workOf(state, input)
  const diff: Diff = { state, changes: noChanges(), leavings: { keys: [], addresses: new Set() } }
  for (const { service, resolved } of work) {
    const have = state.services.get(service)
    const compiled = resolved && compileService(state, resolved, have)
    const image = diffService(diff, have, compiled?.image)
    if (image === undefined) state.services.delete(service)
    else state.services.set(service, image)
    if (compiled === undefined || compiled.refusals.length === 0) state.refused.delete(service)
    else state.refused.set(service, compiled.refusals)
  }
  diffLeavings(diff)
  if (input.prune === true) prune(state, diff.changes)
  state.unapplied = [...state.unapplied, ...order(diff.changes)]
  state.leavingRanges = 0
  return { ops: state.unapplied, services: work.map(({ service }) => service) }
}

/** Says that all ops of the last pass are in the maps: what they freed starts to rest. */
export function commitPass(state: PlanState, now: number): void {
  noteKeys(state, state.unapplied)
  state.unapplied = []
  const { indexes, ids, extents } = state.freed
  if (indexes.length + ids.length + extents.length === 0) return
  state.resting.push({ ...state.freed, until: now + restMilliseconds })
  state.freed = nothingFreed()
}

/** Says that a pass ended early: the next one goes on behind the ops that are in the maps. */
export function failPass(state: PlanState, applied: number): void {
  noteKeys(state, state.unapplied.slice(0, applied))
  state.unapplied = state.unapplied.slice(applied)
}

/** From when on a pass could serve what was refused for want of room; undefined: not by waiting. */
export function wakeAt(state: PlanState): number | undefined {
  if (!hasWaiting(state)) return undefined
  return state.hasNewRoom ? 0 : state.resting[0]?.until
}

/** What is refused at the moment and why. */
export function refusals(state: PlanState): PlanRefusal[] {
  return [...state.refused.values()].flat()
}

function noteKeys(state: PlanState, applied: readonly MapOp[]): void {
  state.hasNewRoom ||= applied.some((op) => op.kind === 'unkey' || op.kind === 'unrange')
}

function hasWaiting(state: PlanState): boolean {
  for (const list of state.refused.values()) if (list.some(isWaiting)) return true
  return false
}

function isWaiting(refusal: PlanRefusal): boolean {
  return refusal.reason !== 'taken' && refusal.reason !== 'too-many-backends'
}

function thaw(state: PlanState, now: number): void {
  while (state.resting.length > 0 && state.resting[0]!.until <= now) {
    const { indexes, ids, extents } = state.resting.shift()!
    for (const index of indexes) state.indexes.free.push(index)
    for (const id of ids) state.ids.free.push(id)
    for (const extent of extents) giveExtent(state.extents, extent)
    state.hasNewRoom = true
  }
}

interface Work {
  readonly service: ServiceName
  readonly resolved: ResolvedService | undefined
}

/**
 * The Services to compare, the gone ones first and then by age: the changed ones, those that
 * win or lose a key by that, and those that wait for room when some appeared.
 */
function workOf(state: PlanState, input: PassInput): Work[] {
  const work = new Map<ServiceName, ResolvedService | undefined>()
  const affected = new Set<ServiceName>()
  for (const service of namesOf(state, input)) {
    if (work.has(service)) continue
    const resolved = input.resolve(service)
    work.set(service, resolved)
    for (const other of updateClaims(state.claims, service, resolved)) affected.add(other)
  }
  for (const service of affected) {
    if (!work.has(service)) work.set(service, input.resolve(service))
  }
  const all = [...work].map(([service, resolved]) => ({ service, resolved }))
  return all.sort(compareWork)
}

function* namesOf(state: PlanState, input: PassInput): Iterable<ServiceName> {
  yield* input.changed
  if (input.prune === true) yield* state.services.keys()
  if (!state.hasNewRoom) return
  state.hasNewRoom = false
  for (const [service, list] of state.refused) if (list.some(isWaiting)) yield service
}

function compareWork(a: Work, b: Work): number {
  if (a.resolved === undefined || b.resolved === undefined) {
    return Number(a.resolved !== undefined) - Number(b.resolved !== undefined)
  }
  return compareAge(a.resolved, b.resolved)
}
