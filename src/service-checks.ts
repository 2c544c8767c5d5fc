import { BlockList } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { Config } from './config.ts'
import type { ProxyHealth } from './health/proxy-health.ts'
import { serveServiceHealth } from './health/service-health-servers.ts'
import { ServiceHealth, type HealthCheck } from './health/service-health.ts'
import type { EventRecorder } from './kube/events.ts'
import type { Log } from './log.ts'
import { canonicalAddress, familyOf } from './model/address.ts'
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
  /** The node's own addresses as its object has them. */
  addresses(primary: readonly string[]): void
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
  let primary: readonly string[] = []
  const place = (): void =>
    servers.listenOn(placesOf(config.proxyValues.nodePortAddresses, primary))
  place()
  return {
    note(changes) {
      let isNews = false
      for (const [service, check] of changes) isNews = health.set(service, check) || isNews
      if (isNews) servers.update(health.byPort())
    },
    addresses(next) {
      primary = next
      place()
    },
    close: () => servers.close(),
  }
}

/* All addresses unless nodePortAddresses says which; then those of the node that it means. */
function placesOf(wanted: readonly string[], primary: readonly string[]): readonly string[] {
  if (wanted.length === 0) return ['::']
  if (wanted.includes('primary')) return primary
  const local = Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .flatMap(({ address }) => canonicalAddress(address) ?? [])
  const ranges = new BlockList()
  for (const range of wanted) {
    const [address = '', bits = ''] = range.split('/')
    ranges.addSubnet(address, Number(bits), familyName(address))
  }
  return local.filter((address) => ranges.check(address, familyName(address)))
}

function familyName(address: string): 'ipv4' | 'ipv6' {
  return familyOf(address) === 6 ? 'ipv6' : 'ipv4'
}
