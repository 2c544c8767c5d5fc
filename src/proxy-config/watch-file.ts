import { readFileSync } from 'node:fs'

export interface WatchOptions {
  readonly path: string
  /** Told once, when the file reads differently; what it says then does not matter. */
  readonly changed: () => void
  readonly signal: AbortSignal
  readonly intervalMilliseconds?: number
}

/**
 * Notices that a configuration file has another content. Reads it again and again: a ConfigMap is
 * replaced by turning a link, and two writes in one tick of the kernel leave one time on a file.
 */
export function watchConfigFile(options: WatchOptions): void {
  const { path, changed, signal, intervalMilliseconds = 1000 } = options
  const before = contentOf(path)
  const timer = setInterval(() => {
    const now = contentOf(path)
    if (now === undefined || now === before) return
    clearInterval(timer)
    changed()
  }, intervalMilliseconds)
  timer.unref()
  signal.addEventListener('abort', () => clearInterval(timer), { once: true })
}

/* Undefined while the file is being replaced. */
function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
