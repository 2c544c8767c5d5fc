import type { FrontendKey, FrontendKind, ServiceName, ServicePortName } from '../model/types.ts'
import { createClaims, type Claims } from './claims.ts'
import { createExtentPool, type ExtentPool } from './extent-pool.ts'
import { firstSlot, type Extent, type Limits, type MapOp, type ServiceImage } from './image.ts'
import { createNumberPool, type NumberPool } from './number-pool.ts'

/** Why a frontend is not programmed as it should be; 'taken': an older Service has the address. */
export type RefusalReason =
  | 'taken'
  | 'frontends-full'
  | 'backends-full'
  | 'backend-ids-full'
  | 'too-many-backends'
  | 'source-ranges-full'

export interface PlanRefusal {
  readonly service: ServiceName
  readonly servicePort: ServicePortName
  readonly kind: FrontendKind
  readonly reason: RefusalReason
  readonly detail: string
}

/** What a pass freed. A packet may still be using it, so it rests before it is given again. */
export interface Freed {
  readonly indexes: number[]
  readonly ids: number[]
  readonly extents: Extent[]
}

/** Something freed and until when it rests. */
export interface Rest extends Freed {
  readonly until: number
}

/** What a restore found and could not make sense of; removed when all inputs are known. */
export interface Garbage {
  readonly keys: Map<string, FrontendKey>
  /** Raw keys that cannot be read at all, in hexadecimal. */
  readonly strangeKeys: string[]
  /** The same of `source_ranges`. */
  readonly strangeRanges: string[]
  readonly ids: number[]
  readonly indexes: number[]
  readonly extents: Extent[]
}

/**
 * What the maps hold once `unapplied` is written, and which numbers are free. Changed in place
 * by passes (a copy of 50 000 Services a pass would be too slow) and by nothing else.
 */
export interface PlanState {
  readonly limits: Limits
  readonly services: Map<ServiceName, ServiceImage>
  /** Index by key text, `unknownIndex` where a restore could not read it. */
  readonly keys: Map<string, number>
  /** How many keys of frontends that own their addresses use each address. */
  readonly vips: Map<string, number>
  /** The ranges in `source_ranges` by the index they are for; indexes without any are absent. */
  readonly ranges: Map<number, ReadonlySet<string>>
  rangeCount: number
  /** How many of them the writes of this pass take away. */
  leavingRanges: number
  readonly claims: Claims
  readonly indexes: NumberPool
  readonly ids: NumberPool
  /** Generation of each backend id, 0: never used. */
  readonly generations: Uint32Array
  /** Generation of each frontend word, 0: never used. */
  readonly wordGenerations: Uint8Array
  readonly extents: ExtentPool
  readonly refused: Map<ServiceName, readonly PlanRefusal[]>
  readonly garbage: Garbage
  freed: Freed
  resting: Rest[]
  /** Room appeared since those refused for want of room were last tried. */
  hasNewRoom: boolean
  unapplied: readonly MapOp[]
}

/** Stands for an index that must be written again whatever is wanted. */
export const unknownIndex = -1

/** The state of empty maps. */
export function createPlanState(limits: Limits): PlanState {
  return {
    limits,
    services: new Map(),
    keys: new Map(),
    vips: new Map(),
    ranges: new Map(),
    rangeCount: 0,
    leavingRanges: 0,
    claims: createClaims(),
    indexes: createNumberPool(limits.indexes),
    ids: createNumberPool(limits.ids),
    generations: new Uint32Array(limits.ids),
    wordGenerations: new Uint8Array(limits.indexes),
    extents: createExtentPool(limits.slots, firstSlot),
    refused: new Map(),
    garbage: noGarbage(),
    freed: nothingFreed(),
    resting: [],
    hasNewRoom: false,
    unapplied: [],
  }
}

function noGarbage(): Garbage {
  return {
    keys: new Map(),
    strangeKeys: [],
    strangeRanges: [],
    ids: [],
    indexes: [],
    extents: [],
  }
}

export function nothingFreed(): Freed {
  return { indexes: [], ids: [], extents: [] }
}
