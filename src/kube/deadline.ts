/** A signal that aborts with its parent, or when nothing has touched it for some time. */
export interface Deadline {
  readonly signal: AbortSignal
  /** Whether it was the silence that ended it. */
  expired(): boolean
  /** Something arrived: start counting anew, from now on with this limit if given. */
  touch(limitMs?: number): void
  /** Lets go of the timer and the parent; must be called. */
  close(): void
}

/** Opens a deadline below a long-lived signal without leaving listeners behind on it. */
export function openDeadline(parent: AbortSignal, limitMs: number): Deadline {
  const controller = new AbortController()
  let limit = limitMs
  let expired = false
  const expire = () => {
    expired = true
    controller.abort(new Error(`nothing arrived for ${limit / 1000} s`))
  }
  const follow = () => controller.abort(parent.reason)
  let timer = setTimeout(expire, limit)
  if (parent.aborted) follow()
  else parent.addEventListener('abort', follow, { once: true })
  return {
    signal: controller.signal,
    expired: () => expired,
    touch(newLimit = limit) {
      if (newLimit === limit) {
        timer.refresh()
        return
      }
      limit = newLimit
      clearTimeout(timer)
      timer = setTimeout(expire, limit)
    },
    close() {
      clearTimeout(timer)
      parent.removeEventListener('abort', follow)
    },
  }
}
