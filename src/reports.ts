import { packageVersion } from './cli/program.ts'
import { configzOf, type Config } from './config.ts'
import { counterNames } from './datapath/abi.ts'
import type { CollectReport } from './datapath/collect.ts'
import { mapInfo } from './datapath/native-info.ts'
import { perCpuOf, type PerCpuMap } from './datapath/percpu.ts'
import type { Datapath } from './datapath/programs.ts'
import { ProxyHealth } from './health/proxy-health.ts'
import { serveHealth } from './health/server.ts'
import type { ReflectorHealth } from './kube/sink.ts'
import type { Log } from './log.ts'
import type { DatapathReaders, FrontendCount, MapUse } from './metrics/datapath.ts'
import { Metrics } from './metrics/metrics.ts'
import { serveMetrics } from './metrics/server.ts'
import type { Family, Node } from './model/types.ts'
import { freeSlots } from './plan/extent-pool.ts'
import type { NumberPool } from './plan/number-pool.ts'
import type { PlanState } from './plan/state.ts'
import type { RefusedObject } from './reconcile/cluster-state.ts'
import type { PassReport } from './reconcile/reconcile.ts'

/** What the parts of the agent tell the outside, through metrics and health. */
export interface Reports {
  /** From now on there is a plan to show. */
  planned(state: PlanState): void
  queued(pending: { readonly services: number; readonly endpointSlices: number }): void
  passed(report: PassReport): void
  passFailed(): void
  refused(refused: RefusedObject): void
  node(node: Node | undefined): void
  devices(count: number): void
  collected(report: CollectReport): void
  reflector(health: ReflectorHealth): void
  close(): Promise<void>
}

export interface ReportsOptions {
  readonly config: Config
  readonly datapath: Datapath
  readonly log: Log
}

const families: readonly Family[] = [4, 6]

/** The taint by which the cluster autoscaler announces that a node goes. */
const leavingTaint = 'ToBeDeletedByClusterAutoscaler'

/** Opens the health and metrics servers. */
export function openReports({ config, datapath, log }: ReportsOptions): Reports {
  const health = new ProxyHealth(families)
  const source: ReaderSource = { state: undefined, collected: undefined }
  const metrics = new Metrics(readersOf(datapath, source), packageVersion())
  const answered = metrics.healthAnswered.bind(metrics)
  const listeners = [
    ...(config.healthz ? [serveHealth({ address: config.healthz, health, log, answered })] : []),
    ...(config.metrics
      ? [serveMetrics({ address: config.metrics, metrics, configz: () => configzOf(config), log })]
      : []),
  ]
  return {
    planned: (state) => (source.state = state),
    ...passReports(metrics, health),
    ...objectReports(metrics, health),
    devices: (count) => metrics.attachedDevices('pod', count),
    collected: (report) => {
      source.collected = report
      const { milliseconds, flows, halfOpen } = report
      metrics.observeCollector({ seconds: milliseconds / 1000, flows, halfOpen })
    },
    close: async () => {
      await Promise.all(listeners.map((listener) => listener.close()))
    },
  }
}

function passReports(
  metrics: Metrics,
  health: ProxyHealth,
): Pick<Reports, 'queued' | 'passed' | 'passFailed'> {
  const counted = { services: 0, endpointSlices: 0 }
  return {
    queued(pending) {
      for (const family of families) {
        health.queued(family, Date.now())
        metrics.syncQueued(family, Date.now())
      }
      metrics.serviceChanges(Math.max(0, pending.services - counted.services), pending.services)
      const slices = pending.endpointSlices
      metrics.endpointChanges(Math.max(0, slices - counted.endpointSlices), slices)
      Object.assign(counted, pending)
    },
    passed({ planTime, applyTime, ops }) {
      const finishedAt = Date.now()
      const seconds = (planTime + applyTime) / 1000
      for (const family of families) {
        health.updated(family, finishedAt, finishedAt - planTime - applyTime)
      }
      const stages = { plan: planTime / 1000, apply: applyTime / 1000 }
      metrics.observeSync({ families, seconds, finishedAt, stages, ops: ops.length })
      Object.assign(counted, { services: 0, endpointSlices: 0 })
      metrics.serviceChanges(0, 0)
      metrics.endpointChanges(0, 0)
    },
    passFailed: () => metrics.syncFailed(),
  }
}

function objectReports(
  metrics: Metrics,
  health: ProxyHealth,
): Pick<Reports, 'refused' | 'node' | 'reflector'> {
  const refusedNow = new Map<string, RefusedObject>()
  return {
    refused(object) {
      const key = `${object.kind} ${object.name}`
      if (object.refusals.length === 0) refusedNow.delete(key)
      else refusedNow.set(key, object)
      metrics.refusedObjects(
        [...refusedNow.values()].flatMap(({ kind, refusals }) =>
          refusals.map(({ reason }) => ({ kind, reason, count: 1 })),
        ),
      )
    },
    node(node) {
      health.setNodeEligible(!(node?.deleting === true || node?.taints.includes(leavingTaint)))
    },
    reflector: (state) => metrics.observeWatch(state),
  }
}

interface ReaderSource {
  state: PlanState | undefined
  collected: CollectReport | undefined
}

function readersOf(datapath: Datapath, source: ReaderSource): DatapathReaders {
  const counters = perCpuOf(datapath.mapFd('counters'))
  const stats = perCpuOf(datapath.mapFd('frontend_stats'))
  const sizes = Object.fromEntries(
    ['frontends', 'frontend_words', 'backends', 'backend_states', 'flows', 'half_open'].map(
      (map) => [map, mapInfo(datapath.mapFd(map)).maxEntries],
    ),
  )
  return {
    readCounters: () => counters.sumRange(0, counterNames.length),
    readMaps: () => mapUses(sizes, source),
    readFrontends: () => frontendCounts(source.state, stats),
  }
}

function mapUses(sizes: Readonly<Record<string, number>>, source: ReaderSource): MapUse[] {
  const { state, collected } = source
  const used: Readonly<Record<string, number | undefined>> = {
    frontends: state?.keys.size,
    frontend_words: state && takenNumbers(state.indexes),
    backends: state && sizes['backends']! - freeSlots(state.extents),
    backend_states: state && takenNumbers(state.ids),
    flows: collected && collected.flows * 2,
    half_open: collected && collected.halfOpen * 2,
  }
  return Object.entries(sizes).map(([map, max]) => ({ map, entries: used[map], max }))
}

function takenNumbers(pool: NumberPool): number {
  return pool.next - 1 - pool.free.length
}

function frontendCounts(state: PlanState | undefined, stats: PerCpuMap): FrontendCount[] {
  if (state === undefined) return []
  const sums = stats.sumRange(0, state.indexes.next)
  const { fields } = stats
  return [...state.services.values()].flatMap(({ frontends }) =>
    frontends.map(({ index, text, kind, protocol }) => {
      const at = index * fields
      return { text, kind, protocol, flows: sums[at] ?? 0, rejects: sums[at + 1] ?? 0 }
    }),
  )
}
