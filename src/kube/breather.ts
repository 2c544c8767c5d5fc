import { performance } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'

/** Splits long work into short turns of the event loop, so that health answers stay quick. */
export class Breather {
  readonly #turnMs: number
  #started = performance.now()

  constructor(turnMs = 2) {
    this.#turnMs = turnMs
  }

  /** Whether this turn has lasted long enough. */
  due(): boolean {
    return performance.now() - this.#started >= this.#turnMs
  }

  async rest(): Promise<void> {
    await nextTurn()
    this.#started = performance.now()
  }
}
