import { familyOf } from '../model/address.ts'
import type { EndpointSlice, Service, ServiceName } from '../model/types.ts'
import type { Answer } from './listen.ts'

/** What the health-check node port of a Service tells load balancers. */
export interface HealthCheck {
  readonly service: ServiceName
  readonly uid: string
  readonly port: number
  /** Ready endpoints on this node. */
  readonly localEndpoints: number
  /** Milliseconds since the epoch; of two Services with one port the older has it. */
  readonly createdAt: number
}

/** The health check that a Service asks for; undefined when it needs none. */
export function healthCheckOf(
  service: Service,
  slices: readonly EndpointSlice[],
  nodeName: string,
): HealthCheck | undefined {
  const { type, externalPolicy, healthCheckNodePort: port } = service
  if (type !== 'LoadBalancer' || externalPolicy !== 'Local' || port === 0) return undefined
  return {
    service: service.name,
    uid: service.uid,
    port,
    localEndpoints: countLocalReady(service, slices, nodeName),
    createdAt: service.createdAt,
  }
}

/* Pods, so of one family: a dual-stack pod is not two. */
function countLocalReady(
  { clusterIPs }: Service,
  slices: readonly EndpointSlice[],
  nodeName: string,
): number {
  const family = familyOf(clusterIPs[0] ?? '')
  const addresses = new Set<string>()
  for (const slice of slices) {
    if (slice.family !== family || slice.ports.length === 0) continue
    for (const { ready, node, address } of slice.endpoints) {
      if (ready && node === nodeName) addresses.add(address)
    }
  }
  return addresses.size
}

/** Which Service answers on which health-check node port. */
export class ServiceHealth {
  readonly #checks = new Map<ServiceName, HealthCheck>()

  /** Notes what a Service asks for now; true when an answer or a port changes by it. */
  set(service: ServiceName, check: HealthCheck | undefined): boolean {
    const known = this.#checks.get(service)
    if (check === undefined) return this.#checks.delete(service)
    this.#checks.set(service, check)
    return known?.port !== check.port || known.localEndpoints !== check.localEndpoints
  }

  /** The check of each port. */
  byPort(): ReadonlyMap<number, HealthCheck> {
    const ports = new Map<number, HealthCheck>()
    for (const check of this.#checks.values()) {
      const holder = ports.get(check.port)
      if (holder === undefined || isOlder(check, holder)) ports.set(check.port, check)
    }
    return ports
  }
}

function isOlder(a: HealthCheck, b: HealthCheck): boolean {
  return a.createdAt === b.createdAt ? a.service < b.service : a.createdAt < b.createdAt
}

/** kube-proxy's answer on a health-check node port, on any path. */
export function serviceHealthAnswer(
  { service, localEndpoints }: HealthCheck,
  isProxyHealthy: boolean,
): Answer {
  const [namespace = '', name = ''] = service.split('/')
  const body = { service: { namespace, name }, localEndpoints, serviceProxyHealthy: isProxyHealthy }
  return {
    status: localEndpoints > 0 && isProxyHealthy ? 200 : 503,
    headers: {
      'Content-Type': 'application/json',
      'X-Content-Type-Options': 'nosniff',
      'X-Load-Balancing-Endpoint-Weight': String(localEndpoints),
    },
    body: JSON.stringify(body, undefined, '\t'),
  }
}
