import { pipeline } from 'node:stream'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { Agent, request } from 'undici'
import { ApiError, errorFromStatus, failureText } from './api-error.ts'
import type { ClusterAccess } from './kubeconfig.ts'
import { Credentials } from './credentials.ts'

export interface KubeRequest {
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Sent as JSON. */
  readonly body?: unknown
  readonly contentType?: string
  /** Ask for a compressed answer; watches are never compressed. */
  readonly compressed?: boolean
  readonly signal: AbortSignal
}

export interface KubeResponse {
  readonly status: number
  /** Bytes of the answer, decompressed. */
  readonly body: AsyncIterable<Buffer> & { destroy(error?: Error): unknown }
}

/** One API server: connections, certificates and tokens are its business alone. */
export interface Transport {
  readonly server: string
  /** The answer to a request; rejects with an ApiError for anything but 2xx. */
  open(request: KubeRequest): Promise<KubeResponse>
  /** One small request and its JSON answer. */
  json(request: KubeRequest): Promise<unknown>
  /** Ends every connection at once. */
  close(): Promise<void>
}

export interface TransportOptions {
  readonly version?: string
  readonly connectTimeoutMs?: number
  readonly headersTimeoutMs?: number
  readonly tokenCacheMs?: number
  readonly now?: () => number
  /** Told about each answer, or that none came. */
  readonly observed?: (request: {
    readonly method: string
    readonly host: string
    readonly status: number | undefined
    readonly seconds: number
  }) => void
}

/** A transport for one API server over one pool of connections. */
export function createTransport(access: ClusterAccess, options: TransportOptions = {}): Transport {
  return new UndiciTransport(access, options)
}

class UndiciTransport implements Transport {
  readonly server: string
  readonly #base: URL
  readonly #options: TransportOptions
  readonly #credentials: Credentials
  readonly #agents = new Set<Agent>()
  #current: { agent: Agent; tls: object } | undefined

  constructor(access: ClusterAccess, options: TransportOptions) {
    this.server = access.server
    this.#base = new URL(access.server)
    this.#options = options
    this.#credentials = new Credentials(
      access,
      options.tokenCacheMs ?? 60_000,
      options.now ?? Date.now,
    )
  }

  async open(wanted: KubeRequest): Promise<KubeResponse> {
    let response = await this.#send(wanted)
    if (response.statusCode === 401 && this.#credentials.refreshToken()) {
      await response.body.dump({ limit: 65_536 })
      response = await this.#send(wanted)
    }
    const { statusCode: status, headers } = response
    const body =
      headers['content-encoding'] === 'gzip' ? gunzip(response.body) : (response.body as Readable)
    if (status >= 200 && status < 300) return { status, body }
    const what = `${wanted.method ?? 'GET'} ${wanted.path}`
    throw errorFromStatus(what, parseOrUndefined(await readText(body, 65_536)), {
      status,
      retryAfterMs: retryAfter(headers['retry-after'], this.#options.now ?? Date.now),
    })
  }

  async json(wanted: KubeRequest): Promise<unknown> {
    const { body } = await this.open(wanted)
    const answer = parseOrUndefined(await readText(body, 16 * 1024 * 1024))
    if (answer === undefined)
      throw new ApiError(`${wanted.path}: the answer is not JSON`, { status: 0 })
    return answer
  }

  async close(): Promise<void> {
    this.#current = undefined
    await Promise.all([...this.#agents].map((agent) => agent.destroy()))
    this.#agents.clear()
  }

  async #send(wanted: KubeRequest) {
    const query = new URLSearchParams(wanted.query).toString()
    const prefix = this.#base.pathname === '/' ? '' : this.#base.pathname
    const started = performance.now()
    try {
      const url = this.#base.origin + prefix + wanted.path + (query && `?${query}`)
      const response = await request(url, {
        dispatcher: this.#agent(),
        method: wanted.method ?? 'GET',
        headers: this.#headers(wanted),
        body: wanted.body === undefined ? null : JSON.stringify(wanted.body),
        signal: wanted.signal,
      })
      this.#observe(wanted, response.statusCode, started)
      return response
    } catch (cause) {
      if (wanted.signal.aborted) throw wanted.signal.reason
      this.#observe(wanted, undefined, started)
      const details = { status: 0, unreachable: true }
      throw new ApiError(`${this.server}: ${failureText(cause)}`, details, { cause })
    }
  }

  #observe({ method = 'GET' }: KubeRequest, status: number | undefined, started: number): void {
    const seconds = (performance.now() - started) / 1000
    this.#options.observed?.({ method, host: this.#base.host, status, seconds })
  }

  #headers(wanted: KubeRequest): Record<string, string> {
    const authorization = this.#credentials.authorization()
    return {
      accept: 'application/json',
      'user-agent': `kube-shunt/${this.#options.version ?? 'dev'}`,
      ...(wanted.compressed && { 'accept-encoding': 'gzip' }),
      ...(authorization !== undefined && { authorization }),
      ...(wanted.body !== undefined && {
        'content-type': wanted.contentType ?? 'application/json',
      }),
    }
  }

  /** The pool for the certificates as they are now; running answers keep their old one. */
  #agent(): Agent {
    const tls = this.#credentials.tls()
    if (this.#current?.tls === tls) return this.#current.agent
    const old = this.#current?.agent
    const agent = new Agent({
      allowH2: false,
      bodyTimeout: 0,
      headersTimeout: this.#options.headersTimeoutMs ?? 60_000,
      connect: {
        ...tls,
        timeout: this.#options.connectTimeoutMs ?? 10_000,
        keepAlive: true,
        keepAliveInitialDelay: 30_000,
      },
    })
    this.#agents.add(agent)
    this.#current = { agent, tls }
    if (old) void old.close().finally(() => this.#agents.delete(old))
    return agent
  }
}

function gunzip(body: Readable): Readable {
  const plain = createGunzip()
  pipeline(body, plain, () => undefined)
  return plain
}

async function readText(body: KubeResponse['body'], maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    chunks.push(chunk)
    if (bytes > maxBytes) break
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function retryAfter(header: string | string[] | undefined, now: () => number): number | undefined {
  if (typeof header !== 'string') return undefined
  const seconds = Number(header)
  const wait = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - now()
  return Number.isFinite(wait) && wait > 0 ? wait : undefined
}
