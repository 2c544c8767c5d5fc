import { ShuntError } from '../errors.ts'

interface Details {
  readonly status: number
  readonly retryAfterMs?: number | undefined
  /** The error came inside a watch that had been answered with 200. */
  readonly inStream?: boolean
  /** Nobody answered at all. */
  readonly unreachable?: boolean
}

/** The API server said no; status 0 means that what it said made no sense. */
export class ApiError extends ShuntError {
  readonly status: number
  readonly retryAfterMs: number | undefined
  readonly inStream: boolean
  readonly unreachable: boolean
  constructor(message: string, details: Details, options?: { cause?: unknown }) {
    super('KSH_API', message, options)
    this.name = 'ApiError'
    this.status = details.status
    this.retryAfterMs = details.retryAfterMs
    this.inStream = details.inStream ?? false
    this.unreachable = details.unreachable ?? false
  }
}

/** The error that a Status object (or whatever came instead of one) describes. */
export function errorFromStatus(what: string, raw: unknown, known: Details): ApiError {
  const status = (typeof raw === 'object' && raw !== null ? raw : {}) as {
    message?: unknown
    code?: unknown
    details?: { retryAfterSeconds?: unknown } | null
  }
  const seconds = status.details?.retryAfterSeconds
  const fromBody = typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : undefined
  const code = known.status || (typeof status.code === 'number' ? status.code : 0)
  const text = typeof status.message === 'string' ? status.message.slice(0, 500) : 'no message'
  return new ApiError(`${what}: ${code} ${text}`, {
    ...known,
    status: code,
    retryAfterMs: known.retryAfterMs ?? fromBody,
  })
}

const undiciHints: Readonly<Record<string, string>> = {
  UND_ERR_CONNECT_TIMEOUT: 'no connection within the time limit',
  UND_ERR_HEADERS_TIMEOUT: 'no answer within the time limit',
}

/** A short text for a failed request, with the system's code (ECONNREFUSED ...) where there is one. */
export function failureText(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const hint = undiciHints[code]
  if (hint !== undefined) return hint
  if (error instanceof AggregateError && error.message === '')
    return error.errors.map(failureText).join('; ')
  return code === '' || code.startsWith('KSH_') || error.message.includes(code)
    ? error.message
    : `${error.message} (${code})`
}
