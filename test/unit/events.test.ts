import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { test, type TestContext } from 'node:test'
import { ApiError } from '../../src/kube/api-error.ts'
import { createEventRecorder, type EventRecorder, type Tale } from '../../src/kube/events.ts'
import type { KubeRequest } from '../../src/kube/transport.ts'

const second = 1000
const start = Date.UTC(2026, 0, 1)

interface Told {
  readonly recorder: EventRecorder
  readonly requests: KubeRequest[]
  readonly warnings: string[]
  /** Settles when so many requests have been made. */
  readonly reached: (count: number) => Promise<void>
  readonly pass: (milliseconds: number) => void
}

interface Setting {
  /** What the n-th request (from 1) is answered with; nothing: all is well. */
  readonly fault?: (request: number) => number | undefined
  readonly burst?: number
  readonly perSecond?: number
  readonly isConnected?: boolean
}

function telling(context: TestContext, setting: Setting = {}): Told {
  const { fault, burst = 100, perSecond = 1000, isConnected = true } = setting
  const ending = new AbortController()
  context.after(() => ending.abort())
  const requests: KubeRequest[] = []
  const warnings: string[] = []
  const waiting: { count: number; resolve: () => void }[] = []
  let now = start
  const recorder = createEventRecorder({
    signal: ending.signal,
    rate: { perSecond, burst },
    now: () => now,
    retryMs: 1,
    log: { debug: noop, info: noop, warn: (_, message) => warnings.push(message) },
  })
  if (isConnected) recorder.connect({ json })
  function json(request: KubeRequest): Promise<unknown> {
    requests.push(request)
    for (const { count, resolve } of waiting) if (requests.length >= count) resolve()
    const status = fault?.(requests.length)
    if (status === undefined) return Promise.resolve({})
    return Promise.reject(new ApiError('no', { status }))
  }
  return {
    recorder,
    requests,
    warnings,
    reached: (count) =>
      requests.length >= count
        ? Promise.resolve()
        : new Promise((resolve) => void waiting.push({ count, resolve })),
    pass: (milliseconds) => (now += milliseconds),
  }
}

function noop(): void {
  // nobody listens
}

function tale(extra: Partial<Tale> = {}): Tale {
  return {
    regarding: { kind: 'Service', namespace: 'shop', name: 'web', uid: 'u1' },
    type: 'Warning',
    reason: 'FailedToStartServiceHealthcheck',
    action: 'Listen',
    note: 'node n1 failed',
    ...extra,
  }
}

