import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'

/** Waits until a writable takes more, or the client that it is for has gone. */
export async function drained(writable: Writable, response: ServerResponse): Promise<void> {
  if (response.destroyed) return
  const done = new AbortController()
  const { signal } = done
  try {
    await Promise.race([once(writable, 'drain', { signal }), once(response, 'close', { signal })])
  } finally {
    done.abort()
  }
}
