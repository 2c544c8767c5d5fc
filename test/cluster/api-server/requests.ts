import type { IncomingMessage, ServerResponse } from 'node:http'
import { parse } from 'yaml'
import { discoveryAnswer } from './discovery.ts'
import type { Faults, RequestKind } from './faults.ts'
import { isObject } from './fields.ts'
import { apiVersionOf, keyFor, kinds } from './kinds.ts'
import { Lists, sendPage } from './list.ts'
import type { ListRequest } from './list.ts'
import { applyPatch } from './patch.ts'
import { parseSelector } from './selectors.ts'
import { badRequest, notFound, statusFor } from './status.ts'
import type { Store } from './store.ts'
import { tableOf, wantsTable } from './table.ts'
import type { Kind, KubeObject } from './types.ts'
import { Watch } from './watch.ts'

interface Target {
  readonly kind: Kind
  readonly namespace: string
  readonly name: string
}

interface Call extends Target {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly query: URLSearchParams
}

/** Answers API requests from a store; what it throws is for the caller to send. */
export class Requests {
  readonly lists: Lists
  readonly #store: Store
  readonly #faults: Faults
  readonly #bookmarkMs: number

  constructor(store: Store, faults: Faults, bookmarkMs: number) {
    this.lists = new Lists(store)
    this.#store = store
    this.#faults = faults
    this.#bookmarkMs = bookmarkMs
  }

  async answer(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const target = readTarget(url.pathname)
    const injected = this.#faults.statusOf(kindOfRequest(request, url, target))
    if (injected) throw injected
    if (!target) {
      const found = discoveryAnswer(url.pathname)
      if (found === undefined) throw statusFor(404, 'the server could not find the resource')
      sendJson(response, 200, found)
      return
    }
    const call: Call = { ...target, request, response, query: url.searchParams }
    if (request.method === 'GET') await this.#read(call)
    else if (request.method === 'DELETE') await this.#delete(call)
    else await this.#write(call)
  }

  async #read(call: Call): Promise<void> {
    const { kind, name, query, request, response } = call
    if (name === '') return this.#readMany(call)
    const object = this.#store.get(kind, keyFor(kind, call.namespace, name))
    if (!object) throw notFound(kind.plural, name)
    const table = wantsTable(request.headers.accept ?? '', query)
    const { resourceVersion } = object.metadata
    const body = table ? tableOf(kind, [object], { resourceVersion }, table) : asKind(kind, object)
    sendJson(response, 200, body)
  }

  async #readMany(call: Call): Promise<void> {
    const { kind, query, request, response } = call
    const table = wantsTable(request.headers.accept ?? '', query)
    const selector = parseSelector(kind, query, call.namespace)
    if (query.get('watch') === 'true' || query.get('watch') === '1') {
      const bookmarkMs = this.#bookmarkMs
      const wanted = { kind, selector, query, table, bookmarkMs }
      await new Watch(response, wanted, this.#store, this.#faults).run()
      return
    }
    await this.#faults.delayList()
    if (query.has('continue') && this.#faults.stalledPages) return
    if (query.has('continue') && this.#faults.expiredPages) throw statusFor(410, 'page expired')
    const gzip = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '')
    const list: ListRequest = { kind, selector, query, table, gzip }
    await sendPage(response, list, this.lists.page(list))
  }

  async #delete(call: Call): Promise<void> {
    const { kind, namespace, name, query, response } = call
    await readBody(call.request)
    if (name === '') {
      const selector = parseSelector(kind, query, namespace)
      for (const entry of this.#store.collection(kind).sorted())
        if (selector(entry.object)) this.#store.delete(kind, entry.key)
      sendJson(response, 200, { kind: 'Status', apiVersion: 'v1', status: 'Success' })
      return
    }
    const key = keyFor(kind, namespace, name)
    const uid = this.#store.get(kind, key)?.metadata.uid
    if (uid === undefined) throw notFound(kind.plural, name)
    if (!isDryRun(query)) this.#store.delete(kind, key)
    const details = { name, uid, group: kind.group, kind: kind.plural }
    const body = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details }
    sendJson(response, 200, body)
  }

  async #write(call: Call): Promise<void> {
    const { kind, name, request, response, query } = call
    const text = await readBody(request)
    const dryRun = isDryRun(query)
    if (request.method === 'POST' && name === '') {
      const created = this.#store.create(kind, readObject(call, parse(text)), dryRun)
      sendJson(response, 201, asKind(kind, created))
      return
    }
    if (request.method === 'PUT' && name !== '') {
      const updated = this.#store.update(kind, readObject(call, parse(text)), dryRun)
      sendJson(response, 200, asKind(kind, updated))
      return
    }
    if (request.method !== 'PATCH' || name === '') throw statusFor(405, 'method not allowed')
    const type = (request.headers['content-type'] ?? '').split(';')[0] ?? ''
    const current = this.#store.get(kind, keyFor(kind, call.namespace, name))
    if (!current && type !== 'application/apply-patch+yaml') throw notFound(kind.plural, name)
    const base = current ?? readObject(call, { metadata: { name } })
    const patched = readObject(call, applyPatch(asKind(kind, base), type, text))
    const saved = current
      ? this.#store.update(kind, patched, dryRun)
      : this.#store.create(kind, patched, dryRun)
    sendJson(response, current ? 200 : 201, asKind(kind, saved))
  }
}

