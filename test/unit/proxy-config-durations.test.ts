import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatGoDuration, parseGoDuration } from '../../src/proxy-config/go-duration.ts'

const pairs: readonly (readonly [string, number])[] = [
  ['0s', 0],
  ['1ns', 1],
  ['1.5µs', 1500],
  ['250ms', 250e6],
  ['1s', 1e9],
  ['1.5s', 1.5e9],
  ['1m0s', 60e9],
  ['15m0s', 900e9],
  ['1h0m0s', 3600e9],
  ['24h0m0s', 86_400e9],
  ['2h22m3.000000004s', 8523e9 + 4],
  ['-30s', -30e9],
]

test('formatGoDuration: writes what Go writes', () => {
  for (const [text, nanoseconds] of pairs) assert.equal(formatGoDuration(nanoseconds), text)
})

test('parseGoDuration: reads what Go writes', () => {
  for (const [text, nanoseconds] of pairs) assert.equal(parseGoDuration(text), nanoseconds, text)
})

test('parseGoDuration: reads the other forms Go reads', () => {
  const forms: readonly (readonly [string, number])[] = [
    ['0', 0],
    ['+5s', 5e9],
    ['.5s', 5e8],
    ['1.s', 1e9],
    ['90m', 5400e9],
    ['1h30m', 5400e9],
    ['1us', 1000],
    ['1μs', 1000],
    ['30m1h', 5400e9],
  ]
  for (const [text, nanoseconds] of forms) assert.equal(parseGoDuration(text), nanoseconds, text)
})

test('parseGoDuration: refuses what Go refuses', () => {
  for (const text of [
    '',
    '1',
    's',
    '1x',
    ' 1s',
    '1s ',
    '1 s',
    '.s',
    '--1s',
    '1d',
    '9999999h',
    '1e3s',
  ])
    assert.equal(parseGoDuration(text), undefined, text)
})

test('parseGoDuration: reads back every duration that is written', () => {
  fc.assert(
    fc.property(fc.integer({ min: -1e15, max: 1e15 }), (nanoseconds) => {
      assert.equal(parseGoDuration(formatGoDuration(nanoseconds)), nanoseconds)
    }),
  )
})
