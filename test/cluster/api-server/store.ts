import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { Collection, Entry } from './collection.ts'
import { isObject } from './fields.ts'
import { keyFor, keyOf, kindOf, kinds } from './kinds.ts'
import { ServiceAddresses } from './service-addresses.ts'
import { notFound, StatusError, statusFor } from './status.ts'
import type { Kind, KubeObject, ObjectRef } from './types.ts'

export interface StoreOptions {
  /** Changes each collection remembers; older watches get 410. */
  readonly logSize: number
  readonly serviceCidrs: readonly string[]
}

/** All objects of the server and the one counter that orders their changes. */
export class Store {
  readonly #collections = new Map<string, Collection>()
  readonly #addresses: ServiceAddresses
  revision = 1000

  constructor(options: StoreOptions) {
    this.#addresses = new ServiceAddresses(options.serviceCidrs)
    for (const { storage } of kinds)
      if (!this.#collections.has(storage))
        this.#collections.set(storage, new Collection(options.logSize))
  }

  collection(kind: Kind): Collection {
    return this.#collections.get(kind.storage)!
  }

  get(kind: Kind, key: string): KubeObject | undefined {
    return this.collection(kind).get(key)?.object
  }

  list(kind: Kind): readonly KubeObject[] {
    return this.collection(kind)
      .sorted()
      .map((entry) => entry.object)
  }

  create(kind: Kind, object: KubeObject, dryRun = false): KubeObject {
    const key = keyOf(kind, object)
    if (this.get(kind, key))
      throw new StatusError(
        409,
        'AlreadyExists',
        `${kind.plural} "${object.metadata.name}" already exists`,
        { details: { name: object.metadata.name, kind: kind.plural } },
      )
    return this.#write(kind, object, dryRun)
  }

  /** Replaces an object; a resourceVersion in it must be the current one. */
  update(kind: Kind, object: KubeObject, dryRun = false): KubeObject {
    const { name, resourceVersion = '' } = object.metadata
    const current = this.get(kind, keyOf(kind, object))
    if (!current) throw notFound(kind.plural, name)
    if (resourceVersion !== '' && resourceVersion !== current.metadata.resourceVersion)
      throw new StatusError(
        409,
        'Conflict',
        `Operation cannot be fulfilled on ${kind.plural} "${name}": the object has been modified; ` +
          'please apply your changes to the latest version and try again',
        { details: { name, kind: kind.plural } },
      )
    return this.#write(kind, object, dryRun)
  }

  /** Creates or replaces, whatever version is there. */
  put(object: KubeObject): KubeObject {
    return this.#write(kindOf(object), object, false)
  }

  /** Deletes an object; undefined when it did not exist. */
  delete(kind: Kind, key: string): KubeObject | undefined {
    const collection = this.collection(kind)
    const previous = collection.get(key)
    if (!previous) return undefined
    const revision = ++this.revision
    const object = {
      ...previous.object,
      metadata: { ...previous.object.metadata, resourceVersion: String(revision) },
    }
    const entry = new Entry(key, object, revision)
    collection.commit({ type: 'DELETED', revision, entry, previous })
    if (kind.kind === 'Service') this.#addresses.release(previous.object)
    if (kind.kind === 'Namespace') this.#deleteContents(object.metadata.name)
    return object
  }

  deleteRef(ref: ObjectRef): boolean {
    const kind = kindOf(ref)
    return this.delete(kind, keyFor(kind, ref.namespace, ref.name)) !== undefined
  }

  /** Forgets all past changes; watches and pages that need them get 410. */
  compact(): void {
    for (const collection of this.#collections.values()) collection.compact(this.revision)
  }

  /** Goes on counting from a lower revision, as after a restore from a backup. */
  rewind(revision: number): void {
    this.revision = revision
    for (const collection of this.#collections.values()) collection.compact(0)
  }

  #deleteContents(namespace: string): void {
    for (const kind of kinds.filter((one) => one.namespaced))
      for (const entry of this.collection(kind).sorted())
        if (entry.object.metadata.namespace === namespace) this.delete(kind, entry.key)
  }

  #write(kind: Kind, object: KubeObject, dryRun: boolean): KubeObject {
    const collection = this.collection(kind)
    const key = keyOf(kind, object)
    const previous = collection.get(key)
    const next = this.#complete(kind, object, previous?.object, dryRun)
    if (previous && isDeepStrictEqual(next, previous.object)) return previous.object
    if (dryRun) return next
    const revision = ++this.revision
    next.metadata.resourceVersion = String(revision)
    const entry = new Entry(key, next, revision)
    collection.commit({ type: previous ? 'MODIFIED' : 'ADDED', revision, entry, previous })
    return next
  }

  /** The object as it is stored: what the server owns is filled in or kept. */
  #complete(
    kind: Kind,
    object: KubeObject,
    previous: KubeObject | undefined,
    dryRun: boolean,
  ): KubeObject {
    if (!isObject(object.metadata) || typeof object.metadata.name !== 'string')
      throw statusFor(422, `${kind.plural}: metadata.name is required`)
    const { namespace, ...metadata } = object.metadata
    const next: KubeObject = {
      ...object,
      metadata: {
        ...metadata,
        ...(kind.namespaced && { namespace: namespace ?? 'default' }),
        uid: previous?.metadata.uid ?? metadata.uid ?? randomUUID(),
        creationTimestamp:
          previous?.metadata.creationTimestamp ?? metadata.creationTimestamp ?? timestamp(),
        ...(previous && { resourceVersion: previous.metadata.resourceVersion! }),
      },
    }
    return kind.kind === 'Service' ? this.#addresses.complete(next, previous, dryRun) : next
  }
}

function timestamp(): string {
  return `${new Date().toISOString().slice(0, 19)}Z`
}
