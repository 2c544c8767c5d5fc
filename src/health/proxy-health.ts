import type { Family } from '../model/types.ts'

/** Twice kube-proxy's sync period: how long a change may wait before the proxy is unhealthy. */
export const lateAfterMilliseconds = 60_000

export interface FamilyHealth {
  /** Milliseconds since the epoch of the last pass; 0 before the first. */
  readonly lastUpdated: number
  readonly isHealthy: boolean
}

/** How the proxy is doing; times are milliseconds since the epoch. */
export interface HealthReport {
  readonly lastUpdated: number
  readonly currentTime: number
  readonly isHealthy: boolean
  readonly isNodeEligible: boolean
  readonly families: ReadonlyMap<Family, FamilyHealth>
}

/**
 * Whether changes reach the datapath in time. Healthy while starting, and while the oldest
 * change that waits is not late; no clock of its own.
 */
export class ProxyHealth {
  readonly #lateAfter: number
  readonly #families = new Map<Family, { lastUpdated: number; oldest: number; newest: number }>()
  #isNodeEligible = true

  constructor(families: readonly Family[] = [4, 6], lateAfter = lateAfterMilliseconds) {
    this.#lateAfter = lateAfter
    for (const family of families) {
      this.#families.set(family, { lastUpdated: 0, oldest: 0, newest: 0 })
    }
  }

  /** A change waits to be programmed. */
  queued(family: Family, now: number): void {
    const state = this.#families.get(family)
    if (state === undefined) return
    if (state.oldest === 0) state.oldest = now
    state.newest = now
  }

  /** A pass that began at `startedAt` is in the maps; what was queued later still waits. */
  updated(family: Family, now: number, startedAt = now): void {
    const state = this.#families.get(family)
    if (state === undefined) return
    state.lastUpdated = now
    state.oldest = state.newest > startedAt ? state.newest : 0
  }

  /** False: the node is being deleted or tainted for removal, so no new traffic should come. */
  setNodeEligible(isEligible: boolean): void {
    this.#isNodeEligible = isEligible
  }

  report(now: number): HealthReport {
    const families = new Map<Family, FamilyHealth>()
    for (const [family, { lastUpdated, oldest }] of this.#families) {
      const isHealthy = oldest === 0 || now - oldest < this.#lateAfter
      families.set(family, { lastUpdated, isHealthy })
    }
    const late = [...families.values()].filter((family) => !family.isHealthy)
    const isHealthy = late.length === 0
    return {
      // readers of kube-proxy's answer take an old time for illness
      lastUpdated: isHealthy ? now : Math.min(...late.map((family) => family.lastUpdated)),
      currentTime: now,
      isHealthy,
      isNodeEligible: this.#isNodeEligible,
      families,
    }
  }
}
