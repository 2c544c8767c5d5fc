import type {
  Choice,
  Family,
  FrontendKey,
  FrontendKind,
  Protocol,
  ServiceName,
  ServicePortName,
} from '../model/types.ts'

/** The index of a key that says "a VIP of ours, unused port". */
export const UNUSED_PORT = 0xffffffff

/** Slots before this one stay unused: a word with base 0 has no slots, not even spares. */
export const firstSlot = 1

/** A backend with its stable id: what a slot of an extent holds. */
export interface Slot {
  readonly id: number
  readonly generation: number
  readonly address: string
  readonly port: number
  readonly local: boolean
}

/** A slot and whether its backend still serves. */
export interface TrackedBackend extends Slot {
  readonly alive: boolean
}

/** A range of the `backends` array. */
export interface Extent {
  readonly base: number
  readonly size: number
}

/** The slots of an extent as a word counts them: `lead` only for clients outside. */
export interface Placed {
  readonly count: number
  readonly local: number
  readonly lead: number
}

/** Everything the maps hold for one index. */
export interface FrontendImage {
  readonly index: number
  readonly servicePort: ServicePortName
  readonly kind: FrontendKind
  readonly family: Family
  readonly protocol: Protocol
  /** namespace/name:portName, as in `frontend_names`. */
  readonly text: string
  readonly keys: readonly FrontendKey[]
  readonly ownsAddresses: boolean
  readonly extent: Extent
  /** The set for clients outside the cluster, local ones first, then the spares. */
  readonly slots: readonly TrackedBackend[]
  readonly count: number
  readonly local: number
  /** How many slots at the start clients in the cluster leave out. */
  readonly lead: number
  /** How slots are chosen from; 'unknown': a restore found tables that we would fill otherwise. */
  readonly choice: Choice | 'unknown'
  /** What the word says: the same as the set for a choice at random. */
  readonly placed: Placed
  readonly generation: number
  readonly localOnly: boolean
  readonly externalLocalOnly: boolean
  readonly affinitySeconds: number
  /** Only clients in these are let in; undefined: everybody is. */
  readonly sourceRanges: readonly string[] | undefined
}

/** Everything the maps hold for one Service. */
export interface ServiceImage {
  readonly service: ServiceName
  readonly frontends: readonly FrontendImage[]
}

/** What one 64-bit store publishes. */
export interface Commit {
  readonly base: number
  readonly count: number
  readonly local: number
  readonly generation: number
}

/** A frontend word, decoded: the set for clients in the cluster, and that for others. */
export interface Word extends Commit {
  readonly external: Commit
  readonly localOnly: boolean
  readonly externalLocalOnly: boolean
  readonly affinity: boolean
  readonly affinitySeconds: number
  /** Only clients in source_ranges are let in. */
  readonly hasRanges: boolean
  /** Slots are tables, and nodes choose alike. */
  readonly maglev: boolean
}

/** How many entries each map can hold. */
export interface Limits {
  /** Entries of `frontends`. */
  readonly keys: number
  /** Entries of `frontend_words`, `frontend_names` and `frontend_stats`. */
  readonly indexes: number
  /** Slots of `backends`. */
  readonly slots: number
  /** Entries of `backend_states`. */
  readonly ids: number
  /** Entries of `source_ranges`. */
  readonly ranges: number
  /** Sizes of Maglev tables, the smallest first. */
  readonly tableSizes: readonly number[]
}

/** One write to a map. Each may be repeated. */
export type MapOp =
  | {
      readonly kind: 'state'
      readonly id: number
      readonly generation: number
      readonly alive: boolean
    }
  | {
      readonly kind: 'slots'
      readonly index: number
      readonly base: number
      readonly slots: readonly Slot[]
    }
  | {
      readonly kind: 'name'
      readonly index: number
      readonly frontend: FrontendKind
      readonly text: string
    }
  | { readonly kind: 'unname'; readonly index: number }
  | { readonly kind: 'unstat'; readonly index: number }
  | { readonly kind: 'word'; readonly index: number; readonly word: Word; readonly text: string }
  | { readonly kind: 'range'; readonly index: number; readonly range: string }
  | { readonly kind: 'unrange'; readonly index: number; readonly range: string }
  /** A range that cannot be read, in hexadecimal. */
  | { readonly kind: 'unrange-bytes'; readonly bytes: string }
  | { readonly kind: 'key'; readonly key: FrontendKey; readonly index: number }
  | { readonly kind: 'unkey'; readonly key: FrontendKey }
  /** A key that cannot be read, in hexadecimal. */
  | { readonly kind: 'unkey-bytes'; readonly bytes: string }

/** The word that publishes a frontend. */
export function wordOf(frontend: FrontendImage): Word {
  const { extent, generation } = frontend
  const { count, local, lead } = frontend.placed
  return {
    base: extent.base + lead,
    count: count - lead,
    local: local - lead,
    generation,
    external: { base: extent.base, count, local, generation },
    localOnly: frontend.localOnly,
    externalLocalOnly: frontend.externalLocalOnly,
    affinity: frontend.affinitySeconds > 0,
    affinitySeconds: frontend.affinitySeconds,
    hasRanges: frontend.sourceRanges !== undefined,
    maglev: frontend.choice !== 'random',
  }
}
