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

const stageBuckets = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10]

/** Registers the agent's own metrics. */
export function createControlMetrics(registry: Registry): ControlMetrics {
  const named = naming(registry)
  return {
    stages: new Histogram({
      ...named('sync_stage_duration_seconds', 'Time of one stage of a pass', ['stage']),
      buckets: stageBuckets,
    }),
    failures: new Counter(named('sync_failures_total', 'Passes that failed and were repeated', [])),
    ops: new Counter(named('map_writes_total', 'Writes to BPF maps by the agent', [])),
    collector: new Histogram({
      ...named('collector_duration_seconds', 'Time of one sweep of the flow table', []),
      buckets: stageBuckets,
    }),
    flows: new Gauge(named('flows', 'Flows at the last sweep of the flow table', ['state'])),
    refused: new Gauge(
      named('refused_objects', 'Objects that are not served as written', ['kind', 'reason']),
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
