import { createServer as createHttpServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { once } from 'node:events'
import { runFaultVerb } from './fault-verbs.ts'
import { Faults } from './faults.ts'
import { kindOf, keyFor } from './kinds.ts'
import { Requests, sendJson } from './requests.ts'
import { StatusError, statusFor } from './status.ts'
import { Store } from './store.ts'
import type { KubeObject, ObjectRef } from './types.ts'

export type { KubeObject, ObjectRef } from './types.ts'

export interface ApiServerOptions {
  /** 0, the default, takes any free port. */
  readonly port?: number
  readonly host?: string
  /** Serve https; clientCa asks for client certificates. */
  readonly tls?: { readonly key: string; readonly cert: string; readonly clientCa?: string }
  /** The bearer token every request must have; none by default. */
  readonly token?: string
  /** A second plain-http port that takes only fault verbs, also while the server is down. */
  readonly controlPort?: number
  readonly serviceCidrs?: readonly string[]
  /** How often quiet watches get a bookmark; default a minute, as a real server. */
  readonly bookmarkMs?: number
  /** Changes remembered per kind; default 10 000. */
  readonly logSize?: number
}

/** A request this server has seen. */
export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Local port of the client, which tells connections apart. */
  readonly port: number
}

/** Starts a Kubernetes API server that lives in this process. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const server = new ApiServer(options)
  await server.start()
  return server
}

const requestsKept = 5000

export class ApiServer {
  readonly faults = new Faults()
  readonly store: Store
  /** The latest requests, oldest first. */
  readonly requests: SeenRequest[] = []
  readonly #options: ApiServerOptions
  readonly #answers: Requests
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  #control: Server | undefined
  #port: number
  #token: string | undefined
  #tls: ApiServerOptions['tls']

  constructor(options: ApiServerOptions) {
    this.#options = options
    this.#port = options.port ?? 0
    this.#token = options.token
    this.#tls = options.tls
    const serviceCidrs = options.serviceCidrs ?? ['10.96.0.0/16', 'fd00:10:96::/112']
    this.store = new Store({ logSize: options.logSize ?? 10_000, serviceCidrs })
    this.#answers = new Requests(this.store, this.faults, options.bookmarkMs ?? 60_000)
    for (const name of ['default', 'kube-system'])
      this.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
    this.put({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'ServiceCIDR',
      metadata: { name: 'kubernetes' },
      spec: { cidrs: serviceCidrs },
    })
  }

  /** http(s)://host:port, without a slash at the end. */
  get url(): string {
    const host = this.#options.host ?? '127.0.0.1'
    const authority = host.includes(':') ? `[${host}]` : host
    return `${this.#tls ? 'https' : 'http'}://${authority}:${this.#port}`
  }

  get controlUrl(): string {
    const address = this.#control?.address() as AddressInfo | null | undefined
    return address ? `http://127.0.0.1:${address.port}` : ''
  }

  /** Creates or replaces an object; answers it as stored. */
  put(object: KubeObject): KubeObject {
    return this.store.put(object)
  }

  /** Deletes an object; false when it did not exist. */
  delete(ref: ObjectRef): boolean {
    return this.store.deleteRef(ref)
  }

  get(ref: ObjectRef): KubeObject | undefined {
    const kind = kindOf(ref)
    return this.store.get(kind, keyFor(kind, ref.namespace, ref.name))
  }

  list(kind: string): readonly KubeObject[] {
    return this.store.list(kindOf({ kind }))
  }

  /** Puts many objects; watches see them as single changes. */
  bulkLoad(objects: Iterable<KubeObject>): void {
    for (const object of objects) this.store.put(object)
  }

  /** From now on requests need this token, or none. */
  setToken(token: string | undefined): void {
    this.#token = token
  }

  async start(): Promise<void> {
    await this.up()
    if (this.#options.controlPort === undefined) return
    this.#control = createHttpServer((request, response) => {
      void this.#controlAnswer(request, response)
    })
    this.#control.listen(this.#options.controlPort, '127.0.0.1')
    await once(this.#control, 'listening')
  }

  /** Listens (again), on the port it had before. */
  async up(): Promise<void> {
    if (this.#server) return
    const listener = (request: IncomingMessage, response: ServerResponse) => {
      void this.#answer(request, response)
    }
    const tls = this.#tls
    const server = tls
      ? createHttpsServer(
          { ...tls, ca: tls.clientCa, requestCert: tls.clientCa !== undefined },
          listener,
        )
      : createHttpServer(listener)
    server.keepAliveTimeout = 120_000
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    server.listen(this.#port, this.#options.host ?? '127.0.0.1')
    await once(server, 'listening')
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
  }

  /** Refuses connections and ends those there are. */
  async down(): Promise<void> {
    const server = this.#server
    if (!server) return
    this.#server = undefined
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    this.resetConnections()
    await closed
  }

  /** Uses another certificate from the next connection on. */
  async setTls(tls: NonNullable<ApiServerOptions['tls']>): Promise<void> {
    await this.down()
    this.#tls = tls
    await this.up()
  }

  /** Ends every connection with a TCP reset. */
  resetConnections(): void {
    for (const socket of this.#sockets) {
      if (this.#tls) socket.destroy()
      else socket.resetAndDestroy()
    }
  }

  /** Open connections of clients. */
  get connections(): number {
    return this.#sockets.size
  }

  /** Forgets the past: open watches end with 410, and so do old versions and pages. */
  compact(): void {
    this.store.revision++
    this.store.compact()
    this.#answers.lists.compact()
    this.faults.failWatches(410, 'too old resource version')
  }

  async close(): Promise<void> {
    this.faults.clear()
    await this.down()
    const control = this.#control
    if (!control) return
    control.closeAllConnections()
    await new Promise<void>((resolve) => control.close(() => resolve()))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://server')
    try {
      if (url.pathname.startsWith('/faults/')) {
        sendJson(response, 200, await runFaultVerb(this, url))
        return
      }
      this.#remember(request, url)
      if (this.#token !== undefined && request.headers.authorization !== `Bearer ${this.#token}`)
        throw statusFor(401, 'Unauthorized')
      await this.#answers.answer(request, response, url)
    } catch (error) {
      sendError(response, error)
    }
  }

  async #controlAnswer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const url = new URL(request.url ?? '/', 'http://control')
      sendJson(response, 200, await runFaultVerb(this, url))
    } catch (error) {
      sendError(response, error)
    }
  }

  #remember(request: IncomingMessage, url: URL): void {
    if (this.requests.length >= requestsKept) this.requests.splice(0, requestsKept / 2)
    this.requests.push({
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      port: request.socket.remotePort ?? 0,
    })
  }
}

function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const status =
    error instanceof StatusError
      ? error
      : statusFor(500, error instanceof Error ? error.message : String(error))
  if (status.retryAfter !== undefined) response.setHeader('retry-after', String(status.retryAfter))
  sendJson(response, status.code, status.body())
}
