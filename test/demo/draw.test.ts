import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { clock, drawLine, drawScreen, painted, unpainted } from './draw.ts'
import { addSeconds, Meter } from './meter.ts'
import type { View } from './view.ts'
import type { DialReport } from '../cluster/traffic-reports.ts'

const backend = (name: string, perSecond: number, isPresent = true) => ({
  ...{ name, node: 'node1', isPresent, perSecond },
})

const view: View = {
  services: [
    {
      ...{ name: 'web', address: '10.96.0.10:80/TCP', perSecond: 300, failedPerSecond: 0 },
      ...{ p50: 212, failures: {} },
      backends: [backend('web-1', 150), backend('web-2', 75), backend('web-3', 0, false)],
    },
    {
      ...{ name: 'nobody', address: '10.96.0.13:80/TCP', perSecond: 0, failedPerSecond: 5 },
      ...{ p50: 0, failures: { ECONNREFUSED: 20 }, backends: [] },
    },
  ],
  nodes: [{ name: 'node1', state: 'killed', pid: 7, flows: 40, created: 900, dropped: 3 }],
  connections: { flows: 40, open: 39, resets: 1, timeouts: 0, longestMs: 12 },
  requests: { answered: 1234, failed: 2, longestSilenceMs: 40 },
}

const frame = {
  ...{ view, seconds: 65, scene: '1/5  Work', profile: 'bridge', columns: 80, rows: 24 },
  events: Array.from({ length: 50 }, (_, at) => `event ${at} ${'x'.repeat(100)}`),
}

test('drawScreen() stays within the terminal, colours counted out', () => {
  for (const [columns, rows] of [
    [80, 24],
    [70, 20],
    [200, 60],
  ] as const) {
    const lines = drawScreen({ ...frame, columns, rows }, painted)
    assert.ok(lines.length < rows, `${lines.length} lines in ${rows}`)
    for (const line of lines) assert.ok(stripVTControlCharacters(line).length <= columns, line)
  }
})

test('drawScreen() shows the newest events', () => {
  const lines = drawScreen(frame, unpainted)
  assert.match(lines.at(-1)!, /^event 49/)
})

test('drawScreen() draws bars in proportion and marks a backend that is away', () => {
  const text = drawScreen({ ...frame, columns: 120 }, unpainted).join('\n')
  const bars = [...text.matchAll(/web-\d (█*)/g)].map(([, bar]) => bar!.length)
  assert.deepEqual(bars, [28, 14, 0])
  assert.match(text, /web-3 .* node1 away/)
  assert.match(text, /nobody .* 5 refused .* ECONNREFUSED/)
  assert.match(text, /39\/40 open {2}1 reset/)
  assert.match(text, /agent KILLED .* 3 packets dropped/)
})

test('drawLine() says the same in one line', () => {
  assert.equal(
    drawLine(view),
    'web 300/s, nobody 5 refused/s | 39/40 connections open, 1 reset | 2 failed | agents: node1 killed',
  )
})

test('clock() counts minutes and seconds', () => {
  assert.equal(clock(65.9), '01:05')
})

test('Meter tells rates between two different reports, and the lowest of them', () => {
  const meter = new Meter()
  const report = (seconds: number, ok: number): DialReport => ({
    ...{ event: 'second', seconds, dialled: ok, ok, failures: 0, inFlight: 0 },
    ...{ longestSilenceMs: 1, backends: { a: ok }, peers: {}, failed: {} },
    latencyUs: { count: ok, mean: 1, min: 1, p50: 1, p95: 1, p99: 1, max: 1 },
  })
  for (const each of [report(1, 100), report(2, 150), report(2, 150), report(4, 350)])
    meter.feed(each)
  assert.equal(meter.second.answered, 100)
  assert.equal(meter.lowest, 50)
  assert.deepEqual(addSeconds([meter.second, meter.second]).backends, new Map([['a', 200]]))
})
