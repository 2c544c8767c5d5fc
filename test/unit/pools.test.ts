import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  createExtentPool,
  freeSlots,
  giveExtent,
  reserveExtents,
  takeExtent,
} from '../../src/plan/extent-pool.ts'
import type { Extent } from '../../src/plan/image.ts'
import { createNumberPool, reserveNumbers, takeNumber } from '../../src/plan/number-pool.ts'

describe('extent pool', () => {
  it('takeExtent() never gives a slot twice and finds every range that exists', () => {
    const steps = fc.array(fc.tuple(fc.boolean(), fc.nat(9), fc.nat()), {
      size: 'max',
      maxLength: 200,
    })
    fc.assert(
      fc.property(steps, (all) => {
        const pool = createExtentPool(64)
        const held: Extent[] = []
        for (const [isTake, size, pick] of all) {
          if (!isTake && held.length > 0) {
            giveExtent(pool, held.splice(pick % held.length, 1)[0]!)
            continue
          }
          const extent = takeExtent(pool, size)
          const gap = largestGap(held)
          assert.equal(extent !== undefined, size <= gap, `${size} of ${gap}`)
          if (extent !== undefined) held.push(extent)
        }
        const used = held.reduce((sum, { size }) => sum + size, 0)
        assert.equal(freeSlots(pool), 64 - used)
        const slots = held.flatMap(({ base, size }) =>
          Array.from({ length: size }, (_, i) => base + i),
        )
        assert.equal(new Set(slots).size, slots.length)
        assert.ok(slots.every((slot) => slot < 64))
      }),
    )
  })

  it('reserveExtents() leaves what is between free', () => {
    const pool = createExtentPool(20)
    reserveExtents(pool, [
      { base: 10, size: 5 },
      { base: 2, size: 3 },
      { base: 0, size: 0 },
    ])
    assert.equal(freeSlots(pool), 12)
    const taken = [5, 5, 2].map((size) => takeExtent(pool, size)!.base)
    assert.deepEqual(
      taken.sort((a, b) => a - b),
      [0, 5, 15],
    )
    assert.equal(takeExtent(pool, 1), undefined)
  })

  it('takeExtent() of nothing takes no room', () => {
    const pool = createExtentPool(0)
    assert.deepEqual(takeExtent(pool, 0), { base: 0, size: 0 })
    assert.equal(takeExtent(pool, 1), undefined)
  })
})

function largestGap(held: readonly Extent[]): number {
  const used = new Uint8Array(64)
  for (const { base, size } of held) used.fill(1, base, base + size)
  return Math.max(
    ...[...used]
      .join('')
      .split('1')
      .map((gap) => gap.length),
  )
}

describe('number pool', () => {
  it('takeNumber() never gives 0 and ends at the limit', () => {
    const pool = createNumberPool(4)
    assert.deepEqual(
      [1, 2, 3, 4].map(() => takeNumber(pool)),
      [1, 2, 3, undefined],
    )
    pool.free.push(2)
    assert.equal(takeNumber(pool), 2)
  })

  it('reserveNumbers() leaves the gaps free', () => {
    const pool = createNumberPool(8)
    reserveNumbers(pool, new Set([5, 2]))
    const taken = Array.from({ length: 6 }, () => takeNumber(pool))
    assert.deepEqual(taken, [1, 3, 4, 6, 7, undefined])
  })
})
