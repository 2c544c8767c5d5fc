import { apply, MapWriteError, type DatapathMaps } from '../datapath/apply.ts'
import type { ChangeTrigger } from '../kube/change-trigger.ts'
import type { ServiceName } from '../model/types.ts'
import type { MapOp } from '../plan/image.ts'
import { commitPass, failPass, planPass, refusals, wakeAt } from '../plan/plan.ts'
import type { PlanRefusal, PlanState } from '../plan/state.ts'
import type { ClusterState } from './cluster-state.ts'

/** What one pass did. */
export interface PassReport {
  readonly services: number
  /** The Services it looked at, those of failed passes before it included. */
  readonly changed: readonly ServiceName[]
  /** Everything is new: the first pass of an agent. */
  readonly isFirst: boolean
  readonly triggers: readonly ChangeTrigger[]
  readonly ops: readonly MapOp[]
  readonly refusals: readonly PlanRefusal[]
  /** Milliseconds spent in each stage. */
  readonly planTime: number
  readonly applyTime: number
  /** Milliseconds after which waiting frontends may find room; undefined: nothing waits. */
  readonly wakeIn: number | undefined
}

export interface Reconciler {
  readonly cluster: ClusterState
  readonly state: PlanState
  readonly maps: DatapathMaps
  /** Milliseconds that never go back. */
  readonly now: () => number
  /** Restored leftovers have been pruned. */
  hasPruned: boolean
  /** Services that no successful pass has reported yet. */
  readonly unreported: Set<ServiceName>
}

/** One pass: what changed -> what it should be -> which writes -> the maps. */
export function reconcile(reconciler: Reconciler): PassReport | undefined {
  const { cluster, state, now } = reconciler
  if (!cluster.isSynced()) return undefined
  const started = now()
  const taken = cluster.takeChanged()
  for (const service of taken) reconciler.unreported.add(service)
  const pass = planPass(state, {
    changed: taken,
    resolve: cluster.resolve,
    prune: !reconciler.hasPruned,
    now: started,
  })
  const planned = now()
  applyPass(pass.ops, reconciler)
  const applied = now()
  commitPass(state, applied)
  const isFirst = !reconciler.hasPruned
  reconciler.hasPruned = true
  const changed = [...reconciler.unreported]
  reconciler.unreported.clear()
  const wake = wakeAt(state)
  return {
    services: pass.services.length,
    changed,
    isFirst,
    triggers: cluster.takeTriggers(),
    ops: pass.ops,
    refusals: refusals(state),
    planTime: planned - started,
    applyTime: applied - planned,
    wakeIn: wake === undefined ? undefined : Math.max(0, wake - applied),
  }
}

/** A write that fails ends the pass; the next one goes on behind what was written. */
function applyPass(ops: readonly MapOp[], { state, maps }: Reconciler): void {
  try {
    apply(ops, maps)
  } catch (error) {
    if (error instanceof MapWriteError) failPass(state, error.applied)
    throw error
  }
}
