import type { KubeObject } from './types.ts'

/** One version of one object; never changed after it is stored. */
export class Entry {
  readonly key: string
  readonly object: KubeObject
  readonly revision: number
  #text: string | undefined

  constructor(key: string, object: KubeObject, revision: number) {
    this.key = key
    this.object = object
    this.revision = revision
  }

  /** JSON without kind and apiVersion and without the opening brace: list items have neither. */
  text(): string {
    if (this.#text === undefined) {
      const rest = { ...this.object, kind: undefined, apiVersion: undefined }
      this.#text = JSON.stringify(rest).slice(1)
    }
    return this.#text
  }
}

export interface Change {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly revision: number
  readonly entry: Entry
  readonly previous: Entry | undefined
}

/** All objects of one storage, with the changes a watch may still ask for. */
export class Collection {
  readonly #entries = new Map<string, Entry>()
  readonly #watchers = new Set<() => void>()
  readonly #logSize: number
  #log: Change[] = []
  #compacted = 0
  #sorted: readonly Entry[] | undefined

  constructor(logSize: number) {
    this.#logSize = logSize
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key)
  }

  /** Every entry in the order of keys; the array is a snapshot. */
  sorted(): readonly Entry[] {
    this.#sorted ??= [...this.#entries.values()].sort((a, b) =>
      a.key < b.key ? -1 : a.key > b.key ? 1 : 0,
    )
    return this.#sorted
  }

  commit(change: Change): void {
    const { key } = change.entry
    if (change.type === 'DELETED') this.#entries.delete(key)
    else this.#entries.set(key, change.entry)
    this.#sorted = undefined
    this.#log.push(change)
    if (this.#log.length > this.#logSize * 2) this.#trim(this.#log.length - this.#logSize)
    for (const wake of this.#watchers) wake()
  }

  /** Whether the changes after a revision are all still known. */
  remembers(revision: number): boolean {
    return revision >= this.#compacted
  }

  /** Changes after a revision, oldest first. */
  changesAfter(revision: number): readonly Change[] {
    let low = 0
    let high = this.#log.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#log[middle]!.revision > revision) high = middle
      else low = middle + 1
    }
    return low === this.#log.length ? [] : this.#log.slice(low)
  }

  /** Forgets every change up to now. */
  compact(revision: number): void {
    this.#log = []
    this.#compacted = revision
  }

  onChange(wake: () => void): () => void {
    this.#watchers.add(wake)
    return () => this.#watchers.delete(wake)
  }

  #trim(count: number): void {
    this.#compacted = this.#log[count - 1]!.revision
    this.#log = this.#log.slice(count)
  }
}
