import { countFlows } from '../../src/cli/dump.ts'
import { openPins } from '../../src/cli/pins.ts'
import { addSeconds } from './meter.ts'
import { nodeOf } from './services.ts'
import type { DemoService } from './services.ts'
import type { Seat, Stage, Stream } from './stage.ts'

/** What the screen shows of a backend. */
export interface BackendView {
  readonly name: string
  readonly node: string
  /** Is it in the EndpointSlices? */
  readonly isPresent: boolean
  readonly perSecond: number
}

export interface ServiceView {
  readonly name: string
  /** "10.96.0.10:80/TCP" */
  readonly address: string
  readonly perSecond: number
  /** Failed requests a second; of a Service without backends that is what must happen. */
  readonly failedPerSecond: number
  /** Microseconds, since the start. */
  readonly p50: number
  readonly failures: Readonly<Record<string, number>>
  readonly backends: readonly BackendView[]
}

export interface NodeView {
  readonly name: string
  readonly state: Seat['state']
  readonly pid: number
  /** Flows in its tables. */
  readonly flows: number
  readonly created: number
  readonly dropped: number
}

export interface View {
  readonly services: readonly ServiceView[]
  readonly nodes: readonly NodeView[]
  readonly connections: {
    readonly flows: number
    readonly open: number
    readonly resets: number
    readonly timeouts: number
    readonly longestMs: number
  }
  readonly requests: {
    readonly answered: number
    readonly failed: number
    readonly longestSilenceMs: number
  }
}

/** Requests that are to be answered; those to a Service without backends are to be refused. */
export function answeredStreams(stage: Stage): Stream[] {
  return stage.streams.filter(({ service }) => service.backends.length > 0)
}

/** Everything that is to be seen now. */
export function lookAt(stage: Stage): View {
  const report = stage.connections.latest()
  return {
    services: stage.services.map((service) => viewService(stage, service)),
    nodes: stage.seats.map(viewNode),
    connections: {
      flows: report?.flows ?? 0,
      open: report?.open ?? 0,
      resets: (report?.resets ?? 0) + (report?.closed ?? 0),
      timeouts: report?.timeouts ?? 0,
      longestMs: report?.maxGapMs ?? 0,
    },
    requests: viewRequests(stage),
  }
}

function viewRequests(stage: Stage): View['requests'] {
  const reports = answeredStreams(stage).flatMap(({ meter: { report } }) => report ?? [])
  return {
    answered: reports.reduce((sum, { ok }) => sum + ok, 0),
    failed: reports.reduce((sum, { failures }) => sum + failures, 0),
    longestSilenceMs: Math.max(0, ...reports.map((report) => report.longestSilenceMs)),
  }
}

function viewService(stage: Stage, service: DemoService): ServiceView {
  const streams = stage.streams.filter((stream) => stream.service === service)
  const second = addSeconds(streams.map(({ meter }) => meter.second))
  const { report } = streams[0]?.meter ?? {}
  return {
    name: service.name,
    address: `${service.target}/${service.protocol}`,
    perSecond: second.answered,
    failedPerSecond: second.failed,
    p50: report?.latencyUs.p50 ?? 0,
    failures: report?.failed ?? {},
    backends: service.backends.map((backend) => ({
      name: backend.name,
      node: nodeOf(backend),
      isPresent: service !== stage.services[0] || stage.present.includes(backend),
      perSecond: second.backends.get(backend.name) ?? 0,
    })),
  }
}

function viewNode({ node, agent, state }: Seat): NodeView {
  const pins = openPins(node.bpffs)
  const counters = pins.counters()
  let dropped = 0
  for (const [name, count] of counters) if (name.startsWith('drop_')) dropped += count
  return {
    name: node.name,
    state,
    pid: agent.pid,
    flows: countFlows(pins, 'flows').flows + countFlows(pins, 'half_open').flows,
    created: counters.get('flow_created') ?? 0,
    dropped,
  }
}
