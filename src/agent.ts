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
import { followPodDevices, type Following } from './devices/follow.ts'
import { createLog, type Log } from './log.ts'
import { openReports, type Reports } from './reports.ts'
import { openSources } from './sources.ts'

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
  const root = openRoot(config.bpffs)
  lockRoot(root)
  const datapath = load(config, root, log)
  const reports = openReports({ config, datapath, log })
  const ending = new AbortController()
  const failure = Promise.withResolvers<never>()
  const control = openControl({ config, datapath, reports, log })
  const sources = openSources(config, {
    cluster: control.cluster,
    log,
    signal: ending.signal,
    reports,
  })
  sources.ended.catch(failure.reject)
  let following: Following | undefined
  const collecting = startCollector(datapath, reports, log)
  try {
    await Promise.race([sources.usable, failure.promise])
    following = follow({ config, root, datapath, control, reports, log }, failure.reject)
    await Promise.race([following.ready, failure.promise])
    log.info(
      { node: config.nodeName, version: packageVersion(), pid: process.pid },
      'agent started',
    )
    const signal = await Promise.race([nextSignal(), failure.promise])
    log.info({ signal }, 'agent ended, the datapath stays')
  } finally {
    ending.abort()
    clearInterval(collecting)
    following?.close()
    control.close()
    await reports.close()
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
  const following = followPodDevices({
    attacher,
    devicesMap: openMap(datapath.mapFd('devices')),
    choice: () => ({ globs: config.podDevices, nodeAddresses: control.nodeAddresses() }),
    synced: (report) => {
      logAttached(report, log)
      reports.devices(attacher.devices().length)
    },
    failed,
    checkMilliseconds,
  })
  control.onNode(() => following.recheck())
  return following
}

function logAttached(report: AttachReport, log: Log): void {
  for (const device of report.attached)
    log.info({ device: device.name, ifindex: device.index }, 'programs attached')
  for (const ifindex of report.detached) log.info({ ifindex }, 'programs detached')
  for (const { device, error } of report.failed)
    log.warn({ device: device.name, reason: error }, 'programs not attached')
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

function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal))
  })
}
