import { createHash } from 'node:crypto'
import { watch } from 'node:fs'
import type { FSWatcher } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf, ShuntError } from '../errors.ts'
import { systemClock } from './backoff.ts'
import { Breather } from './breather.ts'
import { readClusterObjects } from './cluster-objects.ts'
import type { ClusterObject } from './cluster-objects.ts'
import { KnownObjects } from './known-objects.ts'
import type { Resource } from './resources.ts'
import { selects } from './selects.ts'
import type { KubeLog, ReflectorHealth, ReflectorSink } from './sink.ts'

export interface ClusterFileOptions {
  readonly path: string
  /** Which objects go where; objects that no target wants are ignored. */
  readonly targets: readonly { readonly resource: Resource; readonly sink: ReflectorSink }[]
  readonly signal: AbortSignal
  readonly log: KubeLog
  /** Health of the file as a whole; `restarts` counts reloads that failed. */
  readonly onHealth?: (health: ReflectorHealth) => void
  /** Calm after the last write before the file is read. */
  readonly debounceMs?: number
  /** How often to look even when the file system reports nothing. */
  readonly pollMs?: number
}

/**
 * Keeps sinks equal to a file of objects until the signal aborts.
 * Rejects with KSH_CONFIG only when the first load fails; later faults keep what was there.
 */
export async function followClusterFile(options: ClusterFileOptions): Promise<void> {
  const follower = new ClusterFile(options)
  await follower.load()
  await follower.follow()
}

class ClusterFile {
  readonly #options: ClusterFileOptions
  readonly #known: readonly KnownObjects[]
  #stamp = ''
  #hash = ''
  #lastLoad = 0
  #lastError: string | undefined
  #failures = 0

  constructor(options: ClusterFileOptions) {
    this.#options = options
    this.#known = options.targets.map(({ sink }) => new KnownObjects(sink, options.log))
  }

  /** Reads the file if it changed and brings the sinks up to it. */
  async load(): Promise<void> {
    const { path } = this.#options
    const stamp = await stampOf(path)
    if (stamp === this.#stamp) return
    const text = await readText(path)
    this.#stamp = stamp
    const hash = hashOf(text)
    if (hash === this.#hash) {
      this.#noteGood()
      return
    }
    if (text.trim() === '' && this.#size() > 0) throw emptied(path)
    const objects = readClusterObjects(path, text)
    const chosen = this.#options.targets.map(({ resource }) => this.#choose(resource, objects))
    this.#hash = hash
    this.#logIgnored(objects)
    for (const [index, wanted] of chosen.entries()) await this.#show(this.#known[index]!, wanted)
    this.#noteGood()
    this.#options.log.info({ path, objects: this.#size() }, 'cluster file loaded')
  }

  /** Reloads after each change until the signal aborts. */
  async follow(): Promise<void> {
    const { signal, pollMs = 5000 } = this.#options
    const bell = new Bell()
    const ring = () => bell.ring()
    const watcher = this.#watchDirectory(ring)
    const poll = setInterval(ring, pollMs)
    signal.addEventListener('abort', ring, { once: true })
    try {
      while (!signal.aborted) {
        await this.#calm()
        await this.#reload()
        await bell.rung()
      }
    } finally {
      clearInterval(poll)
      watcher?.close()
      signal.removeEventListener('abort', ring)
    }
  }

  /** Waits until the file has stayed the same for a while, so that no half-written one is read. */
  async #calm(): Promise<void> {
    const { path, signal, debounceMs = 50 } = this.#options
    let before = this.#stamp
    for (;;) {
      const now = await stampOf(path)
      if (now === before || signal.aborted) return
      before = now
      await systemClock.sleep(debounceMs, signal)
    }
  }

  async #reload(): Promise<void> {
    try {
      await this.load()
    } catch (error) {
      const message = messageOf(error)
      if (message === this.#lastError) return
      this.#failures++
      this.#lastError = message
      this.#options.log.warn({ path: this.#options.path, error: message }, 'cluster file refused')
      this.#report()
    }
  }

  /** The directory, not the file: an editor replaces the file by renaming another over it. */
  #watchDirectory(onEvent: () => void): FSWatcher | undefined {
    try {
      const watcher = watch(dirname(this.#options.path), onEvent)
      watcher.on('error', () => watcher.close())
      return watcher
    } catch (error) {
      const { path, log } = this.#options
      log.warn({ path, error: messageOf(error) }, 'cluster file polled only')
      return undefined
    }
  }

  #choose(resource: Resource, objects: readonly ClusterObject[]): unknown[] {
    const chosen: unknown[] = []
    for (const object of objects) {
      if (object.kind !== resource.kind) continue
      if (object.apiVersion !== resource.apiVersion)
        throw new ShuntError(
          'KSH_CONFIG',
          `${this.#options.path}: line ${object.line}: ${object.kind} ${object.name}: ` +
            `apiVersion is ${object.apiVersion}, only ${resource.apiVersion} is understood`,
        )
      if (selects(resource, object.raw)) chosen.push(completed(resource, object))
    }
    return chosen
  }

  async #show(known: KnownObjects, objects: readonly unknown[]): Promise<void> {
    const breather = new Breather()
    known.beginPass()
    for (const object of objects) {
      known.observe(object, false)
      if (breather.due()) await breather.rest()
    }
    known.endPass()
  }