/* Lets the recorder finish what it has begun. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

test('events: are written as kube-proxy writes them', async (context) => {
  const { recorder, requests, reached } = telling(context)
  recorder.record(tale())
  await reached(1)
  const [{ method, path, body } = assert.fail()] = requests
  const { metadata, ...rest } = body as { metadata: { name: string; namespace: string } }
  assert.equal(method, 'POST')
  assert.equal(path, '/apis/events.k8s.io/v1/namespaces/shop/events')
  assert.match(metadata.name, /^web\.[0-9a-f]+$/)
  assert.equal(metadata.namespace, 'shop')
  assert.deepEqual(rest, {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    eventTime: '2026-01-01T00:00:00.000000Z',
    reportingController: 'kube-proxy',
    reportingInstance: `kube-proxy-${hostname()}`,
    action: 'Listen',
    reason: 'FailedToStartServiceHealthcheck',
    type: 'Warning',
    note: 'node n1 failed',
    regarding: { apiVersion: 'v1', kind: 'Service', namespace: 'shop', name: 'web', uid: 'u1' },
  })
})

test('events: one about a node goes to the namespace default', async (context) => {
  const { recorder, requests, reached } = telling(context)
  const regarding = { kind: 'Node', namespace: '', name: 'n1', uid: 'n1' } as const
  recorder.record(tale({ regarding, type: 'Normal', reason: 'Starting', note: '' }))
  await reached(1)
  assert.equal(requests[0]?.path, '/apis/events.k8s.io/v1/namespaces/default/events')
  const { regarding: written } = requests[0].body as { regarding: unknown }
  assert.deepEqual(written, { apiVersion: 'v1', kind: 'Node', name: 'n1', uid: 'n1' })
})

test('events: a repetition is a count on the first, and told seldom', async (context) => {
  const { recorder, requests, reached, pass } = telling(context)
  recorder.record(tale())
  await reached(1)
  await settled()
  pass(second)
  recorder.record(tale())
  await reached(2)
  await settled()
  const { name } = (requests[0]?.body as { metadata: { name: string } }).metadata
  assert.equal(requests[1]?.method, 'PATCH')
  assert.equal(requests[1].path, `/apis/events.k8s.io/v1/namespaces/shop/events/${name}`)
  assert.equal(requests[1].contentType, 'application/merge-patch+json')
  assert.deepEqual(requests[1].body, {
    series: { count: 2, lastObservedTime: '2026-01-01T00:00:01.000000Z' },
  })
  for (let i = 0; i < 50; i++) recorder.record(tale())
  await settled()
  assert.equal(requests.length, 2)
  pass(300 * second)
  recorder.record(tale())
  await reached(3)
  assert.equal((requests[2]?.body as { series: { count: number } }).series.count, 53)
})

test('events: an Event that is gone is written anew', async (context) => {
  const { recorder, requests, reached } = telling(context, {
    fault: (request) => (request === 2 ? 404 : undefined),
  })
  recorder.record(tale())
  await reached(1)
  await settled()
  recorder.record(tale())
  await reached(3)
  assert.deepEqual(
    requests.map(({ method }) => method),
    ['POST', 'PATCH', 'POST'],
  )
  assert.equal((requests[2]?.body as { series: { count: number } }).series.count, 2)
})

test('events: a server in trouble is asked three times, one that refuses once', async (context) => {
  const troubled = telling(context, { fault: (request) => (request <= 3 ? 500 : undefined) })
  troubled.recorder.record(tale())
  troubled.recorder.record(tale({ reason: 'Other' }))
  await troubled.reached(4)
  const reasons = troubled.requests.map(({ body }) => (body as Tale).reason)
  assert.deepEqual(new Set(reasons.slice(0, 3)), new Set(['FailedToStartServiceHealthcheck']))
  assert.equal(reasons[3], 'Other')
  const refusing = telling(context, { fault: () => 403 })
  refusing.recorder.record(tale())
  refusing.recorder.record(tale({ reason: 'Other' }))
  await refusing.reached(2)
  await settled()
  assert.equal(refusing.requests.length, 2)
  assert.deepEqual(refusing.warnings, ['event not told'])
})

test('events: what is recorded before there is a server is told later', async (context) => {
  const { recorder, requests } = telling(context, { isConnected: false })
  recorder.record(tale())
  recorder.record(tale())
  await settled()
  assert.equal(requests.length, 0)
  const told = Promise.withResolvers<unknown>()
  recorder.connect({
    json: ({ body }) => {
      told.resolve(body)
      return Promise.resolve({})
    },
  })
  assert.equal(((await told.promise) as { series: { count: number } }).series.count, 2)
})

test('events: a burst is told at once, the rest as the rate allows', async (context) => {
  const { recorder, requests, reached, pass } = telling(context, { burst: 3, perSecond: 100 })
  for (let i = 0; i < 5; i++) recorder.record(tale({ reason: `R${i}` }))
  await reached(3)
  await settled()
  assert.equal(requests.length, 3)
  pass(20)
  await reached(5)
})

test('events: one object cannot fill the memory, nor can all together', async (context) => {
  const { recorder, requests, reached } = telling(context, { burst: 1e6, perSecond: 1e6 })
  for (let i = 0; i < 100; i++) recorder.record(tale({ note: `n${i}` }))
  for (let i = 0; i < 2000; i++) {
    const regarding = { kind: 'Service', namespace: 'shop', name: `s${i}`, uid: '' } as const
    recorder.record(tale({ regarding }))
  }
  await reached(1000)
  await settled()
  assert.equal(requests.length, 1000)
  const aboutWeb = requests.filter(({ body }) => (body as Tale).regarding.name === 'web')
  assert.equal(aboutWeb.length, 25)
})

test('events: a long note is cut, a long name as well', async (context) => {
  const { recorder, requests, reached } = telling(context)
  const name = 'x'.repeat(253)
  const regarding = { kind: 'EndpointSlice', namespace: 'shop', name, uid: '' } as const
  recorder.record(tale({ regarding, note: 'y'.repeat(5000) }))
  await reached(1)
  const body = requests[0]?.body as { note: string; metadata: { name: string }; regarding: object }
  assert.equal(body.note.length, 1024)
  assert.ok(body.metadata.name.length <= 253)
  assert.deepEqual(body.regarding, {
    ...{ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice' },
    ...{ namespace: 'shop', name },
  })
})
