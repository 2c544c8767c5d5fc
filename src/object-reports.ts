import type { ProxyHealth } from './health/proxy-health.ts'
import type { EventRecorder, Regarding } from './kube/events.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics/metrics.ts'
import type { Node, ServiceName } from './model/types.ts'
import type { PlanRefusal } from './plan/state.ts'
import type { RefusedObject } from './reconcile/cluster-state.ts'

/** What is told of objects that are not served as written, and of the node. */
export interface ObjectReports {
  refused(object: RefusedObject): void
  /** All frontends that the last pass could not place. */
  unplaced(refusals: readonly PlanRefusal[]): void
  node(node: Node | undefined): void
}

export interface ObjectReportsOptions {
  readonly metrics: Metrics
  readonly health: ProxyHealth
  readonly events: EventRecorder
  readonly log: Log
  readonly uidOf: (service: ServiceName) => string
}

/** The taint by which the cluster autoscaler announces that a node goes. */
const leavingTaint = 'ToBeDeletedByClusterAutoscaler'
/** Events about one object; the log has the rest. */
const maxEvents = 5

/** Tells of objects by metrics and Events; unplaced frontends by the log as well. */
export function createObjectReports(options: ObjectReportsOptions): ObjectReports {
  const { metrics, health } = options
  const refused = new Map<string, RefusedObject>()
  let unplaced = new Map<string, PlanRefusal>()
  metrics.refusedBy(() => [
    ...[...refused.values()].flatMap(({ kind, refusals }) =>
      refusals.map(({ reason }) => ({ kind, reason, count: 1 })),
    ),
    ...[...unplaced.values()].map(({ reason }) => ({ kind: 'Service', reason, count: 1 })),
  ])
  return {
    refused(object) {
      const key = `${object.kind} ${object.name}`
      if (object.refusals.length === 0) refused.delete(key)
      else refused.set(key, object)
      tellRefused(object, options)
    },
    unplaced(refusals) {
      if (refusals.length === 0 && unplaced.size === 0) return
      const now = new Map(refusals.map((refusal) => [keyOf(refusal), refusal]))
      for (const [key, refusal] of now) if (!unplaced.has(key)) tellUnplaced(refusal, options)
      unplaced = now
    },
    node(node) {
      health.setNodeEligible(!(node?.deleting === true || node?.taints.includes(leavingTaint)))
    },
  }
}

function keyOf({ servicePort, kind, reason, detail }: PlanRefusal): string {
  return [servicePort, kind, reason, detail].join(' ')
}

function tellRefused(object: RefusedObject, { events, uidOf }: ObjectReportsOptions): void {
  const { kind, name, refusals } = object
  if (kind === 'Node') return
  const isNamed = object.uid !== '' || kind !== 'Service'
  const uid = isNamed ? object.uid : uidOf(name as ServiceName) // the name of a Service
  for (const { field, value, reason } of refusals.slice(0, maxEvents)) {
    events.record({
      regarding: regardingOf(kind, name, uid),
      type: 'Warning',
      reason: 'NotServedAsWritten',
      action: 'Parse',
      note: `${field}: ${value} ${reason}`,
    })
  }
}

const eventReasons: Readonly<Record<PlanRefusal['reason'], string>> = {
  taken: 'AddressTaken',
  'frontends-full': 'TableFull',
  'backends-full': 'TableFull',
  'backend-ids-full': 'TableFull',
  'too-many-backends': 'TooManyEndpoints',
  'source-ranges-full': 'TableFull',
}

function tellUnplaced(refusal: PlanRefusal, { events, log, uidOf }: ObjectReportsOptions): void {
  const { service, servicePort, kind, reason, detail } = refusal
  log.warn({ service, frontend: servicePort, kind, reason, detail }, 'frontend not served')
  events.record({
    regarding: regardingOf('Service', service, uidOf(service)),
    type: 'Warning',
    reason: eventReasons[reason],
    action: 'Program',
    note: `${kind} of ${servicePort}: ${detail}`,
  })
}

function regardingOf(kind: Regarding['kind'], key: string, uid: string): Regarding {
  const [namespace = '', name = ''] = key.split('/')
  return { kind, namespace, name, uid }
}
