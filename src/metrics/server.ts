import type { Log } from '../log.ts'
import {
  json,
  listen,
  text,
  type Answer,
  type Listener,
  type ListenOptions,
  type Route,
  type Routes,
} from '../health/listen.ts'
import type { Metrics } from './metrics.ts'
import { flagsPage, statusPage } from './pages.ts'
import { createSlis } from './slis.ts'

export interface MetricsServerOptions {
  readonly address: { readonly host: string; readonly port: number }
  readonly metrics: Metrics
  /** What /configz shows. */
  readonly configz: () => unknown
  /** What /flagz shows: names and values. */
  readonly flagz?: () => readonly (readonly [name: string, value: string])[]
  readonly version?: string
  readonly log: Log
  readonly retryMilliseconds?: number
  readonly bindFailed?: ListenOptions['bindFailed']
}

/** Serves /metrics and its neighbours, as kube-proxy does on port 10249. */
export function serveMetrics(options: MetricsServerOptions): Listener {
  const { address, log, retryMilliseconds: retry, bindFailed } = options
  return listen({
    name: 'metrics',
    address,
    routes: routesOf(options),
    log,
    ...(retry === undefined ? {} : { retryMilliseconds: retry }),
    ...(bindFailed === undefined ? {} : { bindFailed }),
  })
}

function routesOf(options: MetricsServerOptions): Routes {
  const { metrics, configz, flagz = () => [], version = '' } = options
  const slis = createSlis()
  const paths = ['/metrics', '/metrics/slis', '/proxyMode', '/healthz', '/configz', '/flagz']
  const healthz = (): Answer => {
    slis.answered()
    return text(200, 'ok')
  }
  return new Map<string, Route>([
    ['/metrics', () => metricsAnswer(metrics)],
    ['/metrics/slis', () => metricsAnswer(slis)],
    ['/proxyMode', () => text(200, 'kube-shunt')],
    ['/healthz', healthz],
    ['/configz', () => json(200, configz())],
    ['/flagz', () => text(200, flagsPage(flagz()))],
    ['/statusz', () => text(200, statusPage(version, [...paths, '/statusz'], Date.now()))],
  ])
}

async function metricsAnswer(source: Pick<Metrics, 'scrape'>): Promise<Answer> {
  const { body, contentType } = await source.scrape()
  return { status: 200, headers: { 'Content-Type': contentType }, body }
}
