import { setTimeout as delay } from 'node:timers/promises'

/** Time and chance, so that tests can own both. */
export interface Clock {
  now(): number
  /** Resolves after the time or as soon as the signal aborts; never rejects. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>
  /** A number in [0, 1). */
  random(): number
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (milliseconds, signal) =>
    delay(milliseconds, undefined, { signal }).catch(() => undefined),
  random: () => Math.random(),
}

/** How long to wait before the next try: full jitter below a limit that doubles with each failure. */
export class Backoff {
  readonly #base: number
  readonly #max: number
  readonly #random: () => number
  #failures = 0

  constructor(baseMs: number, maxMs: number, random: () => number) {
    this.#base = baseMs
    this.#max = maxMs
    this.#random = random
  }

  next(): number {
    const limit = Math.min(this.#max, this.#base * 2 ** this.#failures)
    this.#failures = Math.min(this.#failures + 1, 30)
    return this.#random() * limit
  }

  reset(): void {
    this.#failures = 0
  }
}
