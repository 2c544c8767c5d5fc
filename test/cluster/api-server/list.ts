import type { ServerResponse } from 'node:http'
import { createGzip } from 'node:zlib'
import type { Entry } from './collection.ts'
import { drained } from './drained.ts'
import { apiVersionOf } from './kinds.ts'
import { badRequest, expired } from './status.ts'
import type { Store } from './store.ts'
import { tableOf } from './table.ts'
import type { TableOptions } from './table.ts'
import type { Selector } from './selectors.ts'
import type { Kind } from './types.ts'

const compressFrom = 128 * 1024
const snapshotsKept = 100

interface Snapshot {
  readonly revision: number
  readonly entries: readonly Entry[]
}

export interface ListRequest {
  readonly kind: Kind
  readonly selector: Selector
  readonly query: URLSearchParams
  /** Undefined for the plain list; a client asked for a Table otherwise. */
  readonly table: TableOptions | undefined
  readonly gzip: boolean
}

export interface Page {
  readonly revision: number
  readonly entries: readonly Entry[]
  readonly continueToken: string
  readonly remaining: number
}

/** Cuts lists into pages that all show the revision of the first one. */
export class Lists {
  readonly #store: Store
  readonly #snapshots = new Map<string, Snapshot>()
  #next = 0

  constructor(store: Store) {
    this.#store = store
  }

  /** Continue tokens given out so far are no longer valid. */
  compact(): void {
    this.#snapshots.clear()
  }

  page({ kind, selector, query }: ListRequest): Page {
    const token = query.get('continue') ?? ''
    // As in a real server, resourceVersion=0 is served from the cache, which ignores limits.
    const limit = query.get('resourceVersion') === '0' ? 0 : Number(query.get('limit') ?? 0)
    if (!Number.isInteger(limit) || limit < 0) throw badRequest('limit is not a number')
    if (token === '') {
      const all = this.#store
        .collection(kind)
        .sorted()
        .filter((entry) => selector(entry.object))
      return this.#cut({ revision: this.#store.revision, entries: all }, 0, limit)
    }
    const [id = '', offset = ''] = token.split('.')
    const snapshot = this.#snapshots.get(id)
    if (!snapshot)
      throw expired(
        'The provided continue parameter is too old to display a consistent list result.',
      )
    return this.#cut(snapshot, Number(offset), limit, id)
  }

  #cut(snapshot: Snapshot, offset: number, limit: number, id?: string): Page {
    const { revision, entries } = snapshot
    const end = limit === 0 ? entries.length : Math.min(entries.length, offset + limit)
    const remaining = entries.length - end
    const page = { revision, entries: entries.slice(offset, end), remaining, continueToken: '' }
    if (remaining === 0) return page
    return { ...page, continueToken: `${id ?? this.#keep(snapshot)}.${end}` }
  }

  #keep(snapshot: Snapshot): string {
    const id = `c${this.#next++}`
    this.#snapshots.set(id, snapshot)
    const [oldest] = this.#snapshots.keys()
    if (this.#snapshots.size > snapshotsKept && oldest !== undefined) this.#snapshots.delete(oldest)
    return id
  }
}

/** Sends a page, compressed when it is large, without building it in one piece. */
export async function sendPage(
  response: ServerResponse,
  request: ListRequest,
  page: Page,
): Promise<void> {
  const metadata = {
    resourceVersion: String(page.revision),
    ...(page.continueToken !== '' && {
      continue: page.continueToken,
      remainingItemCount: page.remaining,
    }),
  }
  response.setHeader('content-type', 'application/json')
  if (request.table) {
    const objects = page.entries.map((entry) => entry.object)
    response.end(JSON.stringify(tableOf(request.kind, objects, metadata, request.table)))
    return
  }
  const sample = page.entries[0]?.text().length ?? 0
  const gzip = request.gzip && sample * page.entries.length > compressFrom
  if (gzip) response.setHeader('content-encoding', 'gzip')
  const sink = gzip ? createGzip({ level: 1 }) : response
  if (gzip) sink.pipe(response)
  const apiVersion = apiVersionOf(request.kind)
  const head = { kind: `${request.kind.kind}List`, apiVersion, metadata }
  sink.write(`${JSON.stringify(head).slice(0, -1)},"items":[`)
  for (let at = 0; at < page.entries.length && !response.destroyed; at += 500) {
    const texts = page.entries.slice(at, at + 500).map((entry) => `{${entry.text()}`)
    const more = sink.write((at > 0 ? ',' : '') + texts.join(','))
    if (!more) await drained(sink, response)
  }
  sink.end(']}\n')
}
