import { fileURLToPath } from 'node:url'
import type { Output, Place, Running } from './types.ts'
import type { Answer, DialReport, FlowReport, LatencyReport } from './traffic-reports.ts'

/** Where the built traffic tools are. */
export const tools = fileURLToPath(new URL('../../build/traffic/', import.meta.url))

/** An echo server that listens. */
export interface EchoServer {
  readonly name: string
  readonly process: Running
  stop(signal?: NodeJS.Signals): Promise<Output>
}

export interface EchoServerOptions {
  /** What it answers with; default the place's name. */
  readonly name?: string
  readonly only?: 'TCP' | 'UDP'
  readonly closeAfterAnswer?: boolean
  /** Processes that share the connections; each holds some 20 000. Default 1. */
  readonly workers?: number
}

/** Starts a server in a place that answers on these TCP and UDP ports with the place's name. */
export async function startEchoServer(
  place: Place,
  ports: readonly number[],
  options: EchoServerOptions = {},
): Promise<EchoServer> {
  const name = options.name ?? place.name
  const flags = ['--name', name, '--ports', ports.join(',')]
  if (options.only) flags.push(`--${options.only.toLowerCase()}-only`)
  if (options.closeAfterAnswer) flags.push('--close')
  if (options.workers !== undefined) flags.push('--workers', String(options.workers))
  const process = place.spawn([`${tools}echo-server`, ...flags])
  await process.waitForLine((line) => line.includes('"listening"'))
  return { name, process, stop: (signal) => process.stop(signal) }
}

export interface PingPongOptions {
  readonly udp?: boolean
  /** Each flow sends this long after its last answer; default 100. */
  readonly intervalMs?: number
  /** An answer later than this is a timeout; default 1000. */
  readonly timeoutMs?: number
  /** Do not wait until every flow has had an answer. */
  readonly mayFail?: boolean
}

/** Flows under way. */
export interface PingPong {
  /** Of the process whose sockets they are. */
  readonly pid: number
  /** The newest report, at most a second old. */
  latest(): FlowReport | undefined
  /** Resolves with the first report, made each second, that the predicate accepts. */
  until(accept: (report: FlowReport) => boolean, milliseconds?: number): Promise<FlowReport>
  /** Ends the flows and tells what happened to them. */
  stop(): Promise<FlowReport>
}

/** Opens `count` flows to "address:port" and keeps them busy; resolves when all were answered. */
export async function pingPong(
  place: Place,
  target: string,
  count: number,
  options: PingPongOptions = {},
): Promise<PingPong> {
  const flags = ['--target', target, '--count', String(count)]
  if (options.udp) flags.push('--udp')
  if (options.intervalMs !== undefined) flags.push('--interval-ms', String(options.intervalMs))
  if (options.timeoutMs !== undefined) flags.push('--timeout-ms', String(options.timeoutMs))
  const process = place.spawn([`${tools}flows`, ...flags])
  const latest = lastReport(process, parseFlows)
  if (!options.mayFail) await process.waitForLine((line) => line.includes('"established"'))
  return {
    pid: process.pid,
    latest,
    async until(accept, milliseconds) {
      const line = await process.waitForLine((text) => accept(parseFlows(text)), milliseconds)
      return parseFlows(line)
    },
    stop: () => finalReport(process, parseFlows),
  }
}

export interface DialOptions {
  /** Connections a second; default 100. */
  readonly rate?: number
  /** Ends after so many, or after so many seconds, or by stop(). */
  readonly count?: number
  readonly seconds?: number
  readonly timeoutMs?: number
  readonly udp?: boolean
  /** UDP: one socket for all; TCP: each connection from this port. */
  readonly sourcePort?: number
  /** "address:port" to send from. */
  readonly source?: string
  /** UDP: sendto and recvfrom on a socket that is not connected. */
  readonly unconnected?: boolean
  /** TCP: close with a reset, so that no port waits. */
  readonly reset?: boolean
}

/** Dialling under way. */
export interface Dialling {
  latest(): DialReport | undefined
  until(accept: (report: DialReport) => boolean, milliseconds?: number): Promise<DialReport>
  stop(): Promise<DialReport>
  /** The report of a dialling that ends by count or seconds. */
  readonly finished: Promise<DialReport>
}

