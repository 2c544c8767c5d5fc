import type { ApiServer } from './server.ts'
import { badRequest, notFound } from './status.ts'
import type { RequestKind } from './faults.ts'

type Verb = (server: ApiServer, query: URLSearchParams) => unknown

/** What `POST /faults/VERB?...` does; switches take `on=false` to be switched off. */
const verbs: Readonly<Record<string, Verb>> = {
  down: (server, query) => {
    const seconds = Number(query.get('seconds') ?? 0)
    // Answered first: the connection that asks is one of those that end.
    setImmediate(() => void server.down())
    if (seconds > 0) setTimeout(() => void server.up(), seconds * 1000)
  },
  up: (server) => server.up(),
  reset: (server) => void setImmediate(() => server.resetConnections()),
  compact: (server) => server.compact(),
  clear: (server) => server.faults.clear(),
  'silent-watches': (server, query) => {
    server.faults.silentWatches = isOn(query)
    if (isOn(query)) server.faults.blackHoleOpenWatches()
  },
  'close-watches': (server) => server.faults.closeWatches(),
  'truncate-watches': (server) => server.faults.truncateWatches(),
  'fail-watches': (server, query) => server.faults.failWatches(number(query, 'code', 500)),
  'stalled-pages': (server, query) => (server.faults.stalledPages = isOn(query)),
  'expired-pages': (server, query) => (server.faults.expiredPages = isOn(query)),
  'slow-lists': (server, query) => (server.faults.listDelayMs = number(query, 'ms', 1000)),
  'watch-list-disabled': (server, query) => (server.faults.watchListDisabled = isOn(query)),
  'watch-list-unknown': (server, query) => (server.faults.watchListUnknown = isOn(query)),
  status: (server, query) => {
    const on = query.get('on')
    server.faults.respond({
      status: number(query, 'code', 503),
      ...(query.has('retryAfter') && { retryAfter: number(query, 'retryAfter', 1) }),
      ...(query.has('times') && { times: number(query, 'times', 1) }),
      ...(on !== null && { on: on as RequestKind }),
    })
  },
  token: (server, query) => server.setToken(query.get('value') ?? undefined),
}

/** Does what a fault URL says; the answer names the verb. */
export async function runFaultVerb(server: ApiServer, url: URL): Promise<unknown> {
  const name = url.pathname.replace(/^\/faults\//, '')
  const verb = verbs[name]
  if (!verb) throw notFound('faults', `${name}; there are ${Object.keys(verbs).join(', ')}`)
  await verb(server, url.searchParams)
  return { fault: name, done: true }
}

function isOn(query: URLSearchParams): boolean {
  return query.get('on') !== 'false'
}

function number(query: URLSearchParams, name: string, fallback: number): number {
  const value = Number(query.get(name) ?? fallback)
  if (!Number.isFinite(value)) throw badRequest(`${name} is not a number`)
  return value
}
