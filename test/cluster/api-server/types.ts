export interface ObjectMeta {
  name: string
  namespace?: string
  uid?: string
  resourceVersion?: string
  generation?: number
  creationTimestamp?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
  [field: string]: unknown
}

/** Any API object; fields other than the common ones are whatever the kind has. */
export interface KubeObject {
  apiVersion: string
  kind: string
  metadata: ObjectMeta
  [field: string]: unknown
}

/** Names one object; namespace defaults to `default` for namespaced kinds. */
export interface ObjectRef {
  readonly kind: string
  readonly name: string
  readonly namespace?: string
}

/** One column of `kubectl get`. */
export interface Column {
  readonly name: string
  /** Shown only with `-o wide`. */
  readonly wide?: boolean
  readonly cell: (object: KubeObject) => string | number
}

/** One kind of object in one API group. */
export interface Kind {
  readonly kind: string
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly shortNames: readonly string[]
  readonly namespaced: boolean
  /** Kinds that share a storage are two views of the same objects. */
  readonly storage: string
  /** Fields that a fieldSelector may name besides metadata.name and metadata.namespace. */
  readonly selectableFields: readonly string[]
  readonly columns: readonly Column[]
}
