import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { counterNames } from '../datapath/abi.ts'
import { openDatapathMaps } from '../datapath/maps.ts'
import { mapInfo, type MapInfo } from '../datapath/native-info.ts'
import { closeFd, getPinned } from '../datapath/native.ts'
import { openPerCpu } from '../datapath/percpu.ts'
import { decodeDump } from '../datapath/restore.ts'
import { rootPaths, type Root } from '../datapath/root.ts'
import { ShuntError } from '../errors.ts'
import type { MapDump } from '../plan/restore.ts'

/** What is pinned under a root, read without the agent. Every call opens what it needs. */
export interface Pins {
  readonly root: Root
  /** The maps that the agent writes. */
  dump(): MapDump
  /** Runs `read` with a descriptor of a map. */
  withMap<Result>(map: string, read: (fd: number) => Result): Result
  /** Every pinned map. */
  mapInfos(): MapInfo[]
  /** Sums over all CPUs by counter name. */
  counters(): ReadonlyMap<string, number>
  /** Flows and rejects of each frontend index. */
  frontendStats(): (index: number) => { readonly flows: number; readonly rejects: number }
}

/** The pins under a root; an error when there are none. */
export function openPins(bpffs: string): Pins {
  const root = rootPaths(bpffs)
  if (!existsSync(join(root.maps, 'frontends'))) {
    const where = `nothing of kube-shunt is pinned at ${bpffs}`
    throw new ShuntError('KSH_RUNTIME', `${where}; has the agent run, and with this --bpffs?`)
  }
  return {
    root,
    dump: () => readDump(root),
    withMap: (map, read) => withPin(join(root.maps, map), read),
    mapInfos: () =>
      readdirSync(root.maps).map((name) => withPin(join(root.maps, name), (fd) => mapInfo(fd))),
    counters: () => readCounters(root),
    frontendStats: () => readFrontendStats(root),
  }
}

/** Runs `read` with a descriptor of what is pinned at a path. */
export function withPin<Result>(path: string, read: (fd: number) => Result): Result {
  const fd = getPinned(path)
  try {
    return read(fd)
  } finally {
    closeFd(fd)
  }
}

function readDump(root: Root): MapDump {
  const opened: number[] = []
  const open = (map: string): number => {
    const fd = getPinned(join(root.maps, map))
    opened.push(fd)
    return fd
  }
  try {
    const maps = openDatapathMaps({
      frontends: open('frontends'),
      frontendWords: open('frontend_words'),
      frontendNames: open('frontend_names'),
      backends: open('backends'),
      backendStates: open('backend_states'),
      sourceRanges: existsSync(join(root.maps, 'source_ranges'))
        ? open('source_ranges')
        : undefined,
      clearStats: () => undefined,
    })
    return decodeDump(maps.dump())
  } finally {
    for (const fd of opened) closeFd(fd)
  }
}

/* An older layout may have fewer counters; those read as 0. */
function readCounters(root: Root): Map<string, number> {
  const map = openPerCpu(join(root.maps, 'counters'))
  try {
    const count = Math.min(map.info.maxEntries, counterNames.length)
    const sums = map.sumRange(0, count)
    return new Map(counterNames.map((name, at) => [name, sums[at] ?? 0]))
  } finally {
    map.close()
  }
}

function readFrontendStats(
  root: Root,
): (index: number) => { readonly flows: number; readonly rejects: number } {
  const map = openPerCpu(join(root.maps, 'frontend_stats'))
  try {
    const sums = map.sumRange(0, map.info.maxEntries)
    return (index) => ({ flows: sums[2 * index] ?? 0, rejects: sums[2 * index + 1] ?? 0 })
  } finally {
    map.close()
  }
}
