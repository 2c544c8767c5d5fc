import type { Kind, KubeObject } from './types.ts'

export interface TableOptions {
  /** What each row carries of its object: Metadata (default), Object or None. */
  readonly includeObject: string
}

/** Whether the client would rather have a Table, and with what in its rows. */
export function wantsTable(accept: string, query: URLSearchParams): TableOptions | undefined {
  if (!/\bas=Table\b/.test(accept.split(',')[0] ?? '')) return undefined
  return { includeObject: query.get('includeObject') ?? 'Metadata' }
}

/** Objects as the rows that `kubectl get` prints. */
export function tableOf(
  kind: Kind,
  objects: readonly KubeObject[],
  metadata: Readonly<Record<string, unknown>>,
  options: TableOptions,
): unknown {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: kind.columns.map((column) => ({
      name: column.name,
      type: 'string',
      format: column.name === 'Name' ? 'name' : '',
      description: '',
      priority: column.wide === true ? 1 : 0,
    })),
    rows: objects.map((object) => ({
      cells: kind.columns.map((column) => column.cell(object)),
      ...(options.includeObject !== 'None' && { object: rowObject(object, options) }),
    })),
  }
}

function rowObject(object: KubeObject, options: TableOptions): unknown {
  if (options.includeObject === 'Object') return object
  const { metadata } = object
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata }
}
