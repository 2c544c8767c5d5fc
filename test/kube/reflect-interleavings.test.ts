import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ApiServer, KubeObject } from '../cluster/api-server/server.ts'
import { startApiServer } from '../cluster/api-server/server.ts'
import { services } from '../../src/kube/resources.ts'
import { reflect } from '../../src/kube/reflect.ts'
import { createTransport } from '../../src/kube/transport.ts'
import { Mirror } from './support/mirror.ts'
import { calmClock, quick, service } from './support/reflecting.ts'

type Step = (server: ApiServer) => unknown
/** Words for the report of a failure, and what is done. */
type Happening = readonly [string, Step]

const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h')

const happenings: readonly Happening[] = [
  ['compact', (server) => server.compact()],
  ['reset', (server) => server.resetConnections()],
  ['close watches', (server) => server.faults.closeWatches()],
  ['truncate watches', (server) => server.faults.truncateWatches()],
  ['error 500', (server) => server.faults.failWatches(500)],
  ['silent', (server) => server.faults.blackHoleOpenWatches()],
  ['refuse streaming', (server) => (server.faults.watchListDisabled = true)],
  ['expire pages', (server) => (server.faults.expiredPages = true)],
  ['stall pages', (server) => (server.faults.stalledPages = true)],
  ['unstall pages', (server) => (server.faults.stalledPages = false)],
  ['503', (server) => server.faults.respond({ status: 503, times: 2 })],
  ['410', (server) => server.faults.respond({ status: 410, times: 1 })],
  ['429', (server) => server.faults.respond({ status: 429, times: 1, retryAfter: 0.01 })],
  ['down', (server) => server.down()],
  ['up', (server) => server.up()],
]

const step: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(name, fc.integer({ max: 5, min: 0 })).map(putStep) },
  { weight: 3, arbitrary: name.map(deleteStep) },
  { weight: 2, arbitrary: name.map(recreateStep) },
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 8 }).map(waitStep) },
  { weight: 8, arbitrary: fc.constantFrom(...happenings) },
)

function waitStep(milliseconds: number): Happening {
  const wait = () => new Promise((resolve) => setTimeout(resolve, milliseconds))
  return [`wait ${milliseconds} ms`, wait]
}

function putStep([name, value]: [string, number]): Happening {
  const labels = { value: String(value), ...(value === 0 && hidden) }
  return [`put ${name}=${value}`, (server) => server.put(service(name, { labels }))]
}

function deleteStep(name: string): Happening {
  return [`delete ${name}`, (server) => server.delete({ kind: 'Service', name })]
}

function recreateStep(name: string): Happening {
  return [
    `recreate ${name}`,
    (server) => {
      server.delete({ kind: 'Service', name })
      server.put(service(name))
    },
  ]
}

/** Out of the sight of the selector. */
const hidden = { 'service.kubernetes.io/service-proxy-name': 'x' }

test('after any interleaving of changes and faults the sink equals the server', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), async (steps) => {
      await runSteps(steps)
    }),
    { numRuns: 60, endOnFailure: true },
  )
})

async function runSteps(steps: readonly Happening[]): Promise<void> {
  const server = await startApiServer({ bookmarkMs: 20 })
  for (const one of ['a', 'b', 'c', 'd', 'e']) server.put(service(one))
  const transport = createTransport({ server: server.url, insecureSkipTlsVerify: false })
  const mirror = new Mirror()
  const controller = new AbortController()
  const ended = reflect({
    resource: services,
    transport,
    sink: mirror,
    signal: controller.signal,
    log: mirror.log,
    clock: calmClock,
    tuning: { ...quick, inactivityMs: 60, initialSilenceMs: 60 },
    onHealth: mirror.onHealth,
  })
  try {
    for (const [, run] of steps) await run(server)
    server.faults.clear()
    await server.up()
    server.put(service('last', { labels: { step: String(steps.length) } }))
    await mirror.untilSynced()
    await mirror.until(() => versions(mirror.objects.values()) === versions(visible(server)))
    assertRules(mirror.calls)
  } finally {
    controller.abort()
    await ended
    await transport.close()
    await server.close()
  }
}

function visible(server: ApiServer): KubeObject[] {
  return server
    .list('Service')
    .filter(({ metadata }) => metadata.labels?.[Object.keys(hidden)[0] ?? ''] === undefined)
}

function versions(objects: Iterable<KubeObject>): string {
  const texts = [...objects].map(
    ({ metadata }) => `${metadata.name} ${metadata.uid} ${JSON.stringify(metadata.labels)}`,
  )
  return texts.sort().join('\n')
}

/** Nothing is removed that was not there, and nothing because of an incomplete look. */
function assertRules(calls: readonly string[]): void {
  const present = new Set<string>()
  const firstSync = calls.indexOf('synced')
  assert.ok(firstSync >= 0)
  for (const [index, call] of calls.entries()) {
    if (call.startsWith('+')) present.add(call.slice(1))
    if (!call.startsWith('-')) continue
    assert.ok(present.delete(call.slice(1)), `${call} without an upsert before`)
    if (index > firstSync) continue
    const recreated = calls[index + 1] === `+${call.slice(1)}`
    const pruning = calls.slice(index, firstSync).every((one) => one.startsWith('-'))
    assert.ok(recreated || pruning, `${call} before the first complete look`)
  }
}
