import { writeFileSync } from 'node:fs'
import { packageVersion } from './cli/program.ts'
import type { Config } from './config.ts'
import { openControl, type Control } from './control.ts'
import { collect } from './datapath/collect.ts'
import { openMap } from './datapath/maps.ts'
import { hasTcx } from './datapath/native-probe.ts'
import { requirePrivileges } from './datapath/privileges.ts'
import { loadDatapath, type Datapath } from './datapath/programs.ts'
import { lockRoot, openRoot, type Root } from './datapath/root.ts'
import { createAttacher, type AttachReport } from './devices/attach.ts'
import { createXdpAttacher, type XdpReport } from './devices/attach-xdp.ts'
import { openDeviceMaps } from './devices/device-maps.ts'
import { followDevices, type Following } from './devices/follow.ts'
import {
  createEventRecorder,
  silentRecorder,
  type EventRecorder,
  type Tale,
} from './kube/events.ts'
import { askedToEnd, nextSignal } from './end-signal.ts'
import { ShuntError } from './errors.ts'
import { createLog, type Log } from './log.ts'
import { openReports, type Reports } from './reports.ts'
import { watchConfigFile } from './proxy-config/watch-file.ts'
import { openSources } from './sources.ts'
import { clearReady, ownRoot, sayReady } from './standby.ts'

/** How often our programs on devices are checked, and expired flows removed. */
const checkMilliseconds = 5_000
const collectMilliseconds = 30_000

/**
 * The agent: takes the root, brings programs and maps up, follows devices and the cluster until
 * it is told to end. Ending leaves everything pinned, so traffic does not notice.
 */
export async function runAgent(config: Config): Promise<void> {
  const log = createLog({ format: config.logFormat, verbosity: config.verbosity })
  requirePrivileges()
  const asked = askedToEnd()
  const root = asked.aborted ? undefined : await ownRoot(config, log, asked)
  if (root === undefined) return
  await serve({ config, root, log })
}

interface Start {
  readonly config: Config
  readonly root: Root
  readonly log: Log
}

async function serve({ config, root, log }: Start): Promise<void> {
  introduce(config, log)
  const ending = new AbortController()
  const told = nextSignal()
  void told.then(() => ending.abort())
  const datapath = load(config, root, log)
  const failure = Promise.withResolvers<never>()
  const failed = failure.reject
  const { signal } = ending
  const events = openEvents(config, log, signal)
  const reports = openReports({ config, datapath, log, events, failed })
  const control = openControl({ config, datapath, reports, log })
  const { cluster, serviceRanges } = control
  const connected = events.connect.bind(events)
  const sources = openSources(config, { cluster, serviceRanges, log, signal, reports, connected })
  sources.ended.catch(failed)
  watchConfig(config, signal, failed)
  let following: Following | undefined
  const collecting = startCollector(datapath, reports, log)
  const start = async (): Promise<void> => {
    await sources.usable
    if (signal.aborted) return
    following = follow({ config, root, datapath, control, reports, log }, failed)
    await following.ready
    if (!ending.signal.aborted) sayStarted(config, events, log)
  }
  start().catch(failed)
  try {
    const cause = await Promise.race([told, failure.promise])
    log.info({ signal: cause }, 'agent ended, the datapath stays')
  } finally {
    ending.abort()
    clearReady(config)
    clearInterval(collecting)
    following?.close()
    control.close()
    await reports.close()
  }
}

/* In the words of kube-proxy, which people look for. */
function introduce({ proxy }: Config, log: Log): void {
  log.info({ version: packageVersion() }, 'Version info')
  log.info({}, 'Using kube-shunt Proxier')
  adjustOomScore(proxy.oomScoreAdj, log)
}

function sayStarted(config: Config, events: EventRecorder, log: Log): void {
  sayReady(config, 'started')
  events.record(startingTale(config.nodeName))
  log.info({ node: config.nodeName, version: packageVersion(), pid: process.pid }, 'agent started')
}

function openEvents(config: Config, log: Log, signal: AbortSignal): EventRecorder {
  if (config.source.kind !== 'api') return silentRecorder
  return createEventRecorder({ log, signal, rate: config.proxy.eventRate })
}

function startingTale(node: string): Tale {
  const regarding = { kind: 'Node', namespace: '', name: node, uid: node } as const
  return { regarding, type: 'Normal', reason: 'Starting', action: 'StartKubeProxy', note: '' }
}

