import { hostname } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import { messageOf } from '../errors.ts'
import { ApiError } from './api-error.ts'
import { eventBody, seriesBody } from './event-body.ts'
import type { KubeLog } from './sink.ts'
import type { Transport } from './transport.ts'

/** The object that an Event is about. */
export interface Regarding {
  readonly kind: 'Node' | 'Service' | 'EndpointSlice'
  /** '' for a Node. */
  readonly namespace: string
  readonly name: string
  /** '' when unknown; readers look Events up by it. */
  readonly uid: string
}

/** Something worth telling those who look at an object. */
export interface Tale {
  readonly regarding: Regarding
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly action: string
  readonly note: string
}

/** Tells the cluster. Never fails, never waits; what cannot be told in time is dropped. */
export interface EventRecorder {
  record(tale: Tale): void
  /** From now on there is somebody to tell. */
  connect(transport: Pick<Transport, 'json'>): void
}

export interface EventOptions {
  readonly log: KubeLog
  /** Ends all telling. */
  readonly signal: AbortSignal
  readonly rate: { readonly perSecond: number; readonly burst: number }
  readonly now?: () => number
  readonly requestTimeoutMs?: number
  readonly retryMs?: number
}

/** One Event of ours, however often it was recorded. */
interface Story {
  readonly tale: Tale
  readonly first: number
  /** Of the Event object; undefined before it exists. */
  name: string | undefined
  count: number
  last: number
  toldCount: number
  toldAt: number
}

/** Stories remembered, all together and about one object. */
const maxStories = 1000
const maxStoriesOfOne = 25
/** Repetitions of a story are told this often, and it is forgotten when it has long been over. */
const repeatMs = 5 * 60_000
const forgetMs = 30 * 60_000
const maxAttempts = 3

/** A recorder of Events that speaks as kube-proxy. */
export function createEventRecorder(options: EventOptions): EventRecorder {
  return new Recorder(options)
}

/** A recorder for sources without an API server. */
export const silentRecorder: EventRecorder = {
  record: () => undefined,
  connect: () => undefined,
}

class Recorder implements EventRecorder {
  readonly #options: EventOptions
  readonly #now: () => number
  readonly #stories = new Map<string, Story>()
  readonly #untold = new Set<Story>()
  readonly #instance = `kube-proxy-${hostname()}`
  #transport: Pick<Transport, 'json'> | undefined
  #isTelling = false
  #tokens: number
  #filledAt: number
  #serial = 0
  #wasForbidden = false

  constructor(options: EventOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    this.#tokens = Math.max(1, options.rate.burst)
    this.#filledAt = this.#now()
  }

  record(tale: Tale): void {
    const now = this.#now()
    const key = JSON.stringify(tale)
    const known = this.#stories.get(key)
    const story = known ?? this.#begin(key, tale, now)
    if (story === undefined) return
    story.count += 1
    story.last = now
    const isRepeat = story.toldCount > 1 && now - story.toldAt < repeatMs
    if (!isRepeat) this.#untold.add(story)
    this.#tell()
  }

  connect(transport: Pick<Transport, 'json'>): void {
    this.#transport = transport
    this.#tell()
  }

  #begin(key: string, tale: Tale, now: number): Story | undefined {
    for (const [old, story] of this.#stories)
      if (now - story.last > forgetMs) this.#stories.delete(old)
    const about = JSON.stringify(tale.regarding)
    const ofOne = [...this.#stories.keys()].filter((other) => other.includes(about))
    if (this.#stories.size >= maxStories || ofOne.length >= maxStoriesOfOne) return undefined
    const story = {
      tale,
      first: now,
      name: undefined,
      count: 0,
      last: now,
      toldCount: 0,
      toldAt: 0,
    }
    this.#stories.set(key, story)
    return story
  }

  #tell(): void {
    if (this.#isTelling || this.#transport === undefined) return
    this.#isTelling = true
    this.#tellAll(this.#transport)
      .catch((error: unknown) => this.#giveUp(error))
      .finally(() => {
        this.#isTelling = false
        if (this.#untold.size > 0 && !this.#options.signal.aborted) this.#tell()
      })
  }

  async #tellAll(transport: Pick<Transport, 'json'>): Promise<void> {
    for (const story of this.#untold) {
      await this.#tokenFree()
      this.#untold.delete(story)
      await this.#tellOne(transport, story)
    }
  }

  /** Several attempts at one story; an answer that will not change ends them. */
  async #tellOne(transport: Pick<Transport, 'json'>, story: Story): Promise<void> {
    const { signal, retryMs = 1000, log } = this.#options
    for (let attempt = 1; attempt <= maxAttempts && !signal.aborted; attempt++) {
      try {
        await this.#send(transport, story)
        return
      } catch (error) {
        const status = error instanceof ApiError ? error.status : 0
        const isGone = status === 404 && story.name !== undefined
        if (isGone) story.name = undefined
        const isFinal = status >= 400 && status < 500 && status !== 429 && !isGone
        if (isFinal || attempt === maxAttempts) {
          const level = status === 403 && !this.#wasForbidden ? 'warn' : 'debug'
          this.#wasForbidden ||= status === 403
          log[level]({ reason: messageOf(error), name: story.tale.reason }, 'event not told')
          return
        }
        await wait(attempt * retryMs, undefined, { signal, ref: false })
      }
    }
  }

  async #send(transport: Pick<Transport, 'json'>, story: Story): Promise<void> {
    const { tale, count } = story
    const { signal, requestTimeoutMs = 10_000 } = this.#options
    const namespace = tale.regarding.namespace === '' ? 'default' : tale.regarding.namespace
    const path = `/apis/events.k8s.io/v1/namespaces/${namespace}/events`
    const limited = AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)])
    if (story.name === undefined) {
      const name = this.#nameOf(story)
      const body = eventBody({ ...story, name, namespace, instance: this.#instance })
      await transport.json({ path, method: 'POST', body, signal: limited })
      story.name = name
    } else {
      await transport.json({
        ...{ path: `${path}/${story.name}`, method: 'PATCH', body: seriesBody(story) },
        contentType: 'application/merge-patch+json',
        signal: limited,
      })
    }
    story.toldCount = count
    story.toldAt = this.#now()
  }

  #nameOf({ tale, first }: Story): string {
    const serial = (BigInt(first) * 1_000_000n + BigInt(this.#serial++ % 1_000_000)).toString(16)
    return `${tale.regarding.name.slice(0, 200)}.${serial}`
  }

  /** Waits until the rate allows one more request. */
  async #tokenFree(): Promise<void> {
    const { rate, signal } = this.#options
    const perSecond = rate.perSecond > 0 ? rate.perSecond : 5
    for (;;) {
      const now = this.#now()
      const filled = this.#tokens + ((now - this.#filledAt) / 1000) * perSecond
      this.#tokens = Math.min(Math.max(1, rate.burst), filled)
      this.#filledAt = now
      if (this.#tokens >= 1) break
      const milliseconds = Math.ceil(((1 - this.#tokens) / perSecond) * 1000)
      await wait(milliseconds, undefined, { signal, ref: false })
    }
    this.#tokens -= 1
  }

  #giveUp(error: unknown): void {
    if (this.#options.signal.aborted) return
    this.#options.log.debug({ reason: messageOf(error) }, 'events not told')
  }
}
