import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { createSchedule, type Schedule } from '../../src/reconcile/schedule.ts'

interface Clocked {
  readonly schedule: Schedule
  /** When passes started. */
  readonly starts: number[]
  readonly failures: unknown[]
  readonly pass: (milliseconds: number) => void
}

function clocked(
  context: TestContext,
  setting: { least?: number; takes?: number; fails?: (start: number) => boolean } = {},
): Clocked {
  const { least, takes = 0, fails = () => false } = setting
  context.mock.timers.enable({ apis: ['setTimeout'] })
  let now = 0
  const starts: number[] = []
  const failures: unknown[] = []
  const schedule = createSchedule({
    run() {
      starts.push(now)
      now += takes
      if (fails(starts.at(-1)!)) throw new Error('no')
    },
    failed: (error) => failures.push(error),
    gatherMilliseconds: 2,
    ...(least === undefined ? {} : { leastMilliseconds: least }),
    retryMilliseconds: 100,
    now: () => now,
  })
  const pass = (milliseconds: number): void => {
    for (let tick = 0; tick < milliseconds; tick++) {
      now++
      context.mock.timers.tick(1)
    }
  }
  return { schedule, starts, failures, pass }
}

test('schedule: changes at one time share a pass, soon after the first', (context) => {
  const { schedule, starts, pass } = clocked(context)
  schedule.nudge()
  schedule.nudge()
  pass(50)
  schedule.nudge()
  pass(50)
  assert.deepEqual(starts, [2, 52])
})

test('schedule: a least time keeps passes apart, and not a change after it', (context) => {
  const { schedule, starts, pass } = clocked(context, { least: 30 })
  schedule.nudge()
  pass(5)
  schedule.nudge()
  pass(45)
  schedule.nudge()
  pass(20)
  assert.deepEqual(starts, [2, 32, 62])
  pass(60)
  schedule.nudge()
  pass(10)
  assert.deepEqual(starts.slice(3), [132])
})

test('schedule: a pass that failed is repeated', (context) => {
  const { schedule, starts, failures, pass } = clocked(context, { fails: (start) => start < 50 })
  schedule.nudge()
  pass(300)
  assert.deepEqual(starts, [2, 102])
  assert.equal(failures.length, 1)
})

test('schedule: a pass that takes long to fail leaves time before the next', (context) => {
  const { schedule, starts, pass } = clocked(context, { takes: 300, fails: (start) => start < 50 })
  schedule.nudge()
  pass(450)
  assert.deepEqual(starts, [2, 402])
})

test('schedule: stopped, it runs nothing', (context) => {
  const { schedule, starts, pass } = clocked(context)
  schedule.nudge()
  schedule.stop()
  pass(50)
  assert.deepEqual(starts, [])
})
