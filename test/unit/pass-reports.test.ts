import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { ProxyHealth } from '../../src/health/proxy-health.ts'
import { Metrics } from '../../src/metrics/metrics.ts'
import { createPassReports, type PassReports } from '../../src/pass-reports.ts'
import type { PassReport } from '../../src/reconcile/reconcile.ts'

const late = 60_000

interface Told {
  readonly reports: PassReports
  readonly health: ProxyHealth
  readonly isHealthy: () => boolean
  readonly sample: (name: string) => Promise<string | undefined>
}

function told(context: TestContext): Told {
  context.mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 10, 21) })
  const readers = { readCounters: () => [], readMaps: () => [], readFrontends: () => [] }
  const metrics = new Metrics(readers, '')
  const health = new ProxyHealth([4, 6], late)
  const objects = { refused: () => 0, unplaced: () => 0, node: () => 0 }
  return {
    reports: createPassReports({ metrics, health, objects, state: () => undefined }),
    health,
    isHealthy: () => health.report(Date.now()).isHealthy,
    async sample(name) {
      const { body } = await metrics.scrape()
      return body
        .split('\n')
        .find((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    },
  }
}

const pass: PassReport = {
  ...{ services: 1, changed: [], isFirst: true, triggers: [], ops: [], refusals: [] },
  ...{ planTime: 0.4, applyTime: 0.2, wakeIn: undefined },
}

test('passes: what changes before all lists are in is counted, and is no sign of illness', async (context) => {
  const { reports, isHealthy, sample } = told(context)
  reports.changed({ services: 2, endpointSlices: 0 })
  context.mock.timers.tick(2 * late)
  assert.equal(isHealthy(), true)
  const pending = 'kubeproxy_sync_proxy_rules_service_changes_pending'
  assert.equal(await sample(pending), `${pending} 2`)
  assert.equal(await sample('kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds'), undefined)
})

test('passes: one that reached the maps leaves nothing waiting, however short before it was queued', (context) => {
  const { reports, isHealthy } = told(context)
  reports.queued()
  reports.passed(pass)
  context.mock.timers.tick(2 * late)
  assert.equal(isHealthy(), true)
})

test('passes: failing for too long is illness, and the first that succeeds ends it', (context) => {
  const { reports, isHealthy } = told(context)
  reports.passed(pass)
  for (let waited = 0; waited < late; waited += 1000) {
    reports.passFailed()
    assert.equal(isHealthy(), true, `after ${waited} ms`)
    context.mock.timers.tick(1000)
  }
  assert.equal(isHealthy(), false)
  reports.passed({ ...pass, isFirst: false })
  assert.equal(isHealthy(), true)
})
