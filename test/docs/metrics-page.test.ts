import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { metricsPage } from './metrics-page.ts'

test('metrics: the page is what the metrics are (node test/docs/metrics-page.ts)', async () => {
  const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8')
  assert.equal(page, await metricsPage())
})
