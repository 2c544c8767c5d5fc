import type { ShuntError } from '../errors.ts'
import type { Log } from '../log.ts'
import { listen, type Listener } from './listen.ts'
import { serviceHealthAnswer, type HealthCheck } from './service-health.ts'

export interface ServiceHealthOptions {
  readonly isProxyHealthy: () => boolean
  readonly log: Log
  /** Told once for each server that cannot have its port; it goes on trying. */
  readonly bindFailed?: (check: HealthCheck, error: ShuntError) => void
  readonly retryMilliseconds?: number
}

/** The servers of health-check node ports. */
export interface ServiceHealthServers {
  /** Opens and closes servers so that there is one for each port, and changes their answers. */
  update(checks: ReadonlyMap<number, HealthCheck>): void
  /** Where to listen from now on. */
  listenOn(addresses: readonly string[]): void
  /** Settles when all servers of now are bound. */
  bound(): Promise<unknown>
  close(): Promise<void>
}

/** Serves health-check node ports, on all addresses unless told. */
export function serveServiceHealth(options: ServiceHealthOptions): ServiceHealthServers {
  const servers = new Map<string, Listener>()
  let checks: ReadonlyMap<number, HealthCheck> = new Map()
  let addresses: readonly string[] = ['::']
  const refresh = (): void => {
    const wanted = new Map<string, { host: string; check: HealthCheck }>(
      [...checks.values()].flatMap((check) =>
        addresses.map((host) => [`${host} ${check.port}`, { host, check }] as const),
      ),
    )
    for (const [key, server] of servers) {
      if (wanted.has(key)) continue
      servers.delete(key)
      void server.close()
    }
    for (const [key, { host, check }] of wanted) {
      if (servers.has(key)) continue
      const current = (): HealthCheck => checks.get(check.port) ?? check
      servers.set(key, openServer(options, host, current))
    }
  }
  return {
    update(next) {
      checks = next
      refresh()
    },
    listenOn(next) {
      addresses = next
      refresh()
    },
    bound: () => Promise.all([...servers.values()].map((server) => server.bound)),
    close: async () => {
      await Promise.all([...servers.values()].map((server) => server.close()))
      servers.clear()
    },
  }
}

function openServer(
  options: ServiceHealthOptions,
  host: string,
  current: () => HealthCheck,
): Listener {
  const { isProxyHealthy, log, bindFailed, retryMilliseconds } = options
  const { service, port } = current()
  const answer = () => serviceHealthAnswer(current(), isProxyHealthy())
  let hasFailed = false
  return listen({
    name: `health check of ${service}`,
    address: { host, port },
    routes: { get: () => answer },
    log,
    ...(retryMilliseconds === undefined ? {} : { retryMilliseconds }),
    bindFailed(error) {
      if (!hasFailed) bindFailed?.(current(), error)
      hasFailed = true
      return 'retry'
    },
  })
}
