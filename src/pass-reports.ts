import type { ProxyHealth } from './health/proxy-health.ts'
import type { Metrics } from './metrics/metrics.ts'
import type { Family, ServiceName } from './model/types.ts'
import type { ObjectReports } from './object-reports.ts'
import type { FrontendImage } from './plan/image.ts'
import type { PlanState } from './plan/state.ts'
import type { PassReport } from './reconcile/reconcile.ts'

/** What is told of passes. */
export interface PassReports {
  /** Objects changed; this many now wait for a pass. */
  changed(pending: { readonly services: number; readonly endpointSlices: number }): void
  /** There is something to do for a pass, and passes are possible. */
  queued(): void
  passed(report: PassReport): void
  passFailed(): void
}

export interface PassReportsOptions {
  readonly metrics: Metrics
  readonly health: ProxyHealth
  readonly objects: ObjectReports
  /** What the maps hold; undefined before that is known. */
  readonly state: () => PlanState | undefined
}

const families: readonly Family[] = [4, 6]

/** Tells of passes by metrics and health. */
export function createPassReports(options: PassReportsOptions): PassReports {
  const { metrics, health, objects, state } = options
  const counted = { services: 0, endpointSlices: 0 }
  const startedAt = Date.now()
  const localless = new LocallessServices()
  return {
    queued() {
      for (const family of families) {
        health.queued(family, Date.now())
        metrics.syncQueued(family, Date.now())
      }
    },
    changed(pending) {
      metrics.serviceChanges(Math.max(0, pending.services - counted.services), pending.services)
      const slices = pending.endpointSlices
      metrics.endpointChanges(Math.max(0, slices - counted.endpointSlices), slices)
      Object.assign(counted, pending)
    },
    passed(report) {
      const finishedAt = Date.now()
      for (const family of families) health.updated(family, finishedAt)
      observe(metrics, report, { startedAt, finishedAt })
      const { changed, refusals } = report
      objects.unplaced(refusals)
      for (const { family, policy, count } of localless.update(changed, state())) {
        metrics.noLocalEndpoints(family, policy, count)
      }
      Object.assign(counted, { services: 0, endpointSlices: 0 })
      metrics.serviceChanges(0, 0)
      metrics.endpointChanges(0, 0)
    },
    passFailed() {
      metrics.syncFailed()
      for (const family of families) health.queued(family, Date.now())
    },
  }
}

function observe(
  metrics: Metrics,
  { planTime, applyTime, ops, isFirst, triggers }: PassReport,
  { startedAt, finishedAt }: { readonly startedAt: number; readonly finishedAt: number },
): void {
  const seconds = (planTime + applyTime) / 1000
  const stages = { plan: planTime / 1000, apply: applyTime / 1000 }
  metrics.observeSync({
    ...{ families, isFull: isFirst, seconds, finishedAt, stages, ops: ops.length },
  })
  for (const { family, at } of triggers) {
    if (at > startedAt) metrics.observeProgramming(family, (finishedAt - at) / 1000)
  }
}

type TrafficPolicy = 'internal' | 'external'

/** Services whose Local policy leaves them without a backend on this node. */
export class LocallessServices {
  readonly #names = new Map(
    families.flatMap((family) =>
      (['internal', 'external'] as const).map(
        (policy) =>
          [`${family} ${policy}`, { family, policy, names: new Set<ServiceName>() }] as const,
      ),
    ),
  )

  /** Looks at the Services that changed; the answer counts all. */
  update(
    changed: readonly ServiceName[],
    state: Pick<PlanState, 'services'> | undefined,
  ): readonly { family: Family; policy: TrafficPolicy; count: number }[] {
    for (const name of changed) {
      const lacking = new Set(state?.services.get(name)?.frontends.map(lackOf))
      for (const [key, { names }] of this.#names) {
        if (lacking.has(key)) names.add(name)
        else names.delete(name)
      }
    }
    return [...this.#names.values()].map(({ family, policy, names }) => {
      return { family, policy, count: names.size }
    })
  }
}

/* Endpoints there are, but none here for the policy that counts for the frontend's own traffic. */
function lackOf(frontend: FrontendImage): string {
  const { kind, family, count, local, localOnly, externalLocalOnly } = frontend
  const isInternal = kind === 'ClusterIP'
  const isLocalOnly = isInternal ? localOnly : externalLocalOnly
  if (!isLocalOnly || count === 0 || local > 0) return ''
  return `${family} ${isInternal ? 'internal' : 'external'}`
}
