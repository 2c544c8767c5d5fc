import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bootstrap, isNoDifference, median, pairedRatio, unpairedRatio } from './statistics.ts'

test('median() is the middle value, or the mean of the two in the middle', () => {
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([4, 1, 2, 3]), 2.5)
  assert.ok(Number.isNaN(median([])))
})

test('bootstrap() gives an interval around the median, the same each time', () => {
  const samples = Array.from({ length: 25 }, (_, at) => 100 + (at % 5))
  const interval = bootstrap(samples)
  assert.equal(interval.middle, 102)
  assert.ok(interval.low >= 100 && interval.low < interval.middle, `${interval.low}`)
  assert.ok(interval.high <= 104 && interval.high > interval.middle, `${interval.high}`)
  assert.deepEqual(bootstrap(samples), interval)
})

test('pairedRatio() sees a small difference under a drift that hides it from medians', () => {
  const drift = Array.from({ length: 25 }, (_, at) => 100 + 10 * at)
  const slower = drift.map((value, at) => value * (1.03 + (at % 2) / 1000))
  const ratio = pairedRatio(slower, drift)
  assert.ok(!isNoDifference(ratio))
  assert.ok(Math.abs(ratio.middle - 1.03) < 0.002, `${ratio.middle}`)
  assert.ok(isNoDifference(unpairedRatio(slower, drift)))
})

test('pairedRatio() refuses rounds that do not belong together', () => {
  assert.throws(() => pairedRatio([1, 2], [1]), /ratio of 2 rounds to 1/)
})

test('isNoDifference() is whether the interval holds 1', () => {
  assert.ok(isNoDifference({ low: 0.99, middle: 1.005, high: 1.02 }))
  assert.ok(!isNoDifference({ low: 1.001, middle: 1.005, high: 1.02 }))
})
