import type { MapOp } from './image.ts'

type OpOf<Kind extends MapOp['kind']> = Extract<MapOp, { kind: Kind }>

/** The writes of one pass by what they do, so that they can be put in order. */
export interface Changes {
  readonly births: OpOf<'state'>[]
  readonly slots: OpOf<'slots'>[]
  readonly names: OpOf<'name'>[]
  readonly unstats: OpOf<'unstat'>[]
  readonly words: OpOf<'word'>[]
  readonly keys: OpOf<'key'>[]
  readonly vips: OpOf<'key'>[]
  readonly unkeys: MapOp[]
  readonly deaths: OpOf<'state'>[]
  readonly unnames: OpOf<'unname'>[]
}

export function noChanges(): Changes {
  return {
    births: [],
    slots: [],
    names: [],
    unstats: [],
    words: [],
    keys: [],
    vips: [],
    unkeys: [],
    deaths: [],
    unnames: [],
  }
}

/**
 * Make before break: backends are alive and in their extent before a word names them, a word is
 * there before its key, a VIP answers for unused ports only after its used ones, and nothing is
 * taken away before its replacement is published.
 */
export function order(changes: Changes): MapOp[] {
  return [
    ...changes.births,
    ...changes.slots,
    ...changes.names,
    ...changes.unstats,
    ...changes.words,
    ...changes.keys,
    ...changes.vips,
    ...changes.unkeys,
    ...changes.deaths,
    ...changes.unnames,
  ]
}