/* As kube-proxy: the pod is to start again with the new file. */
function watchConfig(config: Config, signal: AbortSignal, failed: (error: Error) => void): void {
  const path = config.proxy.file
  if (path === undefined) return
  const what = "content of the proxy server's configuration file was updated"
  const changed = (): void => failed(new ShuntError('KSH_RUNTIME', `${path}: ${what}`))
  watchConfigFile({ path, changed, signal })
}

/* Best effort, as a lower score takes a capability the agent can do without. */
function adjustOomScore(score: number | undefined, log: Log): void {
  if (score === undefined) return
  try {
    writeFileSync('/proc/self/oom_score_adj', String(score))
  } catch (err) {
    log.debug({ value: score, err }, 'Failed to apply OOMScore')
  }
}

/** Makes pins and loads programs, which takes the most rights, and leaves them for the agent. */
export function prepareNode(config: Config): void {
  const log = createLog({ format: config.logFormat, verbosity: config.verbosity })
  requirePrivileges()
  const root = openRoot(config.bpffs)
  lockRoot(root)
  load(config, root, log)
  log.info({ path: config.bpffs }, 'node prepared')
}

function load(config: Config, root: Root, log: Log): Datapath {
  const datapath = loadDatapath(root, {
    sizes: {
      flows: config.flowTableEntries,
      halfOpen: config.halfOpenEntries,
      frontends: config.frontendsMax,
      backends: config.backendsMax,
    },
    lifetimes: config.proxy.lifetimes,
    midflowGraceSeconds: config.midflowGraceSeconds,
    snatPorts: config.snatPorts,
  })
  for (const warning of datapath.warnings) log.warn({ warning }, 'datapath loaded with a change')
  return datapath
}

interface Parts {
  readonly config: Config
  readonly root: Root
  readonly datapath: Datapath
  readonly control: Control
  readonly reports: Reports
  readonly log: Log
}

function follow(parts: Parts, failed: (error: Error) => void): Following {
  const { config, root, datapath, control, reports, log } = parts
  const attacher = createAttacher({ root, datapath, hasTcx: hasTcx() })
  const xdp = createXdpAttacher({ root, datapath, wish: config.xdp })
  const following = followDevices({
    attacher,
    xdp,
    setTunnelPorts: (ports) => control.network.setTunnelPorts(ports),
    maps: openDeviceMaps(openMap(datapath.mapFd('devices')), openMap(datapath.mapFd('uplinks'))),
    choice: () => ({
      globs: config.podDevices,
      uplinkGlobs: config.devices,
      nodeAddresses: control.nodeAddresses(),
    }),
    synced(report, xdpReport) {
      logAttached(report, log)
      logXdp(xdpReport, log)
      const roles = attacher.devices().map(({ role }) => role)
      reports.devices([...roles, ...xdp.devices().map(() => 'xdp' as const)])
    },
    failed,
    checkMilliseconds,
  })
  control.onNode(() => following.recheck())
  return following
}

function logAttached(report: AttachReport, log: Log): void {
  for (const device of report.attached)
    log.info({ device: device.name, ifindex: device.index, kind: device.role }, 'programs attached')
  for (const ifindex of report.detached) log.info({ ifindex }, 'programs detached')
  for (const { device, error } of report.failed)
    log.warn({ device: device.name, reason: error }, 'programs not attached')
}

function logXdp({ attached, detached, failed }: XdpReport, log: Log): void {
  for (const { name, index } of attached)
    log.info({ device: name, ifindex: index, kind: 'xdp' }, 'programs attached')
  for (const ifindex of detached) log.info({ ifindex, kind: 'xdp' }, 'programs detached')
  for (const { device, error } of failed)
    log.warn({ device: device.name, kind: 'xdp', reason: error }, 'programs not attached')
}

/** Sweeps one after another; a sweep that fails is a warning, as packets notice expiry themselves. */
function startCollector(
  datapath: Datapath,
  reports: Reports,
  log: Log,
): NodeJS.Timeout | undefined {
  const { collector } = datapath
  if (collector === undefined) return undefined
  let isRunning = false
  const sweep = async (): Promise<void> => {
    if (isRunning) return
    isRunning = true
    try {
      reports.collected(await collect(collector))
    } catch (err) {
      log.warn({ err }, 'collector failed')
    }
    isRunning = false
  }
  void sweep()
  return setInterval(() => void sweep(), collectMilliseconds)
}
