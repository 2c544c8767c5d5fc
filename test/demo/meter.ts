import type { DialReport } from '../cluster/traffic-reports.ts'

/** What a stream of requests did in its newest second. */
export interface Second {
  readonly answered: number
  readonly failed: number
  readonly backends: ReadonlyMap<string, number>
}

const nothing: Second = { answered: 0, failed: 0, backends: new Map() }

/** Turns the growing totals of a stream's reports into rates. */
export class Meter {
  #last: DialReport | undefined
  #second = nothing
  #lowest: number | undefined

  /** Takes the newest report; the same one twice changes nothing. */
  feed(report: DialReport | undefined): void {
    const last = this.#last
    if (report === undefined || report.seconds === last?.seconds) return
    this.#last = report
    if (last === undefined) return
    const seconds = report.seconds - last.seconds
    this.#second = {
      answered: (report.ok - last.ok) / seconds,
      failed: (report.failures - last.failures) / seconds,
      backends: new Map(
        Object.entries(report.backends).map(
          ([name, count]) => [name, (count - (last.backends[name] ?? 0)) / seconds] as const,
        ),
      ),
    }
    if (report.event === 'second')
      this.#lowest = Math.min(this.#lowest ?? Infinity, this.#second.answered)
  }

  /** Rates of the newest full second. */
  get second(): Second {
    return this.#second
  }

  /** The fewest answers in any one second. */
  get lowest(): number {
    return this.#lowest ?? 0
  }

  /** Totals so far. */
  get report(): DialReport | undefined {
    return this.#last
  }
}

/** Rates of several streams together. */
export function addSeconds(seconds: readonly Second[]): Second {
  const backends = new Map<string, number>()
  for (const second of seconds) {
    for (const [name, rate] of second.backends) backends.set(name, (backends.get(name) ?? 0) + rate)
  }
  return {
    answered: seconds.reduce((sum, { answered }) => sum + answered, 0),
    failed: seconds.reduce((sum, { failed }) => sum + failed, 0),
    backends,
  }
}
