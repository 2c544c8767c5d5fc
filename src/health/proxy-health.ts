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
  /** Of the family that was updated last; 0 before the first pass. */
  readonly lastUpdated: number
  readonly currentTime: number
  readonly isHealthy: boolean
  readonly isNodeEligible: boolean
  /** Families that were updated, and those whose first update is late. */
  readonly families: ReadonlyMap<Family, FamilyHealth>
}

interface FamilyState {
  lastUpdated: number
  /** When the oldest change that waits was queued; 0: none waits. */
  oldest: number
}

/**
 * Whether changes reach the datapath in time. Healthy while starting, and while the oldest
 * change that waits is not late; no clock of its own.
 */
export class ProxyHealth {
  readonly #lateAfter: number
  readonly #families = new Map<Family, FamilyState>()
  #isNodeEligible = true

  constructor(families: readonly Family[] = [4, 6], lateAfter = lateAfterMilliseconds) {
    this.#lateAfter = lateAfter
    for (const family of families) this.#families.set(family, { lastUpdated: 0, oldest: 0 })
  }

  /** A change waits to be programmed, or a pass failed and is to be repeated. */
  queued(family: Family, now: number): void {
    const state = this.#families.get(family)
    if (state !== undefined && state.oldest === 0) state.oldest = now
  }

  /** A pass is in the maps. Nothing is queued during a pass, so nothing waits any more. */
  updated(family: Family, now: number): void {
    const state = this.#families.get(family)
    if (state !== undefined) Object.assign(state, { lastUpdated: now, oldest: 0 })
  }

  /** False: the node is being deleted or tainted for removal, so no new traffic should come. */
  setNodeEligible(isEligible: boolean): void {
    this.#isNodeEligible = isEligible
  }

  report(now: number): HealthReport {
    const families = new Map<Family, FamilyHealth>()
    for (const [family, { lastUpdated, oldest }] of this.#families) {
      const isHealthy = oldest === 0 || now - oldest < this.#lateAfter
      if (lastUpdated > 0 || !isHealthy) families.set(family, { lastUpdated, isHealthy })
    }
    const all = [...families.values()]
    return {
      lastUpdated: Math.max(0, ...all.map((family) => family.lastUpdated)),
      currentTime: now,
      isHealthy: all.every((family) => family.isHealthy),
      isNodeEligible: this.#isNodeEligible,
      families,
    }
  }
}
