import { healthCheckOf, type HealthCheck } from '../health/service-health.ts'
import { readChangeTrigger, type ChangeTrigger } from '../kube/change-trigger.ts'
import { parseEndpointSlice } from '../kube/parse-endpointslice.ts'
import { parseNode } from '../kube/parse-node.ts'
import { property, textProperty } from '../kube/parse-raw.ts'
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
  /** '' when the object is gone. */
  readonly uid: string
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
  /** What the health-check node port of a Service is to tell; undefined: it has none. */
  readonly healthCheck: (service: ServiceName) => HealthCheck | undefined
  /** When the endpoints changed that were told since this was last asked, after the first list. */
  takeTriggers(): readonly ChangeTrigger[]
}

/** Parses and tracks the objects of the cluster as seen from one node. */
export function createClusterState(nodeName: string, events: ClusterStateEvents): ClusterState {
  const services = createServiceTracker()
  const endpoints = createEndpointTracker()
  let node: NodeView = { name: nodeName, zone: '', addresses: [], podCIDRs: [] }
  const synced = { services: false, endpointSlices: false }
  const triggers = createTriggers(() => synced.endpointSlices)
  const finish = (name: keyof typeof synced) => () => {
    synced[name] = true
    events.changed()
  }
  return {
    services: trackingSink({
      ...{ events, kind: 'Service', parse: parseService, tracker: services },
      synced: finish('services'),
    }),
    endpointSlices: trackingSink({
      ...{ events, kind: 'EndpointSlice', parse: parseEndpointSlice, tracker: endpoints.slices },
      changed: triggers.note,
      synced: finish('endpointSlices'),
    }),
    node: nodeSink(nodeName, (seen) => {
      node = seen ?? { name: nodeName, zone: '', addresses: [], podCIDRs: [] }
      events.node(seen)
    }),
    isSynced: () => synced.services && synced.endpointSlices,
    pending: () => sizesOf(services.pending, endpoints.slices.pending),
    takeChanged: () =>
      new Set([...takeChangedServices(services), ...takeChangedEndpoints(endpoints)]),
    takeTriggers: triggers.take,
    resolve: (name) => {
      const service = services.applied.get(name)
      return service && resolveService(service, slicesOf(endpoints, name), node)
    },
    healthCheck: (name) => {
      const service = services.applied.get(name)
      return service && healthCheckOf(service, slicesOf(endpoints, name), nodeName)
    },
  }
}

type Sized = ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>

function sizesOf(services: Sized, slices: Sized): ReturnType<ClusterState['pending']> {
  return { services: services.size, endpointSlices: slices.size }
}

/** Triggers kept between two passes; beyond that a measurement loses some. */
const maxTriggers = 10_000

interface Triggers {
  readonly note: (raw: unknown) => void
  readonly take: () => readonly ChangeTrigger[]
}

function createTriggers(isSynced: () => boolean): Triggers {
  let triggers: ChangeTrigger[] = []
  return {
    note(raw) {
      const trigger = isSynced() ? readChangeTrigger(raw) : undefined
      if (trigger !== undefined && triggers.length < maxTriggers) triggers.push(trigger)
    },
    take() {
      const taken = triggers
      triggers = []
      return taken
    },
  }
}

interface Tracking<Value> {
  readonly kind: RefusedObject['kind']
  readonly parse: (raw: unknown) => Parsed<Value>
  readonly tracker: Tracker<Value>
  readonly events: ClusterStateEvents
  /** Told about each object that is news. */
  readonly changed?: (raw: unknown) => void
  readonly synced: () => void
}

function trackingSink<Value>(tracking: Tracking<Value>): ReflectorSink {
  const { kind, events } = tracking
  const refused = new Set<string>()
  const note = (name: string, value: Value | undefined, raw?: unknown): void => {
    if (!track(tracking.tracker, name, value)) return
    tracking.changed?.(raw)
    events.changed()
  }
  const refuse = (name: string, refusals: readonly Refusal[], raw?: unknown): void => {
    if (refusals.length === 0 && !refused.delete(name)) return
    if (refusals.length > 0) refused.add(name)
    const uid = textProperty(property(raw, 'metadata'), 'uid').slice(0, 64)
    events.refused({ kind, name, uid, refusals })
  }
  return {
    upsert(raw) {
      const parsed = tracking.parse(raw)
      const { name } = parsed
      if (name === '') return
      note(name, parsed.kind === 'parsed' ? parsed.value : undefined, raw)
      refuse(name, parsed.kind === 'ignored' ? [] : parsed.refusals, raw)
    },
    remove(key) {
      const name = `${key.namespace}/${key.name}`
      note(name, undefined)
      refuse(name, [])
    },
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
