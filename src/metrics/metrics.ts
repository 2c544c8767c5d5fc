import { Registry } from 'prom-client'
import type { Family } from '../model/types.ts'
import {
  createControlMetrics,
  showRefused,
  type ControlMetrics,
  type RefusedCount,
} from './control.ts'
import { registerDatapathMetrics, type DatapathReaders } from './datapath.ts'
import {
  createClientMetrics,
  registerFacts,
  type ClientMetrics,
  type ComponentFacts,
  type RequestObservation,
} from './kubernetes.ts'
import { registerProcessMetrics } from './process.ts'
import { createSyncMetrics, familyLabel, type SyncMetrics } from './sync.ts'

/** One pass that reached the maps. */
export interface SyncObservation {
  readonly families: readonly Family[]
  /** Everything was looked at, not only what changed. */
  readonly isFull: boolean
  readonly seconds: number
  /** Milliseconds since the epoch. */
  readonly finishedAt: number
  /** Seconds by stage: collect, resolve, plan, apply. */
  readonly stages: Readonly<Record<string, number>>
  /** Writes to maps. */
  readonly ops: number
}

/** One sweep of the flow table. */
export interface CollectorObservation {
  readonly seconds: number
  readonly flows: number
  readonly halfOpen: number
}

export interface WatchObservation {
  readonly resource: string
  readonly synced: boolean
  readonly objects: number
  /** Milliseconds since the epoch; 0: never. */
  readonly lastEvent: number
  readonly restarts: number
}

/** What devices can have of our programs, as metrics call it. */
const attachedKinds = ['pod', 'uplink', 'xdp'] as const
export type AttachedKind = (typeof attachedKinds)[number]

/** Everything the agent tells Prometheus. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #sync: SyncMetrics
  readonly #control: ControlMetrics
  readonly #client: ClientMetrics
  readonly #restarts = new Map<string, number>()
  #readRefused: () => readonly RefusedCount[] = () => []

  constructor(readers: DatapathReaders, version: string, facts: ComponentFacts = {}) {
    this.#sync = createSyncMetrics(this.#registry)
    this.#control = createControlMetrics(this.#registry)
    registerDatapathMetrics(this.#registry, readers)
    this.#client = createClientMetrics(this.#registry)
    registerFacts(this.#registry, facts)
    registerProcessMetrics(this.#registry)
    this.#control.buildInfo.set({ version, node_version: process.version }, 1)
  }

  /** The text of all metrics and its content type. */
  async scrape(): Promise<{ readonly body: string; readonly contentType: string }> {
    showRefused(this.#control.refused, this.#readRefused())
    return { body: await this.#registry.metrics(), contentType: this.#registry.contentType }
  }

  observeSync(pass: SyncObservation): void {
    for (const family of pass.families) {
      const { duration, fullDuration, partialDuration } = this.#sync
      duration.observe(familyLabel(family), pass.seconds)
      const kind = pass.isFull ? fullDuration : partialDuration
      kind.observe(familyLabel(family), pass.seconds)
      this.#sync.lastTime.set(familyLabel(family), pass.finishedAt / 1000)
    }
    for (const [stage, seconds] of Object.entries(pass.stages)) {
      this.#control.stages.observe({ stage }, seconds)
    }
    this.#control.ops.inc(pass.ops)
  }

  syncFailed(): void {
    this.#control.failures.inc()
  }

  /** A pass was asked for. */
  syncQueued(family: Family, now: number): void {
    this.#sync.lastQueued.set(familyLabel(family), now / 1000)
  }

  /** Changes that came in, and how many now wait to be programmed. */
  serviceChanges(count: number, pending: number): void {
    this.#sync.servicesTotal.inc(count)
    this.#sync.servicesPending.set(pending)
  }

  endpointChanges(count: number, pending: number): void {
    this.#sync.endpointsTotal.inc(count)
    this.#sync.endpointsPending.set(pending)
  }

  /** Seconds from an endpoint's change in the cluster to its programming here. */
  observeProgramming(family: Family, seconds: number): void {
    this.#sync.programming.observe(familyLabel(family), seconds)
  }

  /** Services whose Local policy leaves them without a backend on this node. */
  noLocalEndpoints(family: Family, policy: 'internal' | 'external', count: number): void {
    this.#sync.noLocalEndpoints.set({ ...familyLabel(family), traffic_policy: policy }, count)
  }

  healthAnswered(path: 'healthz' | 'livez', status: number): void {
    this.#sync[path].inc({ code: String(status) })
  }

  /** A request to the API server was answered, or failed. */
  requested({ method, host, status, seconds }: RequestObservation): void {
    const code = status === undefined ? '<error>' : String(status)
    this.#client.requests.inc({ code, host, method })
    this.#client.durations.observe({ host, verb: method }, seconds)
  }

  observeCollector({ seconds, flows, halfOpen }: CollectorObservation): void {
    this.#control.collector.observe(seconds)
    this.#control.flows.set({ state: 'established' }, flows)
    this.#control.flows.set({ state: 'half_open' }, halfOpen)
  }

  /** Whom to ask, at each scrape, for all objects that are refused at that moment. */
  refusedBy(read: () => readonly RefusedCount[]): void {
    this.#readRefused = read
  }

  /** The devices that have programs. */
  attachedDevices(devices: readonly AttachedKind[]): void {
    for (const kind of attachedKinds)
      this.#control.devices.set({ kind }, devices.filter((other) => other === kind).length)
  }

  observeWatch({ resource, synced, objects, lastEvent, restarts }: WatchObservation): void {
    this.#control.watchSynced.set({ resource }, synced ? 1 : 0)
    this.#control.watchObjects.set({ resource }, objects)
    this.#control.watchLastEvent.set({ resource }, lastEvent / 1000)
    const more = restarts - (this.#restarts.get(resource) ?? 0)
    this.#restarts.set(resource, restarts)
    this.#control.watchRestarts.inc({ resource }, Math.max(0, more))
  }
}
