import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { services } from '../../src/kube/resources.ts'
import type { Transport } from '../../src/kube/transport.ts'
import { followWatch } from '../../src/kube/watch-stream.ts'
import type { WatchEvent } from '../../src/kube/watch-stream.ts'
import { service } from './support/reflecting.ts'

/** A transport whose every answer is this body. */
function answering(chunks: (signal: AbortSignal) => AsyncGenerator<Buffer>): Transport {
  return {
    server: 'http://test',
    open: ({ signal }) =>
      Promise.resolve({
        status: 200,
        body: Object.assign(chunks(signal), { destroy: () => undefined }),
      }),
    json: () => Promise.reject(new Error('not here')),
    close: () => Promise.resolve(),
  }
}

function watchOf(transport: Transport, onEvent: (event: WatchEvent) => void, inactivityMs = 5000) {
  return followWatch({
    transport,
    resource: services,
    resourceVersion: '1',
    timeoutSeconds: 300,
    inactivityMs,
    initialSilenceMs: inactivityMs,
    maxObjectBytes: 1_000_000,
    signal: new AbortController().signal,
    onEvent,
  })
}

/** All events of a watch whose bytes come in pieces of this length. */
async function eventsOf(text: string, pieceLength: number): Promise<WatchEvent[]> {
  const bytes = Buffer.from(text)
  const events: WatchEvent[] = []
  const transport = answering(async function* () {
    for (let at = 0; at < bytes.length; at += pieceLength) {
      yield bytes.subarray(at, at + pieceLength)
      await Promise.resolve()
    }
  })
  assert.equal(await watchOf(transport, (event) => events.push(event)), 'closed')
  return events
}

function line(type: string, object: unknown): string {
  return `${JSON.stringify({ type, object })}\n`
}

test('followWatch reads a 64 kB event in pieces of one byte, and two events in one piece', async () => {
  const large = service('large', { annotations: { text: 'é'.repeat(32_000) } })
  const text =
    line('ADDED', large) +
    line('DELETED', service('gone')) +
    line('BOOKMARK', { metadata: { resourceVersion: '9' } })
  for (const pieceLength of [1, 7, 1_000_000]) {
    const events = await eventsOf(text, pieceLength)
    assert.deepEqual(events, [
      { kind: 'upsert', raw: large, resourceVersion: '' },
      { kind: 'remove', raw: service('gone'), resourceVersion: '' },
      { kind: 'bookmark', resourceVersion: '9', initialEventsEnd: false },
    ])
  }
})

test('followWatch throws for ERROR, for unknown types, for what is not JSON and for a cut', async () => {
  const status = { message: 'too old', code: 410, details: { retryAfterSeconds: 2 } }
  await assert.rejects(eventsOf(line('ERROR', status), 100), {
    status: 410,
    inStream: true,
    retryAfterMs: 2000,
  })
  await assert.rejects(eventsOf(line('SURPRISE', {}), 100), { inStream: true })
  await assert.rejects(eventsOf('{"type":\n', 100), /not JSON/)
  await assert.rejects(eventsOf('null\n', 100), /unknown type/)
  await assert.rejects(eventsOf(line('ADDED', service('a')).slice(0, -3), 100), /cut inside/)
})

test('followWatch gives the event loop its turns while one piece with many events is read', async () => {
  const text = Array.from({ length: 200 }, (_, index) => line('ADDED', service(`s${index}`))).join(
    '',
  )
  let turns = 0
  let counting = true
  const count = (): void => {
    turns++
    if (counting) setImmediate(count)
  }
  const transport = answering(async function* () {
    await Promise.resolve()
    setImmediate(count)
    yield Buffer.from(text)
  })
  await watchOf(transport, () => {
    const end = performance.now() + 0.5
    while (performance.now() < end);
  })
  counting = false
  assert.ok(turns > 20, `${turns} turns in 100 ms of work`)
})

test('followWatch counts silence from the last piece', async () => {
  const transport = answering(async function* (signal) {
    for (let count = 0; count < 6; count++) {
      await delay(40, undefined, { signal })
      yield Buffer.from(line('BOOKMARK', { metadata: { resourceVersion: String(count) } }))
    }
    await delay(10_000, undefined, { signal })
  })
  let events = 0
  assert.equal(await watchOf(transport, () => events++, 150), 'silent')
  assert.equal(events, 6)
})
