import { packageVersion } from './cli/program.ts'
import type { Config, Source } from './config.ts'
import { followClusterFile } from './kube/cluster-file.ts'
import { loadClusterAccess } from './kube/kubeconfig.ts'
import { reflect } from './kube/reflect.ts'
import { endpointSlices, nodeResource, serviceCidrs, services } from './kube/resources.ts'
import { createTransport, type Transport } from './kube/transport.ts'
import type { ReflectorHealth } from './kube/sink.ts'
import type { Log } from './log.ts'
import type { RequestObservation } from './metrics/kubernetes.ts'
import type { ClusterState } from './reconcile/cluster-state.ts'
import type { Reports } from './reports.ts'
import type { ServiceRangesFollower } from './service-ranges.ts'

export interface SourceOptions {
  readonly cluster: ClusterState
  readonly serviceRanges: ServiceRangesFollower
  readonly log: Log
  readonly signal: AbortSignal
  readonly reports: Reports
  /** Told about the way to an API server, when there is one. */
  readonly connected: (transport: Transport) => void
}

/** Sources that feed the cluster state until the signal aborts. */
export interface Sources {
  /** They can be used: a file has been read, the way to an API server is known. */
  readonly usable: Promise<void>
  /** Rejects when they cannot be used at all; settles otherwise at the end. */
  readonly ended: Promise<void>
}

/** Starts the sources that the configuration names. */
export function openSources(config: Config, options: SourceOptions): Sources {
  const { cluster, serviceRanges, log, signal, reports, connected } = options
  const targets = [
    { resource: services, sink: cluster.services },
    { resource: endpointSlices, sink: cluster.endpointSlices },
    { resource: nodeResource(config.nodeName), sink: cluster.node },
  ]
  if (serviceRanges.sink) targets.push({ resource: serviceCidrs, sink: serviceRanges.sink })
  const usable = Promise.withResolvers<undefined>()
  const onHealth = (health: ReflectorHealth): void => {
    const isOptional = health.resource === serviceCidrs.kind
    if (isOptional) serviceRanges.health(health)
    // a server without them is no reason for an alarm
    if (!isOptional || health.synced) reports.reflector(health)
    if (health.synced) usable.resolve(undefined)
  }
  const follow = async (): Promise<void> => {
    const { source } = config
    if (source.kind === 'cluster-file') {
      const { path } = source
      // its path may be long, and another one on each node
      const named = (health: ReflectorHealth): void =>
        onHealth({ ...health, resource: 'cluster_file' })
      await followClusterFile({ path, targets, signal, log, onHealth: named })
      return
    }
    const transport = openTransport(source, reports)
    connected(transport)
    usable.resolve(undefined)
    const all = targets.map((target) => reflect({ ...target, transport, signal, log, onHealth }))
    await Promise.all(all)
    await transport.close()
  }
  return { usable: usable.promise, ended: follow() }
}

function openTransport(source: Extract<Source, { kind: 'api' }>, reports: Reports): Transport {
  const access = loadClusterAccess({
    ...(source.kubeconfig === undefined ? {} : { kubeconfig: source.kubeconfig }),
    ...(source.master === undefined ? {} : { master: source.master }),
  })
  const observed = (request: RequestObservation): void => reports.requested(request)
  return createTransport(access, { version: packageVersion(), observed })
}
