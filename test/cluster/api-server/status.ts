/** An answer other than success, as the Status object a client is sent. */
export class StatusError extends Error {
  readonly code: number
  readonly reason: string
  readonly details: Record<string, unknown>
  readonly retryAfter: number | undefined

  constructor(
    code: number,
    reason: string,
    message: string,
    more: { details?: Record<string, unknown>; retryAfter?: number } = {},
  ) {
    super(message)
    this.code = code
    this.reason = reason
    this.retryAfter = more.retryAfter
    this.details = {
      ...more.details,
      ...(more.retryAfter !== undefined && { retryAfterSeconds: more.retryAfter }),
    }
  }

  body(): Record<string, unknown> {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      details: this.details,
      code: this.code,
    }
  }
}

const reasons: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  409: 'Conflict',
  410: 'Expired',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
}

/** The Status a real server would use for an HTTP code. */
export function statusFor(code: number, message: string, retryAfter?: number): StatusError {
  return new StatusError(
    code,
    reasons[code] ?? 'Unknown',
    message,
    retryAfter === undefined ? {} : { retryAfter },
  )
}

export function badRequest(message: string): StatusError {
  return statusFor(400, message)
}

export function notFound(plural: string, name: string): StatusError {
  return new StatusError(404, 'NotFound', `${plural} "${name}" not found`, {
    details: { name, kind: plural },
  })
}

export function expired(message: string): StatusError {
  return statusFor(410, message)
}
