import type { Log } from '../log.ts'
import { json, listen, text, type Listener } from '../health/listen.ts'
import type { Metrics } from './metrics.ts'

export interface MetricsServerOptions {
  readonly address: { readonly host: string; readonly port: number }
  readonly metrics: Metrics
  /** What /configz shows. */
  readonly configz: () => unknown
  readonly log: Log
  readonly retryMilliseconds?: number
}

/** Serves /metrics, /proxyMode, /healthz and /configz, as kube-proxy does on port 10249. */
export function serveMetrics(options: MetricsServerOptions): Listener {
  const { address, metrics, configz, log, retryMilliseconds: retry } = options
  const routes = new Map([
    ['/metrics', () => metricsAnswer(metrics)],
    ['/proxyMode', () => Promise.resolve(text(200, 'kube-shunt'))],
    ['/healthz', () => Promise.resolve(text(200, 'ok'))],
    ['/configz', () => Promise.resolve(json(200, configz()))],
  ])
  return listen({
    name: 'metrics',
    address,
    routes,
    log,
    ...(retry === undefined ? {} : { retryMilliseconds: retry }),
  })
}

async function metricsAnswer(metrics: Metrics): Promise<ReturnType<typeof text>> {
  const { body, contentType } = await metrics.scrape()
  return { status: 200, headers: { 'Content-Type': contentType }, body }
}
