import { parseEndpointSlice } from '../kube/parse-endpointslice.ts'
import { parseNode } from '../kube/parse-node.ts'
import { parseService } from '../kube/parse-service.ts'
import type { ReflectorSink } from '../kube/sink.ts'
import { createEndpointTracker, slicesOf, takeChangedEndpoints } from '../model/endpoint-tracker.ts'
import { resolveService } from '../model/resolve.ts'
import { createServiceTracker, takeChangedServices } from '../model/service-tracker.ts'
import { track, type Tracker } from '../model/tracker.ts'
import type {
  Node,
  NodeView,
  Parsed,
  Refusal,
  ResolvedService,
  ServiceName,
} from '../model/types.ts'

/** An object that is not served as written. */
export interface RefusedObject {
  readonly kind: 'Service' | 'EndpointSlice' | 'Node'
  readonly name: string
  readonly refusals: readonly Refusal[]
}

export interface ClusterStateEvents {
  /** Something to do for a pass. */
  changed(): void
  /** The pieces of one object that are refused now; none: it is served as written, or gone. */
  refused(object: RefusedObject): void
  node(node: Node | undefined): void
}

/** Everything known of the cluster: fed by reflectors, read by passes. */
export interface ClusterState {
  readonly services: ReflectorSink
  readonly endpointSlices: ReflectorSink
  readonly node: ReflectorSink
  /** Nothing may be programmed, let alone deleted, before all lists are complete. */
  isSynced(): boolean
  pending(): { readonly services: number; readonly endpointSlices: number }
  /** The Services to look at again; what they were told so far counts as applied. */
  takeChanged(): Set<ServiceName>
  readonly resolve: (service: ServiceName) => ResolvedService | undefined
}

/** Parses and tracks the objects of the cluster as seen from one node. */
export function createClusterState(nodeName: string, events: ClusterStateEvents): ClusterState {
  const services = createServiceTracker()
  const endpoints = createEndpointTracker()
  let node: NodeView = { name: nodeName, zone: '', addresses: [], podCIDRs: [] }
  const synced = { services: false, endpointSlices: false }
  const sink = { events, kind: 'Service' as const, parse: parseService, tracker: services }
  const slices = { events, kind: 'EndpointSlice' as const, parse: parseEndpointSlice }
  const finish = (name: keyof typeof synced) => () => {
    synced[name] = true
    events.changed()
  }
  return {
    services: trackingSink({ ...sink, synced: finish('services') }),
    endpointSlices: trackingSink({
      ...slices,
      tracker: endpoints.slices,
      synced: finish('endpointSlices'),
    }),
    node: nodeSink(nodeName, (seen) => {
      node = seen ?? { name: nodeName, zone: '', addresses: [], podCIDRs: [] }
      events.node(seen)
    }),
    isSynced: () => synced.services && synced.endpointSlices,
    pending: () => ({
      services: services.pending.size,
      endpointSlices: endpoints.slices.pending.size,
    }),
    takeChanged: () =>
      new Set([...takeChangedServices(services), ...takeChangedEndpoints(endpoints)]),
    resolve: (name) => {
      const service = services.applied.get(name)
      return service && resolveService(service, slicesOf(endpoints, name), node)
    },
  }
}

interface Tracking<Value> {
  readonly kind: RefusedObject['kind']
  readonly parse: (raw: unknown) => Parsed<Value>
  readonly tracker: Tracker<Value>
  readonly events: ClusterStateEvents
  readonly synced: () => void
}

function trackingSink<Value>(tracking: Tracking<Value>): ReflectorSink {
  const { kind, events } = tracking
  const refused = new Set<string>()
  const note = (name: string, value: Value | undefined, refusals: readonly Refusal[]): void => {
    if (track(tracking.tracker, name, value)) events.changed()
    if (refusals.length === 0 && !refused.delete(name)) return
    if (refusals.length > 0) refused.add(name)
    events.refused({ kind, name, refusals })
  }
  return {
    upsert(raw) {
      const parsed = tracking.parse(raw)
      const refusals = parsed.kind === 'ignored' ? [] : parsed.refusals
      const { name } = parsed
      if (name !== '') note(name, parsed.kind === 'parsed' ? parsed.value : undefined, refusals)
    },
    remove: (key) => note(`${key.namespace}/${key.name}`, undefined, []),
    synced: tracking.synced,
  }
}

function nodeSink(nodeName: string, seen: (node: Node | undefined) => void): ReflectorSink {
  return {
    upsert(raw) {
      const parsed = parseNode(raw)
      if (parsed.kind === 'parsed' && parsed.value.name === nodeName) seen(parsed.value)
    },
    remove(key) {
      if (key.name === nodeName) seen(undefined)
    },
    synced: () => undefined,
  }
}
