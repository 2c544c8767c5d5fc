import type { ResolvedService, ServiceName } from '../model/types.ts'
import type { MapOp } from './image.ts'
import type { PlanRefusal, PlanState } from './state.ts'

/** What a pass starts from. */
export interface PassInput {
  readonly changed: Iterable<ServiceName>
  /** The Service as it should be now; undefined: gone. Also asked about Services not in `changed`. */
  readonly resolve: (service: ServiceName) => ResolvedService | undefined
  /** Milliseconds of a clock that never goes back. */
  readonly now: number
}

export interface Pass {
  readonly ops: readonly MapOp[]
  /** Services whose image changed. */
  readonly services: readonly ServiceName[]
}

/** The ordered map writes that bring the changed Services up to date; the state moves on to them. */
export declare function planPass(state: PlanState, input: PassInput): Pass
/** Says that the ops of the last pass are in the maps: what they freed starts its quarantine. */
export declare function commitPass(state: PlanState, now: number): void
/** When a pass could serve something that was refused for want of room; undefined: never. */
export declare function wakeAt(state: PlanState): number | undefined
/** What is refused at the moment and why. */
export declare function refusals(state: PlanState): PlanRefusal[]
