import { finalReport, lastReport, tools } from './traffic.ts'
import type { CrowdReport, FloodReport } from './traffic-reports.ts'
import type { Place } from './types.ts'

export interface CrowdOptions {
  /** Connections opened a second; default 10 000. */
  readonly rate?: number
  /** A connection not answered in this time has failed; default 5000. */
  readonly timeoutMs?: number
  /**
   * The first connection has the first of these ports, and so on; a port that is taken is replaced
   * by one beyond those. Default 10000 to 65535.
   */
  readonly sourcePorts?: { readonly low: number; readonly high: number }
}

/** Connections that are held open. */
export interface Crowd {
  /** When each was opened and answered, or failed. */
  readonly opened: CrowdReport
  latest(): CrowdReport | undefined
  /** Asks each open connection again: `checked` tells how many of `open` answered. */
  check(): Promise<CrowdReport>
  /** Closes them. */
  stop(): Promise<CrowdReport>
}

/** Opens `count` TCP connections to "address:port" and holds them, each from a port of its own. */
export async function holdCrowd(
  place: Place,
  target: string,
  count: number,
  options: CrowdOptions = {},
): Promise<Crowd> {
  const { rate = 10_000, timeoutMs = 5000, sourcePorts } = options
  const flags = ['--target', target, '--count', String(count)]
  flags.push('--rate', String(rate), '--timeout-ms', String(timeoutMs))
  if (sourcePorts) flags.push('--source-ports', `${sourcePorts.low}-${sourcePorts.high}`)
  const process = place.spawn([`${tools}crowd`, ...flags])
  const latest = lastReport(process, parseCrowd)
  const patience = (count / rate) * 1000 + timeoutMs + 30_000
  const opened = await process.waitForLine((line) => line.includes('"opened"'), patience)
  let checks = 0
  return {
    opened: parseCrowd(opened),
    latest,
    async check() {
      const wanted = ++checks
      let seen = 0
      globalThis.process.kill(process.pid, 'SIGUSR1')
      const isOurs = (line: string) => line.includes('"checked",') && ++seen === wanted
      return parseCrowd(await process.waitForLine(isOurs, timeoutMs + 30_000))
    },
    stop: () => finalReport(process, parseCrowd),
  }
}

export interface FloodOptions {
  /** Where the requests claim to come from: a CIDR of the target's family. */
  readonly sources: string
  readonly count?: number
  /** Default 10 when there is no count. */
  readonly seconds?: number
  /** Requests a second; default as many as one core can send. */
  readonly rate?: number
}

/** A flood under way. */
export interface Flood {
  latest(): FloodReport | undefined
  stop(): Promise<FloodReport>
  /** The report of a flood that ends by count or seconds. */
  readonly finished: Promise<FloodReport>
}

/** Sends connection requests from spoofed addresses to "address:port", along the place's routes. */
export async function startFlood(
  place: Place,
  target: string,
  options: FloodOptions,
): Promise<Flood> {
  const { device, mac } = await nextHop(place, target.replace(/:\d+$/, '').replace(/[[\]]/g, ''))
  const flags = ['--target', target, '--sources', options.sources, '--device', device, '--mac', mac]
  for (const name of ['count', 'seconds', 'rate'] as const)
    if (options[name] !== undefined) flags.push(`--${name}`, String(options[name]))
  const process = place.spawn([`${tools}flood`, ...flags])
  const latest = lastReport(process, parseFlood)
  return {
    latest,
    stop: () => finalReport(process, parseFlood),
    finished: process.exited.then(({ stdout, stderr }) => {
      const line = stdout.trim().split('\n').at(-1)
      if (line === undefined || line === '') throw new Error(`no report\n${stderr}`)
      return parseFlood(line)
    }),
  }
}

/** The device and the neighbour that packets to an address leave by, which one ping makes known. */
async function nextHop(place: Place, address: string): Promise<{ device: string; mac: string }> {
  const { stdout } = await place.exec(['ip', '-j', 'route', 'get', address])
  const [route] = JSON.parse(stdout) as { gateway?: string; dev: string }[]
  const neighbour = route!.gateway ?? address
  await place.exec(['ping', '-c', '1', '-W', '1', neighbour], { mayFail: true })
  const shown = await place.exec(['ip', '-j', 'neigh', 'show', neighbour, 'dev', route!.dev])
  const [entry] = JSON.parse(shown.stdout) as { lladdr?: string }[]
  if (!entry?.lladdr) throw new Error(`${place.netns}: ${neighbour} has no known hardware address`)
  return { device: route!.dev, mac: entry.lladdr }
}

function parseCrowd(line: string): CrowdReport {
  return JSON.parse(line) as CrowdReport
}

function parseFlood(line: string): FloodReport {
  return JSON.parse(line) as FloodReport
}
