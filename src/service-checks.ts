import type { Config } from './config.ts'
import type { ProxyHealth } from './health/proxy-health.ts'
import { serveServiceHealth } from './health/service-health-servers.ts'
import { ServiceHealth, type HealthCheck } from './health/service-health.ts'
import type { EventRecorder } from './kube/events.ts'
import type { Log } from './log.ts'
import { addressScope, familyOf } from './model/address.ts'
import { rangeTest } from './model/ranges.ts'
import type { ServiceName } from './model/types.ts'

export interface ServiceChecksOptions {
  readonly config: Config
  readonly health: ProxyHealth
  readonly events: EventRecorder
  readonly log: Log
}

/** The health-check node ports of this node. */
export interface ServiceChecks {
  /** What Services want now; undefined: nothing. */
  note(changes: Iterable<readonly [ServiceName, HealthCheck | undefined]>): void
  /** The addresses of the node as its object has them; undefined: there is none. */
  node(addresses: readonly string[] | undefined): void
  /** The addresses of this machine's interfaces now. */
  interfaces(addresses: readonly string[]): void
  close(): Promise<void>
}

/** Serves health-check node ports where NodePorts are to answer, and tells of those it cannot. */
export function openServiceChecks(options: ServiceChecksOptions): ServiceChecks {
  const { config, health: proxy, events, log } = options
  const health = new ServiceHealth()
  const servers = serveServiceHealth({
    isProxyHealthy: () => proxy.report(Date.now()).isHealthy,
    log,
    bindFailed: ({ service, uid, port }, error) => {
      const [namespace = '', name = ''] = service.split('/')
      const note = `node ${config.nodeName} failed to start healthcheck "${service}" on port ${port}`
      events.record({
        regarding: { kind: 'Service', namespace, name, uid },
        type: 'Warning',
        reason: 'FailedToStartServiceHealthcheck',
        action: 'Listen',
        note: `${note}: ${error.message}`,
      })
    },
  })
  const { nodeAddress } = config.proxy
  const fallback = nodeAddress === undefined ? [] : [nodeAddress]
  let node: readonly string[] = fallback
  let local: readonly string[] = []
  const place = (): void => servers.listenOn(placesOf(config, node, local))
  return {
    note(changes) {
      let isNews = false
      for (const [service, check] of changes) isNews = health.set(service, check) || isNews
      if (isNews) servers.update(health.byPort())
    },
    node(addresses) {
      node = addresses ?? fallback
      place()
    },
    interfaces(addresses) {
      local = addresses
      place()
    },
    close: () => servers.close(),
  }
}

/* All addresses unless nodePortAddresses says which; then those of the machine that it means. */
function placesOf(
  { proxy, proxyValues }: Config,
  node: readonly string[],
  local: readonly string[],
): readonly string[] {
  if (proxyValues.nodePortAddresses.length === 0) return ['::']
  const { nodePortAddresses: wanted } = proxy
  if (wanted.kind === 'ranges') return local.filter(rangeTest(wanted.ranges)).filter(canBind)
  const primary = ([4, 6] as const).map((family) =>
    node.find((address) => familyOf(address) === family && canBind(address)),
  )
  return local.filter((address) => primary.includes(address))
}

/* A link-local address says nothing without its interface. */
function canBind(address: string): boolean {
  return addressScope(address) !== 'link-local'
}
