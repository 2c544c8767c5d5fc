import type { Log } from '../log.ts'
import { json, listen, type Answer, type Listener, type ListenOptions } from './listen.ts'
import type { HealthReport, ProxyHealth } from './proxy-health.ts'

export interface HealthServerOptions {
  readonly address: { readonly host: string; readonly port: number }
  readonly health: ProxyHealth
  readonly log: Log
  /** Told about each answer; kube-proxy counts them by path and code. */
  readonly answered?: (path: 'healthz' | 'livez', status: number) => void
  readonly now?: () => number
  readonly retryMilliseconds?: number
  readonly bindFailed?: ListenOptions['bindFailed']
}

/** Serves /healthz and /livez with kube-proxy's bodies, headers and codes. */
export function serveHealth(options: HealthServerOptions): Listener {
  const { address, health, log, answered, now = Date.now } = options
  const route = (path: 'healthz' | 'livez') => (): Answer => {
    const report = health.report(now())
    const answer = path === 'healthz' ? healthzAnswer(report) : livezAnswer(report)
    answered?.(path, answer.status)
    return answer
  }
  const routes = new Map([
    ['/healthz', route('healthz')],
    ['/livez', route('livez')],
  ])
  const { retryMilliseconds: retry, bindFailed } = options
  return listen({
    name: 'healthz',
    address,
    routes,
    log,
    ...(retry === undefined ? {} : { retryMilliseconds: retry }),
    ...(bindFailed === undefined ? {} : { bindFailed }),
  })
}

/** The answer of /healthz: what load balancers ask, so the node's fate counts as well. */
export function healthzAnswer(report: HealthReport): Answer {
  const { isHealthy, isNodeEligible } = report
  const isWell = isHealthy && isNodeEligible
  return json(isWell ? 200 : 503, {
    ...times(report, isWell),
    nodeEligible: isNodeEligible,
    ...verdicts(report),
  })
}

/** The answer of /livez: a node about to go is no reason to restart its proxy. */
export function livezAnswer(report: HealthReport): Answer {
  const { isHealthy } = report
  return json(isHealthy ? 200 : 503, { ...times(report, isHealthy), ...verdicts(report) })
}

/* Readers of kube-proxy's answer take an old time for illness, so all is well as of now. */
function times(report: HealthReport, isWell: boolean): Record<string, string> {
  const { lastUpdated, currentTime } = report
  return {
    lastUpdated: timeText(isWell ? currentTime : lastUpdated),
    currentTime: timeText(currentTime),
  }
}

function verdicts({ isHealthy, families }: HealthReport): Record<string, unknown> {
  if (families.size === 0) return { healthy: isHealthy }
  const status = Object.fromEntries(
    [...families].map(([family, { lastUpdated, isHealthy: healthy }]) => [
      `IPv${family}`,
      { lastUpdated: timeText(lastUpdated), healthy },
    ]),
  )
  return { healthy: isHealthy, status }
}

/* Go's zero time for what never happened. */
function timeText(milliseconds: number): string {
  return milliseconds === 0 ? '0001-01-01T00:00:00Z' : new Date(milliseconds).toISOString()
}