/** Starts asking "address:port" at a steady rate, each time anew. */
export function startDial(place: Place, target: string, options: DialOptions = {}): Dialling {
  const process = place.spawn([`${tools}dial`, ...dialFlags(target, options)])
  return {
    latest: lastReport(process, parseDial),
    async until(accept, milliseconds) {
      const line = await process.waitForLine((text) => accept(parseDial(text)), milliseconds)
      return parseDial(line)
    },
    stop: () => finalReport(process, parseDial),
    finished: process.exited.then(({ stdout, stderr }) => parseDial(lastLine(stdout, stderr))),
  }
}

/** Asks "address:port" `count` times (default 100) or for some seconds, each time anew. */
export async function dial(
  place: Place,
  target: string,
  options: DialOptions = {},
): Promise<DialReport> {
  const bounded = options.seconds === undefined ? { count: 100, ...options } : options
  return startDial(place, target, bounded).finished
}

/** Asks once: the answer, or the error's name (`ECONNREFUSED`, `timeout` ...). */
export async function askOnce(
  place: Place,
  target: string,
  options: Pick<DialOptions, 'udp' | 'timeoutMs' | 'sourcePort' | 'source' | 'unconnected'> = {},
): Promise<Answer> {
  const command = [`${tools}dial`, '--once', ...dialFlags(target, options)]
  const { stdout, stderr } = await place.exec(command, { mayFail: true })
  return JSON.parse(lastLine(stdout, stderr)) as Answer
}

export interface LatencyOptions {
  readonly mode: 'crr' | 'rr'
  readonly udp?: boolean
  readonly count?: number
  readonly seconds?: number
  readonly warmup?: number
  /** Bytes of a request. */
  readonly size?: number
  /** The request itself, such as `send 3000000` for an answer of that many bytes. */
  readonly ask?: string
  readonly reset?: boolean
}

/** Latency to several targets, taking turns; `targets` are by label. */
export async function measureLatency(
  place: Place,
  targets: Readonly<Record<string, string>>,
  options: LatencyOptions,
): Promise<LatencyReport[]> {
  const flags = ['--mode', options.mode]
  for (const [label, target] of Object.entries(targets))
    flags.push('--target', `${label}=${target}`)
  for (const name of ['count', 'seconds', 'warmup', 'size', 'ask'] as const)
    if (options[name] !== undefined) flags.push(`--${name}`, String(options[name]))
  if (options.udp) flags.push('--udp')
  if (options.reset) flags.push('--reset')
  const { stdout } = await place.exec([`${tools}lat`, ...flags], { timeoutMs: 600_000 })
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as LatencyReport)
}

function dialFlags(target: string, options: DialOptions): string[] {
  const flags = ['--target', target]
  if (options.rate !== undefined) flags.push('--rate', String(options.rate))
  if (options.count !== undefined) flags.push('--count', String(options.count))
  if (options.seconds !== undefined) flags.push('--seconds', String(options.seconds))
  if (options.timeoutMs !== undefined) flags.push('--timeout-ms', String(options.timeoutMs))
  if (options.sourcePort !== undefined) flags.push('--source-port', String(options.sourcePort))
  if (options.source !== undefined) flags.push('--source', options.source)
  if (options.udp) flags.push('--udp')
  if (options.unconnected) flags.push('--unconnected')
  if (options.reset) flags.push('--reset')
  return flags
}

/** Reads a line of a tool. */
export type Parse<T> = (line: string) => T

/** The newest line of a tool, read. */
export function lastReport<T>(process: Running, parse: Parse<T>): () => T | undefined {
  let last: T | undefined
  process.onLine((line) => (last = parse(line)))
  return () => last
}

/** Ends a tool and reads its last line. */
export async function finalReport<T>(process: Running, parse: Parse<T>): Promise<T> {
  const { stdout, stderr } = await process.stop('SIGTERM')
  return parse(lastLine(stdout, stderr))
}

function lastLine(stdout: string, stderr: string): string {
  const line = stdout.trim().split('\n').at(-1)
  if (line === undefined || line === '') throw new Error(`no report\n${stderr}`)
  return line
}

// Our own tools write what traffic-reports.ts declares.
function parseFlows(line: string): FlowReport {
  return JSON.parse(line) as FlowReport
}

function parseDial(line: string): DialReport {
  return JSON.parse(line) as DialReport
}
