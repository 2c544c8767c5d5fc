import type { MapOp } from './image.ts'

type OpOf<Kind extends MapOp['kind']> = Extract<MapOp, { kind: Kind }>

/** The writes of one pass by what they do, so that they can be put in order. */
export interface Changes {
  readonly births: OpOf<'state'>[]
  readonly slots: OpOf<'slots'>[]
  readonly names: OpOf<'name'>[]
  readonly unstats: OpOf<'unstat'>[]
  readonly ranges: OpOf<'range'>[]
  readonly words: OpOf<'word'>[]
  readonly keys: OpOf<'key'>[]
  readonly vips: OpOf<'key'>[]
  readonly unkeys: MapOp[]
  readonly deaths: OpOf<'state'>[]
  readonly unranges: MapOp[]
  readonly unnames: OpOf<'unname'>[]
}

export function noChanges(): Changes {
  return {
    births: [],
    slots: [],
    names: [],
    unstats: [],
    ranges: [],
    words: [],
    keys: [],
    vips: [],
    unkeys: [],
    deaths: [],
    unranges: [],
    unnames: [],
  }
}

/**
 * Make before break: backends are alive and in their extent before a word names them, the ranges
 * that a word asks for are there before it and go after it no longer asks, a word is there before its key, a VIP answers for unused ports only after its used ones, and nothing is
 * taken away before its replacement is published.
 */
export function order(changes: Changes): MapOp[] {
  return [
    ...changes.births,
    ...changes.slots,
    ...changes.names,
    ...changes.unstats,
    ...changes.ranges,
    ...changes.words,
    ...changes.keys,
    ...changes.vips,
    ...changes.unkeys,
    ...changes.deaths,
    ...changes.unranges,
    ...changes.unnames,
  ]
}
