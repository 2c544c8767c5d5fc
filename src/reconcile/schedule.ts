/** When passes run: soon after a change, never two at once, again after a failure. */
export interface Schedule {
  /** There is something to do. */
  nudge(): void
  /** Run no later than in this many milliseconds, change or not. */
  wakeIn(milliseconds: number): void
  stop(): void
}

export interface ScheduleOptions {
  /** Throws when the pass failed and is to be repeated. */
  readonly run: () => void
  readonly failed: (error: unknown) => void
  /** Changes within this time share a pass. */
  readonly gatherMilliseconds: number
  /** Between the starts of two passes; 0 unless told. */
  readonly leastMilliseconds?: number
  readonly retryMilliseconds: number
  readonly now: () => number
}

/**
 * The first change after a quiet time waits only until the events at hand are in; under a storm
 * passes start at least as far apart as the last one took, so that events are read in between.
 */
export function createSchedule(options: ScheduleOptions): Schedule {
  let timer: NodeJS.Timeout | undefined
  let due = Infinity
  let busyUntil = 0
  const { leastMilliseconds = 0 } = options
  const arm = (at: number): void => {
    if (at >= due) return
    clearTimeout(timer)
    due = at
    timer = setTimeout(pass, Math.max(0, at - options.now()))
  }
  const pass = (): void => {
    due = Infinity
    const started = options.now()
    try {
      options.run()
    } catch (error) {
      options.failed(error)
      arm(options.now() + options.retryMilliseconds)
    }
    const ended = options.now()
    busyUntil = Math.max(ended + (ended - started), started + leastMilliseconds)
  }
  return {
    nudge: () => arm(Math.max(options.now() + options.gatherMilliseconds, busyUntil)),
    wakeIn: (milliseconds) => arm(options.now() + milliseconds),
    stop: () => clearTimeout(timer),
  }
}
