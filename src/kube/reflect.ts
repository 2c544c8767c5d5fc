import { messageOf } from '../errors.ts'
import { ApiError, failureText } from './api-error.ts'
import { Backoff, systemClock } from './backoff.ts'
import type { Clock } from './backoff.ts'
import { KnownObjects } from './known-objects.ts'
import { listPages } from './list-pages.ts'
import { isOlder } from './resource-version.ts'
import type { Resource } from './resources.ts'
import type { KubeLog, ReflectorHealth, ReflectorSink } from './sink.ts'
import type { Transport } from './transport.ts'
import { followWatch } from './watch-stream.ts'
import type { WatchEvent } from './watch-stream.ts'

export type { KubeLog, ObjectKey, ReflectorHealth, ReflectorSink } from './sink.ts'

/** Times and sizes of a reflector; the defaults are for production. */
export interface ReflectTuning {
  /** Silence after which a watch is taken for dead; bookmarks come about each minute. */
  readonly inactivityMs: number
  /** The same while a streaming list has not ended. */
  readonly initialSilenceMs: number
  readonly backoffBaseMs: number
  readonly backoffMaxMs: number
  /** The longest pause while nobody answers: an attempt costs the server nothing. */
  readonly unreachableMaxMs: number
  readonly pageSize: number
  readonly maxObjectBytes: number
}

const defaultTuning: ReflectTuning = {
  inactivityMs: 100_000,
  initialSilenceMs: 10_000,
  backoffBaseMs: 800,
  backoffMaxMs: 30_000,
  unreachableMaxMs: 1_500,
  pageSize: 500,
  maxObjectBytes: 16 * 1024 * 1024,
}

export interface ReflectOptions {
  readonly resource: Resource
  readonly transport: Transport
  readonly sink: ReflectorSink
  readonly signal: AbortSignal
  readonly log: KubeLog
  readonly clock?: Clock
  readonly tuning?: Partial<ReflectTuning>
  readonly onHealth?: (health: ReflectorHealth) => void
}

/** Keeps a sink equal to one collection of the API server until the signal aborts; never throws. */
export function reflect(options: ReflectOptions): Promise<void> {
  return new Reflector(options).run()
}

/** Looks that went back in time before they are believed: the server was restored from a backup. */
const staleLooksBelieved = 3
/** No server may send us away for longer than this. */
const retryAfterLimitMs = 120_000
/** A connection that lasted this long was a good one. */
const settledMs = 10_000
/** Silent watches in a row before the collection is listed again. */
const silentWatchesAllowed = 2

/** One list-and-watch loop: `#position` undefined means that a complete look is needed. */
class Reflector {
  readonly #options: ReflectOptions
  readonly #tuning: ReflectTuning
  readonly #clock: Clock
  readonly #known: KnownObjects
  readonly #backoff: Backoff
  #position: string | undefined
  #newest = ''
  #streams = true
  #listNext = false
  #silentWatches = 0
  #staleLooks = 0
  #lookWentBack = false
  #heard = false
  #synced = false
  #lastEvent = 0
  #lastError: string | undefined
  #restarts = 0

  constructor(options: ReflectOptions) {
    this.#options = options
    this.#tuning = { ...defaultTuning, ...options.tuning }
    this.#clock = options.clock ?? systemClock
    this.#known = new KnownObjects(options.sink, options.log)
    const { backoffBaseMs, backoffMaxMs } = this.#tuning
    this.#backoff = new Backoff(backoffBaseMs, backoffMaxMs, () => this.#clock.random())
  }

  async run(): Promise<void> {
    while (!this.#ended()) {
      const started = this.#clock.now()
      let wait: number
      try {
        wait = await this.#turn(started)
      } catch (error) {
        if (this.#ended()) return
        if (this.#clock.now() - started >= settledMs) this.#backoff.reset()
        wait = this.#recover(error)
      }
      if (wait > 0) await this.#clock.sleep(wait, this.#options.signal)
    }
  }

  #ended(): boolean {
    return this.#options.signal.aborted
  }

  /** One list or one watch; answers how long to wait before the next. */
  async #turn(started: number): Promise<number> {
    this.#heard = false
    if (this.#position === undefined && (this.#listNext || !this.#streams)) {
      await this.#list()
      return 0
    }
    const streaming = this.#position === undefined
    if (streaming) this.#beginLook()
    const end = await followWatch({
      transport: this.#options.transport,
      resource: this.#options.resource,
      resourceVersion: this.#position,
      timeoutSeconds: 300 + Math.floor(this.#clock.random() * 301),
      inactivityMs: this.#tuning.inactivityMs,
      initialSilenceMs: this.#tuning.initialSilenceMs,
      maxObjectBytes: this.#tuning.maxObjectBytes,
      signal: this.#options.signal,
      onEvent: (event) => this.#onEvent(event),
    })
    if (this.#ended()) return 0
    if (this.#position === undefined) {
      this.#listNext = true
      this.#noteFailure(`the streaming list ended early (${end})`)
      return 0
    }
    if (end === 'silent') return this.#noteSilence()
    return this.#pauseAfter(this.#clock.now() - started)
  }

  /** A server that ends watches at once must not be asked again at once. */
  #pauseAfter(lastedMs: number): number {
    if (lastedMs >= settledMs) this.#backoff.reset()
    return lastedMs < 1000 || !this.#heard ? this.#backoff.next() : 0
  }

  async #list(): Promise<void> {
    this.#beginLook()
    const resourceVersion = await listPages({
      transport: this.#options.transport,
      resource: this.#options.resource,
      pageSize: this.#tuning.pageSize,
      inactivityMs: this.#tuning.inactivityMs,
      maxObjectBytes: this.#tuning.maxObjectBytes,
      signal: this.#options.signal,
      onItem: (raw) => this.#observe(raw),
      onRestart: () => this.#beginLook(),
    })
    this.#endLook(resourceVersion)
  }

