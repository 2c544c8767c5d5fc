import { readFileSync, unwatchFile, watchFile } from 'node:fs'

export interface WatchOptions {
  readonly path: string
  /** Told once, when the file reads differently; what it says then does not matter. */
  readonly changed: () => void
  readonly signal: AbortSignal
  readonly intervalMilliseconds?: number
}

/**
 * Notices that a configuration file has another content. Looks at the file itself again and
 * again, as a ConfigMap is replaced by turning a link, which changes nothing in the old file.
 */
export function watchConfigFile(options: WatchOptions): void {
  const { path, changed, signal, intervalMilliseconds: interval = 1000 } = options
  const before = contentOf(path)
  const look = (): void => {
    const now = contentOf(path)
    if (now === undefined || now === before) return
    unwatchFile(path, look)
    changed()
  }
  watchFile(path, { interval, persistent: false }, look)
  signal.addEventListener('abort', () => unwatchFile(path, look), { once: true })
}

/* Undefined while the file is being replaced. */
function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
