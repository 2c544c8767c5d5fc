import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/* Metrics of the agent itself. */

export interface ControlMetrics {
  readonly stages: Histogram<'stage'>
  readonly failures: Counter
  readonly ops: Counter
  readonly collector: Histogram
  readonly flows: Gauge<'state'>
  readonly refused: Gauge<'kind' | 'reason'>
  readonly devices: Gauge<'kind'>
  readonly watchSynced: Gauge<'resource'>
  readonly watchObjects: Gauge<'resource'>
  readonly watchLastEvent: Gauge<'resource'>
  readonly watchRestarts: Counter<'resource'>
  readonly buildInfo: Gauge<'version' | 'node_version'>
}

/** Objects of a kind that are refused for a reason. */
export interface RefusedCount {
  readonly kind: string
  readonly reason: string
  readonly count: number
}

/** Series of refused objects; the reasons beyond are one. */
const maxReasons = 50

const stageBuckets = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10]

/** Registers the agent's own metrics. */
export function createControlMetrics(registry: Registry): ControlMetrics {
  const named = naming(registry)
  return {
    stages: new Histogram({
      ...named('sync_stage_duration_seconds', 'Time of a pass: plan, then apply', ['stage']),
      buckets: stageBuckets,
    }),
    failures: new Counter(
      named('sync_failures_total', 'Passes that failed; they are repeated', []),
    ),
    ops: new Counter(named('map_writes_total', 'Writes to BPF maps by the agent', [])),
    collector: new Histogram({
      ...named('collector_duration_seconds', 'Time of one sweep of the flow table', []),
      buckets: stageBuckets,
    }),
    flows: new Gauge(named('flows', 'Flows at the last sweep of the flow table', ['state'])),
    refused: new Gauge(
      named('refused_objects', 'Pieces of objects that are refused now', ['kind', 'reason']),
    ),
    devices: new Gauge(
      named('attached_devices', 'Network devices that programs are attached to', ['kind']),
    ),
    buildInfo: new Gauge(
      named('build_info', 'Always 1; the labels say what runs', ['version', 'node_version']),
    ),
    ...watchMetrics(registry),
  }
}

type WatchMetrics = Pick<
  ControlMetrics,
  'watchSynced' | 'watchObjects' | 'watchLastEvent' | 'watchRestarts'
>

function watchMetrics(registry: Registry): WatchMetrics {
  const named = (name: string, help: string) => naming(registry)(name, help, ['resource'])
  return {
    watchSynced: new Gauge(
      named('watch_synced', 'Whether the first complete list of a resource is in'),
    ),
    watchObjects: new Gauge(named('watch_objects', 'Objects known of a resource')),
    watchLastEvent: new Gauge(
      named('watch_last_event_timestamp_seconds', 'When a resource last had news'),
    ),
    watchRestarts: new Counter(
      named('watch_restarts_total', 'Lists and watches started again after a failure'),
    ),
  }
}

function naming(registry: Registry) {
  return <Label extends string>(name: string, help: string, labels: Label[]) => ({
    name: `kubeshunt_${name}`,
    help,
    labelNames: labels,
    registers: [registry],
  })
}

/** Shows what is refused now, by reasons that name no object: those would be series without end. */
export function showRefused(
  gauge: ControlMetrics['refused'],
  refused: readonly RefusedCount[],
): void {
  gauge.reset()
  const reasons = new Set<string>()
  for (const { kind, reason, count } of refused) {
    const text = reason.replace(/^\d+ /, '').replace(/ Service \S+\/\S+$/, ' another Service')
    const isShown = reasons.has(text) || reasons.size < maxReasons
    if (isShown) reasons.add(text)
    gauge.inc({ kind, reason: isShown ? text : 'other' }, count)
  }
}
