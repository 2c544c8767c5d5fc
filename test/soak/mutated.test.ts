import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outside4, outside6 } from '../datapath/cast.ts'
import { build, damageOf, errorsOf, shapes, waysOf } from '../datapath/hostile-frames.ts'
import { programsOf } from '../datapath/hostile-programs.ts'

/** Runs of all programs together. */
const runs = Number(process.env['KUBE_SHUNT_MUTATED_RUNS'] ?? 1e8)
const longest = 200

test(`${runs} runs of the programs on mutated frames do no harm`, { timeout: 0 }, (t) => {
  const seeds = [outside4, outside6].map((outside) => [
    ...waysOf(outside).flatMap(([from, to]) => shapes.map((shape) => build(shape, from, to))),
    ...errorsOf(outside),
  ])
  const hostile = [outside4, outside6].map(programsOf)
  const programs = hostile.map((each) => Object.entries(each.programs))
  const random = randomFrom(Number(process.env['KUBE_SHUNT_SEED'] ?? 1))
  const fates = { pass: 0, drop: 0, back: 0 }
  const started = performance.now()
  for (let run = 0; run < runs; run++) {
    const family = random(2)
    const bytes = mutate(pick(seeds[family]!, random), random)
    const [name, go] = pick(programs[family]!, random)
    const { action, data } = go(bytes)
    fates[action]++
    const damage = action === 'pass' ? damageOf(bytes, data) : undefined
    assert.equal(damage, undefined, `${name}, run ${run}: ${bytes.toString('hex')}`)
  }
  const rate = runs / ((performance.now() - started) / 1000)
  const entries = hostile.map(({ node }) => node.tables.entries().length)
  t.diagnostic(
    `${Math.round(rate)} runs a second, ${JSON.stringify(fates)}, entries ${entries.join(' and ')}`,
  )
})

/** Up to four bytes changed, and now and then an end cut off or added. */
function mutate(seed: Buffer, random: Random): Buffer {
  const whole = Buffer.from(seed)
  for (let left = random(5); left > 0; left--) whole[random(whole.length)] = random(256)
  const fate = random(8)
  if (fate === 0) return whole.subarray(0, shortestOf(whole) + random(whole.length))
  if (fate === 1) return Buffer.concat([whole, Buffer.alloc(random(longest), random(256))])
  return whole
}

/** What the kernel takes for a test run. */
function shortestOf(bytes: Buffer): number {
  const type = bytes.readUInt16BE(12)
  return type === 0x0800 ? 34 : type === 0x86dd ? 54 : 14
}

type Random = (below: number) => number

function randomFrom(seed: number): Random {
  let state = seed >>> 0 || 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

function pick<T>(from: readonly T[], random: Random): T {
  return from[random(from.length)]!
}
