/** Where one object lives; namespace is '' for cluster-scoped objects. */
export interface ObjectKey {
  readonly namespace: string
  readonly name: string
}

/** Receives one kind of object, from the API server or from a cluster file. */
export interface ReflectorSink {
  /** One object as plain JSON, new or changed; items of a list carry no `kind`. */
  upsert(raw: unknown): void
  remove(key: ObjectKey): void
  /** The first complete list is in, and again after each later complete relist. */
  synced(): void
}

/** How one reflector is doing; a new value each time it changes. */
export interface ReflectorHealth {
  readonly resource: string
  readonly synced: boolean
  readonly objects: number
  /** Milliseconds since the epoch of the last bytes that made sense; 0 before the first. */
  readonly lastEvent: number
  readonly lastError: string | undefined
  /** Lists and watches that were started again after a failure. */
  readonly restarts: number
  /** Exceptions the sink threw; the object concerned is tried again at the next relist. */
  readonly sinkErrors: number
}

/** The part of a pino logger that this folder uses. */
export interface KubeLog {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}
