import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { Family } from '../model/types.ts'

/* kube-proxy's metrics, names, help texts and buckets as in its 1.36. */

export interface SyncMetrics {
  readonly duration: Histogram<'ip_family'>
  readonly fullDuration: Histogram<'ip_family'>
  readonly partialDuration: Histogram<'ip_family'>
  readonly lastTime: Gauge<'ip_family'>
  readonly lastQueued: Gauge<'ip_family'>
  readonly servicesPending: Gauge
  readonly servicesTotal: Counter
  readonly endpointsPending: Gauge
  readonly endpointsTotal: Counter
  readonly noLocalEndpoints: Gauge<'ip_family' | 'traffic_policy'>
  readonly programming: Histogram<'ip_family'>
  readonly healthz: Counter<'code'>
  readonly livez: Counter<'code'>
}

/** kube-proxy's histogram buckets of a pass: 1 ms to 16 s. */
export const passBuckets = Array.from({ length: 15 }, (_, k) => 0.001 * 2 ** k)

/** kube-proxy's histogram buckets from an endpoint's change to its programming. */
export const programmingBuckets = [
  0,
  0.25,
  0.5,
  ...steps(1, 59, 1),
  ...steps(60, 115, 5),
  ...steps(120, 300, 30),
]

function steps(first: number, last: number, step: number): number[] {
  const count = (last - first) / step + 1
  return Array.from({ length: count }, (_, i) => first + i * step)
}

/** Registers kube-proxy's metrics. */
export function createSyncMetrics(registry: Registry): SyncMetrics {
  const named = naming(registry)
  return {
    ...durationMetrics(registry),
    ...passMetrics(registry),
    ...changeMetrics(registry),
    programming: new Histogram({
      ...named(
        'network_programming_duration_seconds',
        'In Cluster Network Programming Latency in seconds',
        ['ip_family'],
      ),
      buckets: programmingBuckets,
    }),
    healthz: new Counter(
      named('proxy_healthz_total', 'Cumulative proxy healthz HTTP status', ['code']),
    ),
    livez: new Counter(named('proxy_livez_total', 'Cumulative proxy livez HTTP status', ['code'])),
  }
}

type DurationMetrics = Pick<SyncMetrics, 'duration' | 'fullDuration' | 'partialDuration'>

function durationMetrics(registry: Registry): DurationMetrics {
  const histogram = (kind: string, extra: string) =>
    new Histogram({
      ...naming(registry)(
        `sync_${kind}proxy_rules_duration_seconds`,
        `SyncProxyRules latency in seconds${extra}`,
        ['ip_family'],
      ),
      buckets: passBuckets,
    })
  return {
    duration: histogram('', ''),
    fullDuration: histogram('full_', ' for full resyncs'),
    partialDuration: histogram('partial_', ' for partial resyncs'),
  }
}

type PassMetrics = Pick<SyncMetrics, 'lastTime' | 'lastQueued' | 'noLocalEndpoints'>

function passMetrics(registry: Registry): PassMetrics {
  const named = (name: string, help: string) =>
    naming(registry)(`sync_proxy_rules_${name}`, help, ['ip_family'])
  return {
    lastTime: new Gauge(
      named('last_timestamp_seconds', 'The last time proxy rules were successfully synced'),
    ),
    lastQueued: new Gauge(
      named('last_queued_timestamp_seconds', 'The last time a sync of proxy rules was queued'),
    ),
    noLocalEndpoints: new Gauge({
      ...named(
        'no_local_endpoints_total',
        'Number of services with a Local traffic policy and no endpoints',
      ),
      labelNames: ['ip_family', 'traffic_policy'],
    }),
  }
}

type ChangeMetrics = Pick<
  SyncMetrics,
  'servicesPending' | 'servicesTotal' | 'endpointsPending' | 'endpointsTotal'
>

function changeMetrics(registry: Registry): ChangeMetrics {
  const named = (name: string, help: string) =>
    naming(registry)(`sync_proxy_rules_${name}`, help, [])
  return {
    servicesPending: new Gauge(
      named('service_changes_pending', 'Pending proxy rules Service changes'),
    ),
    servicesTotal: new Counter(
      named('service_changes_total', 'Cumulative proxy rules Service changes'),
    ),
    endpointsPending: new Gauge(
      named('endpoint_changes_pending', 'Pending proxy rules Endpoint changes'),
    ),
    endpointsTotal: new Counter(
      named('endpoint_changes_total', 'Cumulative proxy rules Endpoint changes'),
    ),
  }
}

function naming(registry: Registry) {
  return <Label extends string>(name: string, help: string, labels: Label[]) => ({
    name: `kubeproxy_${name}`,
    help: `[ALPHA] ${help}`,
    labelNames: labels,
    registers: [registry],
  })
}

/** The label value of a family. */
export function familyLabel(family: Family): { readonly ip_family: string } {
  return { ip_family: `IPv${family}` }
}
