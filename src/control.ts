import { networkInterfaces } from 'node:os'
import type { Config } from './config.ts'
import { closeFd } from './datapath/native.ts'
import { openDatapathMaps, openMap, type KernelMaps } from './datapath/maps.ts'
import { openNetwork, type NetworkOwner } from './datapath/network.ts'
import { mapMemory } from './datapath/native-memory.ts'
import { perCpuOf } from './datapath/percpu.ts'
import type { Datapath } from './datapath/programs.ts'
import { restore } from './datapath/restore.ts'
import type { Log } from './log.ts'
import { canonicalAddress } from './model/address.ts'
import { sameTexts } from './model/service-tracker.ts'
import type { ServiceName } from './model/types.ts'
import {
  createClusterState,
  type ClusterState,
  type ClusterStateEvents,
} from './reconcile/cluster-state.ts'
import { reconcile, type PassReport, type Reconciler } from './reconcile/reconcile.ts'
import { createSchedule, type Schedule } from './reconcile/schedule.ts'
import type { Reports } from './reports.ts'
import { followServiceRanges, type ServiceRangesFollower } from './service-ranges.ts'

/** The control plane: cluster objects in, map writes out. */
export interface Control {
  readonly cluster: ClusterState
  readonly network: NetworkOwner
  readonly serviceRanges: ServiceRangesFollower
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
/** How often the addresses of the node's interfaces are looked at. */
const lookMilliseconds = 2_000
/** How long the first pass waits for the Node, which may be missing or forbidden to us. */
const nodeMilliseconds = 5_000

/** Restores what the maps hold, and runs a pass whenever the cluster changes from that. */
export function openControl(options: ControlOptions): Control {
  const { config, datapath, reports } = options
  const { nodeAddress, nodePortAddresses, detectLocal } = config.proxy
  const { network, serviceRanges } = openServiceRanges(options)
  const addresses = ownAddresses(config)
  const watched: Watched = { addresses, changed: () => undefined, serviceRanges }
  const events = eventsOf(options, watched, () => {
    reports.changed(cluster.pending())
    if (cluster.isSynced()) reports.queued()
    schedule.nudge()
  })
  const { externalIpCidrs: externalRanges, sourceRangeKinds } = config
  const podRanges = detectLocal.clusterRanges
  const rules = { nodePortAddresses, externalRanges, sourceRangeKinds, podRanges }
  const cluster = createClusterState(config.nodeName, events, rules, nodeAddress)
  const maps = openMaps(datapath)
  const state = restore(maps.dump())
  reports.planned(state, cluster.uidOf)
  const reconciler = {
    cluster,
    state,
    maps,
    now: () => performance.now(),
    hasPruned: false,
    unreported: new Set<ServiceName>(),
  }
  const schedule = schedulePasses(reconciler, options)
  const stopFollowing = followNode(cluster, reports, serviceRanges)
  return {
    cluster,
    network,
    serviceRanges,
    nodeAddresses: () => watched.addresses,
    onNode: (listener) => (watched.changed = listener),
    close: () => {
      stopFollowing()
      schedule.stop()
    },
  }
}

/* What is known of the node's addresses while its object is not. */
function ownAddresses({ proxy: { nodeAddress } }: Config): readonly string[] {
  return nodeAddress === undefined ? [] : [nodeAddress]
}

function openServiceRanges({
  config,
  datapath,
  log,
}: ControlOptions): Pick<Control, 'network' | 'serviceRanges'> {
  const network = openNetwork(openMap(datapath.mapFd('network')))
  return {
    network,
    serviceRanges: followServiceRanges({ given: config.serviceCidrs, network, log }),
  }
}

interface Watched {
  addresses: readonly string[]
  changed: () => void
  readonly serviceRanges: ServiceRangesFollower
}

function eventsOf(
  { config, reports, log }: ControlOptions,
  watched: Watched,
  changed: () => void,
): ClusterStateEvents {
  return {
    changed,
    refused: (refused) => {
      for (const { field, value, reason } of refused.refusals)
        log.warn({ kind: refused.kind, name: refused.name, field, value, reason }, 'object refused')
      reports.refused(refused)
    },
    node: (node) => {
      const addresses = node?.addresses ?? ownAddresses(config)
      if (!sameTexts(addresses, watched.addresses) && addresses.length > 0)
        log.info({ addresses }, 'Successfully retrieved NodeIPs')
      watched.addresses = addresses
      reports.node(node)
      watched.serviceRanges.node(node)
      watched.changed()
    },
  }
}

/** Follows the node's own addresses, and waits for its Node only so long; the answer ends that. */
function followNode(
  cluster: ClusterState,
  reports: Reports,
  serviceRanges: ServiceRangesFollower,
): () => void {
  const look = (): void => {
    const addresses = interfaceAddresses()
    cluster.setInterfaceAddresses(addresses)
    reports.interfaces(addresses)
    serviceRanges.interfaces(addresses)
  }
  look()
  const looking = setInterval(look, lookMilliseconds)
  const waiting = setTimeout(() => cluster.forgoNode(), nodeMilliseconds)
  return () => {
    clearInterval(looking)
    clearTimeout(waiting)
  }
}

/** kube-proxy in ipvs mode binds every VIP to a device of its own, which says nothing. */
function interfaceAddresses(): string[] {
  return Object.entries(networkInterfaces())
    .filter(([name]) => name !== 'kube-ipvs0')
    .flatMap(([, addresses = []]) => addresses)
    .flatMap(({ address }) => canonicalAddress(address) ?? [])
}

function schedulePasses(
  reconciler: Reconciler,
  { config, reports, log }: ControlOptions,
): Schedule {
  const { cluster } = reconciler
  const schedule = createSchedule({
    run: () => {
      const report = reconcile(reconciler)
      if (report === undefined) return
      reports.passed(report)
      reports.checks(report.changed.map((name) => [name, cluster.healthCheck(name)] as const))
      if (report.wakeIn !== undefined) schedule.wakeIn(report.wakeIn + gatherMilliseconds)
      logPass(report, log)
    },
    failed: (err) => {
      log.error({ err }, 'pass failed')
      reports.passFailed()
    },
    gatherMilliseconds,
    leastMilliseconds: config.proxy.leastSyncMilliseconds,
    retryMilliseconds,
    now: reconciler.now,
  })
  return schedule
}

/* The first pass says that the node serves; later ones are details. */
function logPass({ isFirst, services, ops, planTime, applyTime }: PassReport, log: Log): void {
  if (ops.length === 0 && !isFirst) return
  const elapsed = `${(planTime + applyTime).toFixed(1)}ms`
  const say = isFirst ? log.info.bind(log) : log.debug.bind(log)
  say({ services, ops: ops.length, elapsed }, 'SyncProxyRules complete')
}

function openMaps(datapath: Datapath): KernelMaps {
  const stats = perCpuOf(datapath.mapFd('frontend_stats'))
  return openDatapathMaps({
    frontends: datapath.mapFd('frontends'),
    frontendWords: datapath.mapFd('frontend_words'),
    frontendNames: datapath.mapFd('frontend_names'),
    backends: datapath.mapFd('backends'),
    backendStates: datapath.mapFd('backend_states'),
    sourceRanges: datapath.mapFd('source_ranges'),
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
