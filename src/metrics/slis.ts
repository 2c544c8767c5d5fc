import { Counter, Gauge, Registry } from 'prom-client'

/** The one health check of the metrics port, as /metrics/slis tells of it. */
export interface Slis {
  /** /healthz was asked and answered. */
  answered(): void
  scrape(): Promise<{ readonly body: string; readonly contentType: string }>
}

/** What kube-proxy serves on /metrics/slis. */
export function createSlis(): Slis {
  const registry = new Registry()
  const gauge = new Gauge({
    name: 'kubernetes_healthcheck',
    help: '[STABLE] This metric records the result of a single healthcheck.',
    labelNames: ['name', 'type'],
    registers: [registry],
  })
  const counter = new Counter({
    name: 'kubernetes_healthchecks_total',
    help: '[STABLE] This metric records the results of all healthcheck.',
    labelNames: ['name', 'status', 'type'],
    registers: [registry],
  })
  return {
    answered() {
      gauge.set({ name: 'ping', type: 'healthz' }, 1)
      counter.inc({ name: 'ping', status: 'success', type: 'healthz' })
    },
    scrape: async () => ({ body: await registry.metrics(), contentType: registry.contentType }),
  }
}