  #onEvent(event: WatchEvent): void {
    if (event.kind === 'bookmark' && this.#position === undefined) {
      if (!event.initialEventsEnd)
        throw new ApiError('the server does not know sendInitialEvents', { status: 400 })
      this.#endLook(event.resourceVersion)
      return
    }
    if (event.kind === 'upsert') this.#observe(event.raw)
    if (event.kind === 'remove') this.#known.forget(event.raw)
    if (this.#position === undefined) return
    this.#heard = true
    this.#silentWatches = 0
    this.#backoff.reset()
    this.#moveTo(event.resourceVersion)
    this.#noteGood()
  }

  #beginLook(): void {
    this.#lookWentBack = false
    this.#known.beginPass()
  }

  #observe(raw: unknown): void {
    const mayBeStale = this.#staleLooks < staleLooksBelieved
    if (!this.#known.observe(raw, mayBeStale)) this.#lookWentBack = true
  }

  /** A complete look arrived: prune, unless it shows an older world than the one known. */
  #endLook(resourceVersion: string): void {
    const wentBack = this.#lookWentBack || isOlder(resourceVersion, this.#newest)
    if (wentBack && this.#staleLooks < staleLooksBelieved) {
      this.#staleLooks++
      throw new ApiError(`the server answered with an older state (${resourceVersion})`, {
        status: 0,
      })
    }
    this.#staleLooks = 0
    this.#silentWatches = 0
    this.#listNext = false
    this.#newest = ''
    this.#known.endPass()
    this.#synced = true
    this.#moveTo(resourceVersion)
    this.#options.log.debug(
      { resource: this.#options.resource.kind, objects: this.#known.size, resourceVersion },
      'resource synced',
    )
    this.#noteGood()
  }

  #moveTo(resourceVersion: string): void {
    if (resourceVersion === '' || isOlder(resourceVersion, this.#newest)) return
    this.#position = resourceVersion
    this.#newest = resourceVersion
  }

  #noteSilence(): number {
    this.#silentWatches++
    if (this.#silentWatches >= silentWatchesAllowed) this.#position = undefined
    this.#noteFailure(`the watch was silent for ${this.#tuning.inactivityMs / 1000} s`)
    return 0
  }

  /** Decides where to go on after a failure, and answers how long to wait. */
  #recover(error: unknown): number {
    this.#noteFailure(failureText(error))
    const jitter = this.#clock.random() * 1000
    if (!(error instanceof ApiError)) return this.#backoff.next()
    if (error.unreachable) return this.#pauseUnreachable()
    const { status, retryAfterMs, inStream } = error
    const streaming = this.#position === undefined && !this.#listNext && this.#streams
    if (streaming && (status === 400 || status === 422)) {
      this.#streams = false
      return 0
    }
    if (status === 410) {
      this.#position = undefined
      return this.#heard ? jitter : Math.max(jitter, this.#backoff.next())
    }
    const ours = status >= 400 && status < 500 && ![401, 403, 429].includes(status)
    if (inStream || ours || /too large resource version/i.test(error.message))
      this.#position = undefined
    if (retryAfterMs !== undefined && [429, 503, 504].includes(status))
      return Math.min(retryAfterMs, retryAfterLimitMs) + jitter / 4
    return this.#backoff.next()
  }

  /** Jittered in its upper half, so that an outage does not end in a burst of all nodes. */
  #pauseUnreachable(): number {
    const limit = this.#tuning.unreachableMaxMs * (0.5 + this.#clock.random() / 2)
    return Math.min(this.#backoff.next(), limit)
  }

  #noteFailure(error: string): void {
    this.#restarts++
    if (this.#lastError !== error)
      this.#options.log.warn(
        { resource: this.#options.resource.kind, error },
        'resource interrupted',
      )
    this.#lastError = error
    this.#report()
  }

  #noteGood(): void {
    if (this.#lastError !== undefined)
      this.#options.log.info({ resource: this.#options.resource.kind }, 'resource restored')
    this.#lastError = undefined
    this.#lastEvent = this.#clock.now()
    this.#report()
  }

  #report(): void {
    const { resource, onHealth, log } = this.#options
    try {
      onHealth?.({
        resource: resource.kind,
        synced: this.#synced,
        objects: this.#known.size,
        lastEvent: this.#lastEvent,
        lastError: this.#lastError,
        restarts: this.#restarts,
        sinkErrors: this.#known.sinkErrors,
      })
    } catch (error) {
      log.warn({ resource: resource.kind, error: messageOf(error) }, 'health handler failed')
    }
  }
}
