import type { Config } from './config.ts'
import { closeFd } from './datapath/native.ts'
import { openDatapathMaps, type KernelMaps } from './datapath/maps.ts'
import { mapMemory } from './datapath/native-memory.ts'
import { perCpuOf } from './datapath/percpu.ts'
import type { Datapath } from './datapath/programs.ts'
import { restore } from './datapath/restore.ts'
import type { Log } from './log.ts'
import type { ServiceName } from './model/types.ts'
import { createClusterState, type ClusterState } from './reconcile/cluster-state.ts'
import { reconcile, type Reconciler } from './reconcile/reconcile.ts'
import { createSchedule, type Schedule } from './reconcile/schedule.ts'
import type { Reports } from './reports.ts'

/** The control plane: cluster objects in, map writes out. */
export interface Control {
  readonly cluster: ClusterState
  nodeAddresses(): readonly string[]
  onNode(listener: () => void): void
  close(): void
}

export interface ControlOptions {
  readonly config: Config
  readonly datapath: Datapath
  readonly reports: Reports
  readonly log: Log
}

/** Events that arrive within this time of each other share a pass. */
const gatherMilliseconds = 2
const retryMilliseconds = 1_000

/** Restores what the maps hold, and runs a pass whenever the cluster changes from that. */
export function openControl(options: ControlOptions): Control {
  const { config, datapath, reports, log } = options
  const watched: Watched = { addresses: [], changed: () => undefined }
  const cluster = createClusterState(config.nodeName, {
    changed: () => {
      reports.queued(cluster.pending())
      schedule.nudge()
    },
    refused: (refused) => {
      for (const { field, value, reason } of refused.refusals)
        log.warn({ kind: refused.kind, name: refused.name, field, value, reason }, 'object refused')
      reports.refused(refused)
    },
    node: (node) => {
      watched.addresses = node?.addresses ?? []
      reports.node(node)
      watched.changed()
    },
  })
  const maps = openMaps(datapath)
  const state = restore(maps.dump())
  reports.planned(state)
  const reconciler = {
    cluster,
    state,
    maps,
    now: () => performance.now(),
    hasPruned: false,
    unreported: new Set<ServiceName>(),
  }
  const schedule = schedulePasses(reconciler, options)
  return {
    cluster,
    nodeAddresses: () => watched.addresses,
    onNode: (listener) => (watched.changed = listener),
    close: () => schedule.stop(),
  }
}

interface Watched {
  addresses: readonly string[]
  changed: () => void
}

function schedulePasses(reconciler: Reconciler, { reports, log }: ControlOptions): Schedule {
  const schedule = createSchedule({
    run: () => {
      const report = reconcile(reconciler)
      if (report === undefined) return
      reports.passed(report)
      if (report.wakeIn !== undefined) schedule.wakeIn(report.wakeIn + gatherMilliseconds)
      const { services, ops } = report
      if (ops.length > 0) log.debug({ services, ops: ops.length }, 'maps written')
    },
    failed: (err) => {
      log.error({ err }, 'pass failed')
      reports.passFailed()
    },
    gatherMilliseconds,
    retryMilliseconds,
    now: reconciler.now,
  })
  return schedule
}

function openMaps(datapath: Datapath): KernelMaps {
  const stats = perCpuOf(datapath.mapFd('frontend_stats'))
  return openDatapathMaps({
    frontends: datapath.mapFd('frontends'),
    frontendWords: datapath.mapFd('frontend_words'),
    frontendNames: datapath.mapFd('frontend_names'),
    backends: datapath.mapFd('backends'),
    backendStates: datapath.mapFd('backend_states'),
    wordsMemory: memoryOf(datapath, 'frontend_words'),
    statesMemory: memoryOf(datapath, 'backend_states'),
    clearStats: (index) => stats.clearIndex(index),
  })
}

function memoryOf(datapath: Datapath, map: string): ArrayBuffer {
  const fd = datapath.mapFd(map)
  const { memory } = mapMemory(fd)
  closeFd(fd)
  return memory
}
