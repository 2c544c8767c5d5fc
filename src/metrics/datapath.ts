import { Counter, Gauge, type Registry } from 'prom-client'
import { counterNames } from '../datapath/abi.ts'

/** What happened at a frontend; `text` is namespace/name:portName as in `frontend_names`. */
export interface FrontendCount {
  readonly text: string
  readonly kind: string
  readonly protocol: string
  readonly flows: number
  readonly rejects: number
}

export interface MapUse {
  readonly map: string
  /** Undefined: not counted, as counting would mean to walk the map. */
  readonly entries: number | undefined
  readonly max: number
}

/** Asked at scrape time, so cheap to answer; empty answers are fine before the maps are open. */
export interface DatapathReaders {
  /** Sums over all CPUs, in the order of enum counter. */
  readonly readCounters: () => ArrayLike<bigint | number>
  readonly readMaps: () => readonly MapUse[]
  readonly readFrontends: () => readonly FrontendCount[]
  /** How many frontends get series of their own; the busiest do. */
  readonly frontendSeries?: number
}

const defaultFrontendSeries = 1000

/** Registers the metrics of the packet programs. */
export function registerDatapathMetrics(registry: Registry, readers: DatapathReaders): void {
  registerCounters(registry, readers)
  registerMaps(registry, readers)
  registerFrontends(registry, readers)
}

/** Which metric shows a counter, and under which label value. */
export function placeOf(counter: string): { readonly metric: string; readonly value: string } {
  const [, prefix, rest] = /^(drop|reject|flow)_(.+)$/.exec(counter) ?? []
  if (prefix === undefined || rest === undefined) return { metric: 'packets', value: counter }
  return { metric: { drop: 'drops', reject: 'rejects', flow: 'flow_events' }[prefix]!, value: rest }
}

const counterMetrics = {
  packets: ['verdict', 'Packets that the programs translated or passed on, by verdict'],
  drops: ['reason', 'Packets dropped, by reason'],
  rejects: ['reason', 'Packets answered with a reset or ICMP port unreachable, by reason'],
  flow_events: ['event', 'What happened to entries of the flow table'],
} as const

function registerCounters(registry: Registry, { readCounters }: DatapathReaders): void {
  const kinds = Object.entries(counterMetrics).map(([metric, [label, help]]) => ({
    label,
    values: counterNames.flatMap((name, at) => {
      const place = placeOf(name)
      return place.metric === metric ? [{ at, value: place.value }] : []
    }),
    counter: new Counter({
      name: `kubeshunt_datapath_${metric}_total`,
      help,
      labelNames: [label],
      registers: [registry],
    }),
  }))
  collectFirst(kinds[0]!.counter, () => {
    const counts = readCounters()
    for (const { label, values, counter } of kinds) {
      counter.reset()
      for (const { at, value } of values) counter.inc({ [label]: value }, Number(counts[at] ?? 0))
    }
  })
}

/* Metrics are asked in the order of their registration, so the first one fills the others. */
function collectFirst(metric: Counter | Gauge, collect: () => void): void {
  Object.assign(metric, { collect })
}

function registerMaps(registry: Registry, { readMaps }: DatapathReaders): void {
  const gauge = (name: string, help: string) =>
    new Gauge({
      name: `kubeshunt_${name}`,
      help,
      labelNames: ['map'] as const,
      registers: [registry],
    })
  const used = gauge('map_entries', 'Entries in use of a BPF map; flows as of the last sweep')
  const room = gauge('map_max_entries', 'Entries that a BPF map has room for')
  collectFirst(used, () => {
    used.reset()
    room.reset()
    for (const { map, entries, max } of readMaps()) {
      if (entries !== undefined) used.set({ map }, entries)
      room.set({ map }, max)
    }
  })
}

const frontendLabels = ['namespace', 'service', 'port', 'protocol', 'kind'] as const

function registerFrontends(registry: Registry, readers: DatapathReaders): void {
  const { readFrontends, frontendSeries = defaultFrontendSeries } = readers
  const options = (name: string, help: string) => ({
    name: `kubeshunt_frontend_${name}_total`,
    help: `${help}, of the ${frontendSeries} busiest frontends`,
    labelNames: frontendLabels,
    registers: [registry],
  })
  const flows = new Counter(options('flows', 'Flows created'))
  const rejects = new Counter(options('rejects', 'Clients told that there is no endpoint'))
  collectFirst(flows, () => {
    flows.reset()
    rejects.reset()
    for (const frontend of busiest(readFrontends(), frontendSeries)) {
      flows.inc(labelsOf(frontend), frontend.flows)
      rejects.inc(labelsOf(frontend), frontend.rejects)
    }
  })
}

function busiest(frontends: readonly FrontendCount[], limit: number): readonly FrontendCount[] {
  if (limit === 0 || frontends.length <= limit) return frontends.slice(0, limit)
  const traffic = ({ flows, rejects }: FrontendCount): number => flows + rejects
  return [...frontends].sort((a, b) => traffic(b) - traffic(a)).slice(0, limit)
}

function labelsOf({ text, kind, protocol }: FrontendCount): Record<string, string> {
  const [, namespace = '', service = '', port = ''] = /^([^/]*)\/([^:]*):?(.*)$/.exec(text) ?? []
  return { namespace, service, port, protocol, kind }
}
