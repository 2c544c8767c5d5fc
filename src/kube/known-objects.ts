import { messageOf } from '../errors.ts'
import { property, textProperty } from './parse-raw.ts'
import { isOlder } from './resource-version.ts'
import type { KubeLog, ObjectKey, ReflectorSink } from './sink.ts'

interface Known {
  uid: string
  /** '' when the sink failed on it, so that the next list tries again. */
  resourceVersion: string
  /** The last pass that saw it. */
  pass: number
}

/** Which objects the sink has been told of, and in which version: all that a reflector remembers. */
export class KnownObjects {
  readonly #sink: ReflectorSink
  readonly #log: KubeLog
  readonly #known = new Map<string, Known>()
  #pass = 0
  /** Exceptions the sink threw. */
  sinkErrors = 0

  constructor(sink: ReflectorSink, log: KubeLog) {
    this.#sink = sink
    this.#log = log
  }

  get size(): number {
    return this.#known.size
  }

  /** A new complete look at the collection begins. */
  beginPass(): void {
    this.#pass++
  }

  /** The look is complete: forget what it did not see, then say so. */
  endPass(): void {
    for (const [text, known] of this.#known)
      if (known.pass !== this.#pass) this.#forget(text, splitKey(text))
    this.#tell('synced', '', () => this.#sink.synced())
  }

  /**
   * Passes an object on unless it is unchanged or, when `mayBeStale`, older than what is known.
   * Returns false when it was older.
   */
  observe(raw: unknown, mayBeStale: boolean): boolean {
    const identity = readMetadata(raw)
    if (!identity) {
      this.#log.warn({}, 'object without a name ignored')
      return true
    }
    const { key, uid, resourceVersion } = identity
    const text = `${key.namespace}/${key.name}`
    const known = this.#known.get(text)
    if (known) {
      known.pass = this.#pass
      if (mayBeStale && isOlder(resourceVersion, known.resourceVersion)) return false
      if (known.uid !== uid) this.#forget(text, key)
      else if (known.resourceVersion === resourceVersion && resourceVersion !== '') return true
    }
    const told = this.#tell('upsert', text, () => this.#sink.upsert(raw))
    this.#known.set(text, {
      uid,
      resourceVersion: told ? resourceVersion : '',
      pass: this.#pass,
    })
    return true
  }

  /** The object is gone, unless the news is older than what is known. */
  forget(raw: unknown): void {
    const identity = readMetadata(raw)
    if (!identity) return
    const text = `${identity.key.namespace}/${identity.key.name}`
    const known = this.#known.get(text)
    if (known && !isOlder(identity.resourceVersion, known.resourceVersion))
      this.#forget(text, identity.key)
  }

  #forget(text: string, key: ObjectKey): void {
    this.#known.delete(text)
    this.#tell('remove', text, () => this.#sink.remove(key))
  }

  #tell(what: string, object: string, call: () => void): boolean {
    try {
      call()
      return true
    } catch (error) {
      this.sinkErrors++
      this.#log.warn({ object, call: what, error: messageOf(error) }, 'object handler failed')
      return false
    }
  }
}

function readMetadata(
  raw: unknown,
): { key: ObjectKey; uid: string; resourceVersion: string } | undefined {
  const metadata = property(raw, 'metadata')
  const name = textProperty(metadata, 'name')
  if (name === '') return undefined
  return {
    key: { namespace: textProperty(metadata, 'namespace'), name },
    uid: textProperty(metadata, 'uid'),
    resourceVersion: textProperty(metadata, 'resourceVersion'),
  }
}

function splitKey(text: string): ObjectKey {
  const slash = text.indexOf('/')
  return { namespace: text.slice(0, slash), name: text.slice(slash + 1) }
}
