import { healthCheckOf, type HealthCheck } from '../health/service-health.ts'
import { readChangeTrigger, type ChangeTrigger } from '../kube/change-trigger.ts'
import { parseEndpointSlice } from '../kube/parse-endpointslice.ts'
import { parseNode } from '../kube/parse-node.ts'
import { property, textProperty } from '../kube/parse-raw.ts'
import { parseService } from '../kube/parse-service.ts'
import type { ReflectorSink } from '../kube/sink.ts'
import { createClusterView, unknownNode, type ClusterView } from '../model/cluster-view.ts'
import { slicesOf } from '../model/endpoint-tracker.ts'
import type { ExposureRules } from '../model/exposure.ts'
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
  /** Goes on without the Node, which may be missing or forbidden to us. */
  forgoNode(): void
  /** Takes the addresses of the node's interfaces as they are now. */
  setInterfaceAddresses(addresses: readonly string[]): void
  /** What the health-check node port of a Service is to tell; undefined: it has none. */
  readonly healthCheck: (service: ServiceName) => HealthCheck | undefined
  /** The uid of a Service, '' when it is not known. */
  readonly uidOf: (service: ServiceName) => string
  /** When the endpoints changed that were told since this was last asked, after the first list. */
  takeTriggers(): readonly ChangeTrigger[]
}

/**
 * Parses and tracks the objects of the cluster as seen from one node. An address given for the
 * node counts before those that its object has.
 */
export function createClusterState(
  nodeName: string,
  events: ClusterStateEvents,
  rules?: ExposureRules,
  nodeAddress?: string,
): ClusterState {
  const view = createClusterView(nodeName, rules)
  view.setNode(withAddress(unknownNode(nodeName), nodeAddress))
  const { services, endpoints } = view
  const synced = { services: false, endpointSlices: false, node: false }
  const triggers = createTriggers(() => synced.endpointSlices)
  const refused = createServiceRefusals(events)
  const finish = (name: keyof typeof synced) => () => {
    synced[name] = true
    events.changed()
  }
  return {
    ...sinksOf({ nodeName, nodeAddress, view, events, triggers, refused, finish }),
    forgoNode: finish('node'),
    setInterfaceAddresses(addresses) {
      if (view.setInterfaceAddresses(addresses)) events.changed()
    },
    isSynced: () => synced.services && synced.endpointSlices && synced.node,
    pending: () => sizesOf(services.pending, endpoints.slices.pending),
    takeChanged: () => view.takeChanged(),
    takeTriggers: triggers.take,
    resolve: (name) => {
      const resolved = view.resolve(name)
      refused.resolved(name, resolved?.refusals ?? [])
      return resolved
    },
    uidOf: (name) => services.applied.get(name)?.uid ?? '',
    healthCheck: (name) => {
      const service = services.applied.get(name)
      return service && healthCheckOf(service, slicesOf(endpoints, name), nodeName)
    },
  }
}

function withAddress<View extends NodeView>(node: View, address: string | undefined): View {
  if (address === undefined) return node
  return { ...node, addresses: [...new Set([address, ...node.addresses])] }
}

interface Sinks {
  readonly nodeName: string
  readonly nodeAddress: string | undefined
  readonly view: ClusterView
  readonly events: ClusterStateEvents
  readonly triggers: Triggers
  readonly refused: ServiceRefusals
  readonly finish: (name: 'services' | 'endpointSlices' | 'node') => () => void
}

/** A Node that is gone leaves the view as it was: the machine still has its addresses. */
function sinksOf({
  nodeName,
  nodeAddress,
  view,
  events,
  triggers,
  refused,
  finish,
}: Sinks): Pick<ClusterState, 'services' | 'endpointSlices' | 'node'> {
  return {
    services: trackingSink({
      events: { ...events, refused: refused.parsed },
      ...{ kind: 'Service', parse: parseService, tracker: view.services },
      synced: finish('services'),
    }),
    endpointSlices: trackingSink({
      ...{ events, kind: 'EndpointSlice', parse: parseEndpointSlice },
      tracker: view.endpoints.slices,
      changed: triggers.note,
      synced: finish('endpointSlices'),
    }),
    node: nodeSink(nodeName, finish('node'), (parsed) => {
      const seen = parsed && withAddress(parsed, nodeAddress)
      if (seen !== undefined && view.setNode(seen)) events.changed()
      events.node(seen)
    }),
  }
}

interface ServiceRefusals {
  /** What parsing a Service refused. */
  readonly parsed: (object: RefusedObject) => void
  /** What is refused of a Service because of what is around it. */
  readonly resolved: (service: ServiceName, refusals: readonly Refusal[]) => void
}

/** Tells all refusals of a Service together, and only when they change. */
function createServiceRefusals(events: ClusterStateEvents): ServiceRefusals {
  const parsed = new Map<string, RefusedObject>()
  const resolved = new Map<string, readonly Refusal[]>()
  const tell = (name: string, uid: string): void => {
    const refusals = [...(parsed.get(name)?.refusals ?? []), ...(resolved.get(name) ?? [])]
    events.refused({ kind: 'Service', name, uid, refusals })
  }
  return {
    parsed(object) {
      if (object.refusals.length === 0) parsed.delete(object.name)
      else parsed.set(object.name, object)
      tell(object.name, object.uid)
    },
    resolved(name, refusals) {
      if (sameRefusals(resolved.get(name) ?? [], refusals)) return
      if (refusals.length === 0) resolved.delete(name)
      else resolved.set(name, refusals)
      tell(name, parsed.get(name)?.uid ?? '')
    },
  }
}

function sameRefusals(a: readonly Refusal[], b: readonly Refusal[]): boolean {
  const isSame = (one: Refusal, other: Refusal): boolean =>
    one.field === other.field && one.value === other.value && one.reason === other.reason
  return a.length === b.length && a.every((one, at) => isSame(one, b[at]!))
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

function nodeSink(
  nodeName: string,
  synced: () => void,
  seen: (node: Node | undefined) => void,
): ReflectorSink {
  return {
    upsert(raw) {
      const parsed = parseNode(raw)
      if (parsed.kind === 'parsed' && parsed.value.name === nodeName) seen(parsed.value)
    },
    remove(key) {
      if (key.name === nodeName) seen(undefined)
    },
    synced,
  }
}
