import { packageVersion } from './cli/program.ts'
import { configzOf, type Config } from './config.ts'
import type { CollectReport } from './datapath/collect.ts'
import { readersOf, type ReaderSource } from './datapath-readers.ts'
import type { Datapath } from './datapath/programs.ts'
import type { ShuntError } from './errors.ts'
import type { Listener } from './health/listen.ts'
import { ProxyHealth } from './health/proxy-health.ts'
import { serveHealth } from './health/server.ts'
import type { HealthCheck } from './health/service-health.ts'
import type { EventRecorder } from './kube/events.ts'
import type { ReflectorHealth } from './kube/sink.ts'
import type { Log } from './log.ts'
import { Metrics, type AttachedKind } from './metrics/metrics.ts'
import type { RequestObservation } from './metrics/kubernetes.ts'
import { serveMetrics } from './metrics/server.ts'
import type { Family, Node, ServiceName } from './model/types.ts'
import type { PlanState } from './plan/state.ts'
import { createObjectReports } from './object-reports.ts'
import { createPassReports, type PassReports } from './pass-reports.ts'
import { flagValues } from './proxy-config/flagz.ts'
import type { RefusedObject } from './reconcile/cluster-state.ts'
import { openServiceChecks } from './service-checks.ts'

/** What the parts of the agent tell the outside, through metrics and health. */
export interface Reports extends PassReports {
  /** From now on there is a plan to show. */
  planned(state: PlanState, uidOf: (service: ServiceName) => string): void
  refused(refused: RefusedObject): void
  node(node: Node | undefined): void
  /** The addresses of this machine's interfaces now. */
  interfaces(addresses: readonly string[]): void
  /** What health-check node ports are to tell now. */
  checks(changes: Iterable<readonly [ServiceName, HealthCheck | undefined]>): void
  requested(request: RequestObservation): void
  devices(devices: readonly AttachedKind[]): void
  collected(report: CollectReport): void
  reflector(health: ReflectorHealth): void
  close(): Promise<void>
}

export interface ReportsOptions {
  readonly config: Config
  readonly datapath: Datapath
  readonly log: Log
  readonly events: EventRecorder
  /** A server cannot bind, and that is to end the agent. */
  readonly failed: (error: Error) => void
}

const families: readonly Family[] = [4, 6]

/** Opens the health and metrics servers. */
export function openReports(options: ReportsOptions): Reports {
  const { config, log, events } = options
  const health = new ProxyHealth(families, config.proxy.lateMilliseconds)
  const source: ReaderSource = { state: undefined, collected: undefined }
  const metrics = createMetrics(options, source)
  let uidOf: (service: ServiceName) => string = () => ''
  const objects = createObjectReports({
    metrics,
    health,
    events,
    log,
    uidOf: (name) => uidOf(name),
  })
  const checks = openServiceChecks({ config, health, events, log })
  const listeners = openServers(options, metrics, health)
  return {
    planned(state, known) {
      source.state = state
      uidOf = known
    },
    ...createPassReports({ metrics, health, objects, state: () => source.state }),
    refused: (object) => objects.refused(object),
    node(node) {
      objects.node(node)
      checks.node(node?.addresses)
    },
    interfaces: (addresses) => checks.interfaces(addresses),
    checks: (changes) => checks.note(changes),
    requested: (request) => metrics.requested(request),
    reflector: (state) => metrics.observeWatch(state),
    devices: (devices) => metrics.attachedDevices(devices),
    collected: (report) => {
      source.collected = report
      metrics.observeCollector({ ...report, seconds: report.milliseconds / 1000 })
    },
    close: async () => {
      await Promise.all([...listeners, checks].map((listener) => listener.close()))
    },
  }
}

function createMetrics({ config, datapath }: ReportsOptions, source: ReaderSource): Metrics {
  return new Metrics(readersOf(datapath, source), packageVersion(), {
    reportedVersion: config.proxy.reportedVersion,
    featureGates: config.proxyValues.featureGates,
  })
}

function openServers(
  { config, log, events, failed }: ReportsOptions,
  metrics: Metrics,
  health: ProxyHealth,
): Listener[] {
  const bindFailed =
    (reason: string) =>
    (error: ShuntError): 'retry' | 'end' => {
      if (!config.proxy.bindAddressHardFail) return 'retry'
      const { nodeName: name } = config
      events.record({
        regarding: { kind: 'Node', namespace: '', name, uid: name },
        ...{ type: 'Warning', reason, action: 'StartKubeProxy', note: error.message },
      })
      failed(error)
      return 'end'
    }
  const healthOptions = config.healthz && {
    ...{ address: config.healthz, health, log },
    answered: metrics.healthAnswered.bind(metrics),
    bindFailed: bindFailed('FailedToStartProxierHealthcheck'),
  }
  const metricsOptions = config.metrics && {
    ...{ address: config.metrics, metrics, log, version: packageVersion() },
    configz: () => configzOf(config),
    flagz: () => flagValues(config.proxyValues),
    bindFailed: bindFailed('FailedToStartMetricServer'),
  }
  return [
    ...(healthOptions === undefined ? [] : [serveHealth(healthOptions)]),
    ...(metricsOptions === undefined ? [] : [serveMetrics(metricsOptions)]),
  ]
}
