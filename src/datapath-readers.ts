import { counterNames } from './datapath/abi.ts'
import type { CollectReport } from './datapath/collect.ts'
import { mapInfo } from './datapath/native-info.ts'
import { perCpuOf, type PerCpuMap } from './datapath/percpu.ts'
import type { Datapath } from './datapath/programs.ts'
import type { DatapathReaders, FrontendCount, MapUse } from './metrics/datapath.ts'
import { freeSlots, type ExtentPool } from './plan/extent-pool.ts'
import type { NumberPool } from './plan/number-pool.ts'
import type { PlanState } from './plan/state.ts'

/** What is known of the maps besides what they hold. */
export interface ReaderSource {
  state: PlanState | undefined
  collected: CollectReport | undefined
}

const plannedMaps = [
  'frontends',
  'frontend_words',
  'backends',
  'backend_states',
  'source_ranges',
] as const

/** What a scrape reads of the maps. */
export function readersOf(datapath: Datapath, source: ReaderSource): DatapathReaders {
  const counters = perCpuOf(datapath.mapFd('counters'))
  const stats = perCpuOf(datapath.mapFd('frontend_stats'))
  const sizes = Object.fromEntries(
    [...plannedMaps, 'flows', 'half_open'].map((map) => [
      map,
      mapInfo(datapath.mapFd(map)).maxEntries,
    ]),
  )
  return {
    readCounters: () => counters.sumRange(0, counterNames.length),
    readMaps: () => mapUses(sizes, source),
    readFrontends: () => frontendCounts(source.state, stats),
  }
}

function mapUses(sizes: Readonly<Record<string, number>>, source: ReaderSource): MapUse[] {
  const { state, collected } = source
  const used: Readonly<Record<string, number | undefined>> = {
    frontends: state?.keys.size,
    frontend_words: state && takenNumbers(state.indexes) - resting(state, 'indexes'),
    backends: state && takenSlots(state.extents) - restingSlots(state),
    backend_states: state && takenNumbers(state.ids) - resting(state, 'ids'),
    source_ranges: state?.rangeCount,
    flows: collected && collected.flows * 2,
    half_open: collected && collected.halfOpen * 2,
  }
  return Object.entries(sizes).map(([map, max]) => ({ map, entries: used[map], max }))
}

/* What rests is free for the next pass, which may be long in coming. */
function resting({ resting: rests }: PlanState, what: 'indexes' | 'ids'): number {
  return rests.reduce((sum, rest) => sum + rest[what].length, 0)
}

function restingSlots({ resting: rests }: PlanState): number {
  return rests.flatMap(({ extents }) => extents).reduce((sum, { size }) => sum + size, 0)
}

function takenSlots(pool: ExtentPool): number {
  return pool.limit - pool.first - freeSlots(pool)
}

function takenNumbers(pool: NumberPool): number {
  return pool.next - 1 - pool.free.length
}

function frontendCounts(state: PlanState | undefined, stats: PerCpuMap): FrontendCount[] {
  if (state === undefined) return []
  const sums = stats.sumRange(0, state.indexes.next)
  const { fields } = stats
  return [...state.services.values()].flatMap(({ frontends }) =>
    frontends.map(({ index, text, kind, protocol }) => {
      const at = index * fields
      return { text, kind, protocol, flows: sums[at] ?? 0, rejects: sums[at + 1] ?? 0 }
    }),
  )
}