export function sendJson(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

async function readBody(request: IncomingMessage): Promise<string> {
  if (request.headers['content-type']?.includes('protobuf') === true)
    throw statusFor(415, 'protobuf is not spoken here; use a manifest (kubectl create -f)')
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

/** The kind, namespace and name in a path; `/status` and `/scale` mean the object itself. */
function readTarget(path: string): Target | undefined {
  const match =
    /^\/(?:api|apis\/([^/]+))\/([^/]+)(?:\/namespaces\/([^/]+)(?=\/))?\/([^/]+)(?:\/([^/]+))?(?:\/status)?$/.exec(
      path,
    )
  if (!match) return undefined
  const [, group = '', version, namespace = '', plural, name = ''] = match
  const kind = kinds.find(
    (one) => one.group === group && one.version === version && one.plural === plural,
  )
  return kind && { kind, namespace: decodeURIComponent(namespace), name: decodeURIComponent(name) }
}

function kindOfRequest(
  request: IncomingMessage,
  url: URL,
  target: Target | undefined,
): RequestKind {
  if (!target || target.name !== '' || request.method !== 'GET') return 'other'
  return url.searchParams.has('watch') ? 'watch' : 'list'
}

/** A body as an object of the kind and namespace that the path names. */
function readObject(call: Call, body: unknown): KubeObject {
  if (!isObject(body) || !isObject(body['metadata'])) throw badRequest('the body is not an object')
  const metadata = { ...body['metadata'] } as KubeObject['metadata']
  const generateName: unknown = metadata['generateName']
  if (typeof generateName === 'string' && !metadata.name)
    metadata.name = generateName + Math.random().toString(36).slice(2, 7)
  if (call.name !== '' && metadata.name !== call.name)
    throw badRequest('the name of the object does not match the name in the path')
  if (call.kind.namespaced) metadata.namespace = call.namespace || metadata.namespace || 'default'
  const object = { ...body, ...identify(call.kind), metadata }
  return call.kind.storage === 'events' ? bothEventShapes(object) : object
}

function asKind(kind: Kind, object: KubeObject): KubeObject {
  return { ...object, ...identify(kind) }
}

function identify(kind: Kind): { kind: string; apiVersion: string } {
  return { kind: kind.kind, apiVersion: apiVersionOf(kind) }
}

/** Events are one storage with two sets of field names; keep both. */
function bothEventShapes(object: KubeObject): KubeObject {
  const pairs = [
    ['message', 'note'],
    ['involvedObject', 'regarding'],
    ['reportingComponent', 'reportingController'],
  ] as const
  const next = { ...object }
  for (const [core, later] of pairs) {
    next[core] ??= next[later]
    next[later] ??= next[core]
  }
  return next
}

function isDryRun(query: URLSearchParams): boolean {
  return query.get('dryRun') === 'All'
}
