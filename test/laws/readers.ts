import assert from 'node:assert/strict'
import { decodeDump } from '../../src/datapath/restore.ts'
import type { Commit, MapOp } from '../../src/plan/image.ts'
import type { MapDump } from '../../src/plan/restore.ts'
import type { FakeMaps } from '../fakes/fake-maps.ts'

/** Whatever a packet looks up now must lead to live backends of that very frontend. */
export function checkReaders(maps: FakeMaps, mustLive = true): void {
  const dump = decodeDump(maps.dump())
  for (const { index, range } of dump.ranges) {
    assert.ok(dump.name(index) !== undefined, `nobody has the index that ${range} is for`)
  }
  for (const { key, index, isSound } of dump.keys) {
    assert.ok(isSound, `${key.text} has another key's echo`)
    if (key.protocol === undefined) continue
    assert.ok(dump.name(index) !== undefined, `${key.text} has no name`)
    const word = dump.word(index)
    for (const set of [word, word.external])
      checkSet(dump, { text: key.text, index, set, isTable: word.maglev }, mustLive)
  }
}

/** An index gets a frontend only when nobody can be let in by the ranges of the last one. */
export function checkUnused(maps: FakeMaps, index: number): void {
  const left = decodeDump(maps.dump()).ranges.filter((one) => one.index === index)
  assert.deepEqual(left, [], `index ${index} is given with the ranges of another frontend`)
}

interface PublishedSet {
  readonly text: string
  readonly index: number
  readonly set: Commit
  readonly isTable: boolean
}

function checkSet(
  dump: MapDump,
  { text, index, set, isTable }: PublishedSet,
  mustLive: boolean,
): void {
  for (let at = 0; at < set.count; at++) {
    const slot = dump.slot(set.base + at)
    const state = dump.state(slot.id)
    assert.equal(slot.index, index, `${text} slot ${at} belongs to another frontend`)
    assert.equal(slot.generation, state.generation, `${text} slot ${at} is of another time`)
    assert.ok(state.alive || !mustLive, `${text} slot ${at} names a missing backend`)
    assert.ok(slot.local || at >= set.local, `${text} slot ${at}: local ones come first`)
    if (!isTable) assert.equal(slot.local, at < set.local, `${text} slot ${at} is counted`)
  }
}

/** Makes sure that nothing a packet may still be using is written within two seconds. */
export interface Lease {
  wrote(op: MapOp, now: number): void
  restarted(): void
}

export function createLease(): Lease {
  const extents = new Map<number, { base: number; count: number }>()
  let left: { base: number; count: number; until: number }[] = []
  return {
    wrote(op, now) {
      left = left.filter(({ until }) => until > now)
      if (op.kind === 'word' || op.kind === 'unname') {
        const old = extents.get(op.index)
        const isMoved = op.kind === 'unname' || old?.base !== op.word.external.base
        if (old !== undefined && isMoved) left.push({ ...old, until: now + 2000 })
        if (op.kind === 'unname') extents.delete(op.index)
        else extents.set(op.index, op.word.external)
      }
      if (op.kind !== 'slots') return
      const end = op.base + op.slots.length
      const isBusy = (extent: { base: number; count: number }): boolean =>
        extent.base < end && op.base < extent.base + extent.count
      assert.ok(!left.some(isBusy), `slots ${op.base}..${end} were published less than 2 s ago`)
    },
    restarted() {
      extents.clear()
      left = []
    },
  }
}