  #logIgnored(objects: readonly ClusterObject[]): void {
    const { targets, log } = this.#options
    for (const { kind, namespace, name } of objects)
      if (!targets.some(({ resource }) => resource.kind === kind))
        log.debug({ kind, object: `${namespace}/${name}` }, 'object of another kind ignored')
  }

  #noteGood(): void {
    this.#lastError = undefined
    this.#lastLoad = Date.now()
    this.#report()
  }

  #size(): number {
    return this.#known.reduce((sum, known) => sum + known.size, 0)
  }

  #report(): void {
    this.#options.onHealth?.({
      resource: this.#options.path,
      synced: this.#lastLoad > 0,
      objects: this.#size(),
      lastEvent: this.#lastLoad,
      lastError: this.#lastError,
      restarts: this.#failures,
      sinkErrors: this.#known.reduce((sum, known) => sum + known.sinkErrors, 0),
    })
  }
}

/** The object as the API server would have it: with namespace, uid and a version per content. */
function completed(resource: Resource, { raw, namespace, name }: ClusterObject): unknown {
  const metadata = raw['metadata'] as Readonly<Record<string, unknown>>
  const place = resource.namespaced ? namespace || 'default' : ''
  return {
    ...raw,
    metadata: {
      uid: `${resource.kind}/${place}/${name}`,
      ...metadata,
      namespace: place,
      resourceVersion: `file-${hashOf(JSON.stringify(raw))}`,
    },
  }
}

/** Somebody is about to write it, or lost it; whoever wants no objects can say so. */
function emptied(path: string): ShuntError {
  return new ShuntError('KSH_CONFIG', `${path}: is empty; no objects at all are "[]"`)
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new ShuntError('KSH_CONFIG', `${path}: ${messageOf(cause)}`, { cause })
  }
}

async function stampOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs } = await stat(path, { bigint: true })
    return `${dev}:${ino}:${size}:${mtimeNs}`
  } catch {
    return 'missing'
  }
}

/** Remembers that it was rung while nobody listened. */
class Bell {
  #waiting = Promise.withResolvers<undefined>()

  ring(): void {
    this.#waiting.resolve(undefined)
  }

  async rung(): Promise<void> {
    await this.#waiting.promise
    this.#waiting = Promise.withResolvers<undefined>()
  }
}

function hashOf(text: string): string {
  return createHash('sha1').update(text).digest('hex')
}
