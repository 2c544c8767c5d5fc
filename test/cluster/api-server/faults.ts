import type { ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { statusFor } from './status.ts'
import type { StatusError } from './status.ts'

export type RequestKind = 'list' | 'watch' | 'other'

export interface StatusFault {
  readonly status: number
  /** Which requests; default all of them. */
  readonly on?: RequestKind
  /** Seconds, sent as a header and in the Status. */
  readonly retryAfter?: number
  /** How many requests; default until cleared. */
  readonly times?: number
}

/** Everything that can be wrong with this server, each until it is switched off again. */
export class Faults {
  /** Accept watches and keep them open without ever sending anything. */
  silentWatches = false
  /** Answer the second and later pages of lists with nothing at all. */
  stalledPages = false
  /** Answer the second and later pages of lists with 410. */
  expiredPages = false
  /** Milliseconds every list waits before its first byte. */
  listDelayMs = 0
  /** Refuse sendInitialEvents as servers without the feature do. */
  watchListDisabled = false
  /** Do not know sendInitialEvents at all, as servers before 1.27. */
  watchListUnknown = false
  /** End every watch at once after its first bytes. */
  closingWatches = false
  readonly #statuses: (StatusFault & { left: number })[] = []
  readonly #sessions = new Set<WatchFaults>()

  /** The next requests of a kind get this status. */
  respond(fault: StatusFault): void {
    this.#statuses.push({ ...fault, left: fault.times ?? Infinity })
  }

  /** Everything works again; watches that were made silent stay so. */
  clear(): void {
    this.silentWatches = false
    this.stalledPages = false
    this.expiredPages = false
    this.listDelayMs = 0
    this.watchListDisabled = false
    this.watchListUnknown = false
    this.closingWatches = false
    this.#statuses.length = 0
  }

  /** The status this request is to get instead of its answer. */
  statusOf(kind: RequestKind): StatusError | undefined {
    const fault = this.#statuses.find(
      (one) => one.left > 0 && (one.on === undefined || one.on === kind),
    )
    if (!fault) return undefined
    fault.left--
    return statusFor(fault.status, `fault injected: ${fault.status}`, fault.retryAfter)
  }

  async delayList(): Promise<void> {
    if (this.listDelayMs > 0) await delay(this.listDelayMs)
  }

  /** Open watches; each joins when it begins and leaves when it ends. */
  get watches(): ReadonlySet<WatchFaults> {
    return this.#sessions
  }

  join(watch: WatchFaults): () => void {
    this.#sessions.add(watch)
    return () => this.#sessions.delete(watch)
  }

  /** Stops sending on the watches that are open now; their connections stay. */
  blackHoleOpenWatches(): void {
    for (const watch of this.#sessions) watch.silence()
  }

  /** Sends an ERROR event on every open watch and ends it. */
  failWatches(code: number, message = `fault injected: ${code}`): void {
    for (const watch of this.#sessions) watch.fail(statusFor(code, message))
  }

  /** Ends every open watch in the middle of an event. */
  truncateWatches(): void {
    for (const watch of this.#sessions) watch.truncate()
  }

  /** Ends every open watch as a server does when its time is up. */
  closeWatches(): void {
    for (const watch of this.#sessions) watch.close()
  }
}

/** What can be done to one open watch. */
export interface WatchFaults {
  readonly response: ServerResponse
  silence(): void
  fail(status: StatusError): void
  truncate(): void
  close(): void
}
