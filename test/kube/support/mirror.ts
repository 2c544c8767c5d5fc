import { EventEmitter, once } from 'node:events'
import type { KubeLog, ObjectKey, ReflectorHealth, ReflectorSink } from '../../../src/kube/sink.ts'
import type { KubeObject } from '../../cluster/api-server/server.ts'

/** A sink that keeps what it is told and lets a test wait for it. */
export class Mirror implements ReflectorSink {
  readonly objects = new Map<string, KubeObject>()
  /** Every call in order: `+ns/name`, `-ns/name`, `synced`. */
  readonly calls: string[] = []
  syncs = 0
  health: ReflectorHealth | undefined
  readonly warnings: { fields: object; message: string }[] = []
  readonly #changes = new EventEmitter().setMaxListeners(100)

  readonly log: KubeLog = {
    debug: () => undefined,
    info: () => undefined,
    warn: (fields, message) => void this.warnings.push({ fields, message }),
  }

  readonly onHealth = (health: ReflectorHealth): void => {
    this.health = health
    this.#changes.emit('change')
  }

  upsert(raw: unknown): void {
    const object = raw as KubeObject
    const key = `${object.metadata.namespace ?? ''}/${object.metadata.name}`
    this.objects.set(key, object)
    this.calls.push(`+${key}`)
    this.#changes.emit('change')
  }

  remove({ namespace, name }: ObjectKey): void {
    const key = `${namespace}/${name}`
    this.objects.delete(key)
    this.calls.push(`-${key}`)
    this.#changes.emit('change')
  }

  synced(): void {
    this.syncs++
    this.calls.push('synced')
    this.#changes.emit('change')
  }

  /** Resolves as soon as the condition holds; rejects with its text after the time. */
  async until(condition: () => boolean, milliseconds = 10_000): Promise<void> {
    const signal = AbortSignal.timeout(milliseconds)
    while (!condition()) {
      await once(this.#changes, 'change', { signal }).catch((cause: unknown) => {
        throw new Error(`not within ${milliseconds} ms: ${condition.toString()}`, { cause })
      })
    }
  }

  untilSynced(times = 1): Promise<void> {
    return this.until(() => this.syncs >= times)
  }

  names(): string[] {
    return [...this.objects.keys()].sort()
  }
}

/** Polls what cannot be subscribed to, such as the requests a server has seen. */
export async function eventually(condition: () => boolean, milliseconds = 10_000): Promise<void> {
  const end = Date.now() + milliseconds
  while (!condition()) {
    if (Date.now() > end) throw new Error(`not within ${milliseconds} ms: ${condition.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
