import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { messageOf, ShuntError } from '../errors.ts'
import type { Log } from '../log.ts'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export type Route = () => Answer | Promise<Answer>

/** Answers for paths; what is not here is a 404, what is neither GET nor HEAD a 405. */
export type Routes = Pick<ReadonlyMap<string, Route>, 'get'>

export interface ListenOptions {
  /** Of the server, in logs. */
  readonly name: string
  readonly address: { readonly host: string; readonly port: number }
  readonly routes: Routes
  readonly log: Log
  /** Between attempts to bind an address that is taken; kube-proxy's 5 s unless told. */
  readonly retryMilliseconds?: number
  /** Told about each attempt that failed; 'end' means that there is to be no other. */
  readonly bindFailed?: (error: ShuntError) => 'retry' | 'end'
}

export interface Listener {
  /** Settles when the address is bound. */
  readonly bound: Promise<AddressInfo>
  close(): Promise<void>
}

/** Serves HTTP for as long as the agent runs; an address that is taken is tried again. */
export function listen(options: ListenOptions): Listener {
  const { name, address, log } = options
  const server = createServer((request, response) => void respond(options, request, response))
  server.headersTimeout = 10_000
  server.requestTimeout = 10_000
  server.maxConnections = 256
  let timer: NodeJS.Timeout | undefined
  const bind = (): void => void server.listen(placeOf(address))
  const bound = new Promise<AddressInfo>((resolve) => {
    server.on('listening', () => {
      const at = server.address() as AddressInfo // a TCP server that listens has one
      log.info({ server: name, address: at.address, port: at.port }, 'server started')
      resolve(at)
    })
  })
  server.on('error', (cause) => {
    const err = bindError(options, cause)
    log.error({ server: name, err }, 'server failed')
    if (options.bindFailed?.(err) === 'end') return
    timer = setTimeout(bind, options.retryMilliseconds ?? 5000)
    timer.unref()
  })
  bind()
  return { bound, close: () => close(server, timer) }
}

/* As in Go, any address of one family means all addresses of both. */
function placeOf({ host, port }: ListenOptions['address']): { host?: string; port: number } {
  return host === '0.0.0.0' || host === '::' ? { port } : { host, port }
}

function bindError({ name, address }: ListenOptions, cause: Error): ShuntError {
  const where = address.host.includes(':') ? `[${address.host}]` : address.host
  const what = `serve ${name} on ${where}:${address.port}: ${cause.message}`
  return new ShuntError('KSH_RUNTIME', what, { cause })
}

function close(server: Server, timer: NodeJS.Timeout | undefined): Promise<void> {
  clearTimeout(timer)
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

async function respond(
  { name, routes, log }: ListenOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0]!
  const answer = await answerTo(request.method ?? '', routes.get(path)).catch((err: unknown) => {
    log.error({ server: name, path, err: messageOf(err) }, 'request failed')
    return text(500, 'internal server error\n')
  })
  const length = Buffer.byteLength(answer.body)
  response.writeHead(answer.status, { ...answer.headers, 'Content-Length': length })
  response.end(request.method === 'HEAD' ? undefined : answer.body)
}

async function answerTo(method: string, route: Route | undefined): Promise<Answer> {
  if (route === undefined) return text(404, '404 page not found\n')
  if (method === 'GET' || method === 'HEAD') return route()
  const refused = text(405, 'method not allowed\n')
  return { ...refused, headers: { ...refused.headers, Allow: 'GET, HEAD' } }
}

/** A plain text answer. */
export function text(status: number, body: string): Answer {
  const headers = {
    'Content-Type': 'text/plain; charset=utf-8',
    'X-Content-Type-Options': 'nosniff',
  }
  return { status, headers, body }
}

/** A JSON answer. */
export function json(status: number, body: unknown): Answer {
  const headers = { 'Content-Type': 'application/json', 'X-Content-Type-Options': 'nosniff' }
  return { status, headers, body: JSON.stringify(body) }
}
