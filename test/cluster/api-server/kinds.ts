import { columns } from './columns.ts'
import type { Kind, KubeObject } from './types.ts'

const eventFields = [
  'reason',
  'type',
  'involvedObject',
  'regarding',
  'source',
  'reportingComponent',
]

function kind(name: string, apiVersion: string, plural: string, more: Partial<Kind> = {}): Kind {
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion]
  return {
    kind: name,
    group: group ?? '',
    version: version ?? '',
    plural,
    shortNames: [],
    namespaced: true,
    storage: plural,
    selectableFields: [],
    columns: columns[plural] ?? [],
    ...more,
  }
}

/** Every kind this server knows; the first of a name is the one meant by a plain ObjectRef. */
export const kinds: readonly Kind[] = [
  kind('Service', 'v1', 'services', {
    shortNames: ['svc'],
    selectableFields: ['spec.clusterIP', 'spec.type'],
  }),
  kind('EndpointSlice', 'discovery.k8s.io/v1', 'endpointslices'),
  kind('Node', 'v1', 'nodes', {
    shortNames: ['no'],
    namespaced: false,
    selectableFields: ['spec.unschedulable'],
  }),
  kind('Namespace', 'v1', 'namespaces', {
    shortNames: ['ns'],
    namespaced: false,
    selectableFields: ['status.phase'],
  }),
  kind('ConfigMap', 'v1', 'configmaps', { shortNames: ['cm'] }),
  kind('Event', 'v1', 'events', { shortNames: ['ev'], selectableFields: eventFields }),
  kind('Event', 'events.k8s.io/v1', 'events', { selectableFields: eventFields }),
  kind('ServiceCIDR', 'networking.k8s.io/v1', 'servicecidrs', { namespaced: false }),
  kind('Lease', 'coordination.k8s.io/v1', 'leases'),
]

export function apiVersionOf(kind: Kind): string {
  return kind.group === '' ? kind.version : `${kind.group}/${kind.version}`
}

/** The kind of an object or reference; throws for one this server does not know. */
export function kindOf(object: { kind: string; apiVersion?: string }): Kind {
  const found = kinds.find(
    (kind) =>
      kind.kind === object.kind &&
      (object.apiVersion === undefined || apiVersionOf(kind) === object.apiVersion),
  )
  if (!found) throw new Error(`the API server does not know ${object.apiVersion} ${object.kind}`)
  return found
}

/** namespace/name, which is also the order of lists. */
export function keyOf(kind: Kind, object: KubeObject): string {
  return keyFor(kind, object.metadata.namespace, object.metadata.name)
}

export function keyFor(kind: Kind, namespace: string | undefined, name: string): string {
  return `${kind.namespaced ? (namespace ?? 'default') : ''}/${name}`
}
