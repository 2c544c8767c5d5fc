import { renameSync, writeFileSync } from 'node:fs'
import type { KubeObject } from './objects.ts'

/** A cluster file whose every change appears at once, by rename. */
export class ClusterFile {
  readonly path: string
  readonly #objects = new Map<string, KubeObject>()

  constructor(path: string) {
    this.path = path
    this.#write()
  }

  /** Adds objects, or replaces those of the same kind, namespace and name; one write for all. */
  put(...objects: readonly KubeObject[]): void {
    for (const object of objects) this.#objects.set(keyOf(object), object)
    this.#write()
  }

  /** Removes objects; one write for all. */
  remove(...objects: readonly KubeObject[]): void {
    for (const object of objects) this.#objects.delete(keyOf(object))
    this.#write()
  }

  /** Removes and adds in one write. */
  change(change: { remove: readonly KubeObject[]; put: readonly KubeObject[] }): void {
    for (const object of change.remove) this.#objects.delete(keyOf(object))
    this.put(...change.put)
  }

  /** What the file holds now. */
  all(): KubeObject[] {
    return [...this.#objects.values()]
  }

  #write(): void {
    const list = { apiVersion: 'v1', kind: 'List', items: this.all() }
    writeFileSync(`${this.path}.new`, `${JSON.stringify(list, null, 1)}\n`)
    renameSync(`${this.path}.new`, this.path)
  }
}

function keyOf({ kind, metadata: { namespace = '', name } }: KubeObject): string {
  return `${kind}/${namespace}/${name}`
}
