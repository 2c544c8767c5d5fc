import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/* Metrics that every Kubernetes component has, named and worded as there. */

/** One answer of the API server, or none. */
export interface RequestObservation {
  readonly method: string
  /** Host and port of the server. */
  readonly host: string
  /** Undefined: no answer came. */
  readonly status: number | undefined
  /** Until the head of the answer. */
  readonly seconds: number
}

export interface ClientMetrics {
  readonly requests: Counter<'code' | 'host' | 'method'>
  readonly durations: Histogram<'host' | 'verb'>
}

const requestBuckets = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60]

/** Registers what is measured of requests to the API server. */
export function createClientMetrics(registry: Registry): ClientMetrics {
  return {
    requests: new Counter({
      name: 'rest_client_requests_total',
      help: '[ALPHA] Number of HTTP requests, partitioned by status code, method, and host.',
      labelNames: ['code', 'host', 'method'],
      registers: [registry],
    }),
    durations: new Histogram({
      name: 'rest_client_request_duration_seconds',
      help: '[ALPHA] Request latency in seconds. Broken down by verb, and host.',
      labelNames: ['host', 'verb'],
      buckets: requestBuckets,
      registers: [registry],
    }),
  }
}

/** What is said of the component as a whole. */
export interface ComponentFacts {
  /** vX.Y.Z as --version has it. A version of our own would look like skew in the cluster. */
  readonly reportedVersion?: string | undefined
  readonly featureGates?: ReadonlyMap<string, boolean>
}

/** Registers the version that was asked for, and the feature gates that were set. */
export function registerFacts(registry: Registry, facts: ComponentFacts): void {
  const { reportedVersion, featureGates = new Map<string, boolean>() } = facts
  const version = /^v([0-9]+)\.([0-9]+)/.exec(reportedVersion ?? '')
  if (reportedVersion !== undefined && version !== null) {
    const [, major = '', minor = ''] = version
    registerVersion(registry, { major, minor, git_version: reportedVersion })
  }
  if (featureGates.size === 0) return
  const gauge = new Gauge({
    name: 'kubernetes_feature_enabled',
    help: '[BETA] This metric records the data about the stage and enablement of a k8s feature.',
    labelNames: ['name', 'stage'],
    registers: [registry],
  })
  for (const [name, isOn] of featureGates) gauge.set({ name, stage: '' }, isOn ? 1 : 0)
}

function registerVersion(registry: Registry, labels: Readonly<Record<string, string>>): void {
  const all = {
    ...labels,
    ...{ build_date: '', compiler: '', git_commit: '', git_tree_state: '', go_version: '' },
    platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  }
  const gauge = new Gauge({
    name: 'kubernetes_build_info',
    help:
      "[BETA] A metric with a constant '1' value labeled by major, minor, git version, git " +
      'commit, git tree state, build date, Go version, and compiler from which Kubernetes was ' +
      'built, and platform on which it is running.',
    labelNames: Object.keys(all),
    registers: [registry],
  })
  gauge.set(all, 1)
}
