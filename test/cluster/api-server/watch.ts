import type { ServerResponse } from 'node:http'
import type { Change, Entry } from './collection.ts'
import { drained } from './drained.ts'
import type { Faults, WatchFaults } from './faults.ts'
import { apiVersionOf } from './kinds.ts'
import type { Selector } from './selectors.ts'
import { badRequest, expired, StatusError, statusFor } from './status.ts'
import type { Store } from './store.ts'
import { tableOf } from './table.ts'
import type { TableOptions } from './table.ts'
import type { Kind } from './types.ts'

export interface WatchRequest {
  readonly kind: Kind
  readonly selector: Selector
  readonly query: URLSearchParams
  readonly table: TableOptions | undefined
  readonly bookmarkMs: number
}

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'

/** One watch, from its first byte to its end; each change is sent when the client takes it. */
export class Watch implements WatchFaults {
  readonly response: ServerResponse
  readonly #request: WatchRequest
  readonly #store: Store
  readonly #faults: Faults
  readonly #bookmarks: boolean
  readonly #prefix: string
  #cursor: number
  #replay: 'no' | 'plain' | 'streaming'
  #silent: boolean
  #ended = false
  #bookmarkDue = false
  #wake: () => void = () => undefined

  constructor(response: ServerResponse, request: WatchRequest, store: Store, faults: Faults) {
    this.response = response
    this.#request = request
    this.#store = store
    this.#faults = faults
    this.#silent = faults.silentWatches
    const { query, kind } = request
    this.#bookmarks = query.get('allowWatchBookmarks') === 'true'
    this.#prefix = `{"kind":"${kind.kind}","apiVersion":"${apiVersionOf(kind)}",`
    const version = query.get('resourceVersion') ?? ''
    this.#replay = version === '' || version === '0' ? 'plain' : 'no'
    if (query.get('sendInitialEvents') === 'true' && !faults.watchListUnknown)
      this.#replay = this.#checkStreaming()
    this.#cursor = this.#replay === 'no' ? Number(version) : store.revision
    if (!Number.isSafeInteger(this.#cursor) || this.#cursor < 0)
      throw badRequest(`invalid resource version: ${version}`)
  }

  #checkStreaming(): 'streaming' {
    const { query } = this.#request
    if (this.#faults.watchListDisabled)
      throw statusFor(
        422,
        'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: ' +
          'sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled',
      )
    if (query.get('resourceVersionMatch') !== 'NotOlderThan')
      throw statusFor(
        422,
        'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
      )
    return 'streaming'
  }

  /** Serves the watch until its time is up, the client leaves or a fault ends it. */
  async run(): Promise<void> {
    const { response } = this
    const collection = this.#store.collection(this.#request.kind)
    const leave = this.#faults.join(this)
    const unsubscribe = collection.onChange(() => this.#wake())
    const seconds = Number(this.#request.query.get('timeoutSeconds') ?? 0) || 1800
    const end = setTimeout(() => this.close(), seconds * 1000)
    const bookmark = setInterval(() => {
      this.#bookmarkDue = true
      this.#wake()
    }, this.#request.bookmarkMs)
    response.once('close', () => this.close())
    try {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.flushHeaders()
      await this.#serve()
    } finally {
      clearTimeout(end)
      clearInterval(bookmark)
      unsubscribe()
      leave()
      response.end()
    }
  }

  #isOver(): boolean {
    return this.#ended
  }

  silence(): void {
    this.#silent = true
  }

  close(): void {
    this.#ended = true
    this.#wake()
  }

  fail(status: StatusError): void {
    this.#write(`{"type":"ERROR","object":${JSON.stringify(status.body())}}\n`)
    this.close()
  }

  truncate(): void {
    this.#write(`{"type":"ADDED","object":${this.#prefix}"metadata":{"name":"cut`)
    this.close()
  }

  async #serve(): Promise<void> {
    const collection = this.#store.collection(this.#request.kind)
    if (this.#replay !== 'no') await this.#sendInitial(collection.sorted())
    if (this.#faults.closingWatches) return
    while (!this.#ended) {
      if (!collection.remembers(this.#cursor)) {
        this.fail(expired(`too old resource version: ${this.#cursor}`))
        return
      }
      const woken = new Promise<void>((resolve) => (this.#wake = resolve))
      const changes = collection.changesAfter(this.#cursor)
      for (const change of changes) {
        if (this.#isOver()) return
        this.#sendChange(change)
        this.#cursor = change.revision
        await this.#drained()
      }
      if (this.#bookmarkDue) this.#sendBookmark()
      if (changes.length === 0) await woken
    }
  }

  async #sendInitial(entries: readonly Entry[]): Promise<void> {
    for (const entry of entries) {
      if (this.#ended) return
      if (!this.#request.selector(entry.object)) continue
      this.#sendEntry('ADDED', entry)
      await this.#drained()
    }
    if (this.#replay === 'streaming' && this.#bookmarks)
      this.#sendMark(this.#cursor, { 'k8s.io/initial-events-end': 'true' })
  }

  /** A change as this watch's selector sees it: objects enter and leave its view. */
  #sendChange({ type, entry, previous, revision }: Change): void {
    const { selector } = this.#request
    const before = previous !== undefined && selector(previous.object)
    const after = type !== 'DELETED' && selector(entry.object)
    if (after) this.#sendEntry(before ? 'MODIFIED' : 'ADDED', entry)
    else if (before) this.#sendGone(previous, revision)
  }

  /** The object as it last was in view, with the revision at which it left. */
  #sendGone(previous: Entry, revision: number): void {
    const metadata = { ...previous.object.metadata, resourceVersion: String(revision) }
    this.#sendText('DELETED', { ...previous.object, metadata })
  }

  #sendEntry(type: EventType, entry: Entry): void {
    if (this.#request.table) this.#sendText(type, entry.object)
    else this.#write(`{"type":"${type}","object":${this.#prefix}${entry.text()}}\n`)
  }

  #sendText(type: EventType, object: Entry['object']): void {
    const { table, kind } = this.#request
    const { resourceVersion } = object.metadata
    const shown = table
      ? tableOf(kind, [object], { resourceVersion }, table)
      : { ...object, apiVersion: apiVersionOf(kind) }
    this.#write(`${JSON.stringify({ type, object: shown })}\n`)
  }

  #sendBookmark(): void {
    this.#bookmarkDue = false
    if (this.#bookmarks && this.#cursor <= this.#store.revision)
      this.#sendMark(this.#store.revision)
  }

  #sendMark(revision: number, annotations?: Record<string, string>): void {
    const metadata = { resourceVersion: String(revision), ...(annotations && { annotations }) }
    const text = JSON.stringify({ metadata }).slice(1)
    this.#write(`{"type":"BOOKMARK","object":${this.#prefix}${text}}\n`)
  }

  #write(text: string): void {
    if (!this.#silent && !this.#ended) this.response.write(text)
  }

  async #drained(): Promise<void> {
    if (!this.response.writableNeedDrain || this.#ended) return
    await drained(this.response, this.response)
  }
}
