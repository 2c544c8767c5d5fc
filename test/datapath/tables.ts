import {
  counterNames,
  flow,
  flowFlag,
  flowKey,
  fragment,
  rejectBucket,
  tickShift,
  type CounterName,
} from '../../src/datapath/abi.ts'
import { ktimeCoarse } from '../../src/datapath/native-system.ts'
import { perCpuOf, type PerCpuMap } from '../../src/datapath/percpu.ts'
import type { Programs } from './load.ts'
import { parseEnd, proto } from './packet.ts'

export type Flow = ReturnType<typeof flow.parse>
export type FlowKey = ReturnType<typeof flowKey.parse>
export type Counts = Partial<Record<CounterName, number>>

const flowTables = ['flows', 'half_open'] as const
export type FlowTable = (typeof flowTables)[number]

/** An entry of a flow table. */
export interface Entry {
  readonly table: FlowTable
  readonly key: FlowKey
  readonly flow: Flow
  readonly bytes: readonly [key: Buffer, value: Buffer]
}

const flagWords: readonly (readonly [number, string])[] = [
  [flowFlag.FLOW_REVERSE, 'reverse'],
  [flowFlag.FLOW_AT_EGRESS, 'egress'],
  [flowFlag.FLOW_HAIRPIN, 'hairpin'],
  [flowFlag.FLOW_BRIDGED, 'bridged'],
  [flowFlag.FLOW_REPLIED, 'replied'],
  [flowFlag.FLOW_FIN_FORWARD, 'fin-forward'],
  [flowFlag.FLOW_FIN_REVERSE, 'fin-reverse'],
  [flowFlag.FLOW_RESET_FORWARD, 'reset-forward'],
  [flowFlag.FLOW_RESET_REVERSE, 'reset-reverse'],
  [flowFlag.FLOW_PORT_CHANGED, 'port-changed'],
  [flowFlag.FLOW_SNAT, 'snat'],
  [flowFlag.FLOW_INNER, 'inner'],
  [flowFlag.FLOW_FROM_HOST, 'from-host'],
  [flowFlag.FLOW_OWN, 'own'],
  [flowFlag.FLOW_DIRECT, 'direct'],
  [flowFlag.FLOW_ANSWERED, 'answered'],
]

/** The clock of the flow tables. */
export function nowTicks(): number {
  return Number(ktimeCoarse() >> BigInt(tickShift))
}

/** A tuple's key; ends as "address:port". */
export function keyOf(from: string, to: string, protocol: 'TCP' | 'UDP'): FlowKey {
  const [saddr, sport] = splitEnd(from)
  const [daddr, dport] = splitEnd(to)
  return { saddr, daddr, sport, dport, proto: protocol === 'TCP' ? proto.tcp : proto.udp }
}

export function splitEnd(text: string): [host: string, port: number] {
  const colon = text.lastIndexOf(':')
  return [text.slice(0, colon).replace(/^\[|\]$/g, ''), parseEnd(text).port]
}

/** What the programs have written, seen from a test. */
export class Tables {
  readonly #programs: Programs
  readonly #counters: PerCpuMap
  #told: Readonly<Record<number, number>> = {}

  constructor(programs: Programs) {
    this.#programs = programs
    this.#counters = perCpuOf(programs.mapFd('counters'))
    this.counted()
  }

  /** Which counters moved since the last call, and by how much. */
  counted(): Counts {
    const now = this.#counters.sumRange(0, counterNames.length)
    const moved = counterNames.flatMap((name, at) => {
      const by = now[at]! - (this.#told[at] ?? 0)
      return by === 0 ? [] : [[name, by] as const]
    })
    this.#told = now
    return Object.fromEntries(moved)
  }

  /** One counter, since the node was made. */
  peek(name: CounterName): number {
    return this.#counters.sumRange(counterNames.indexOf(name), 1)[0]!
  }

  entries(): Entry[] {
    return flowTables.flatMap((table) =>
      [...this.#programs.map(table)].map(([key, value]) => ({
        table,
        key: flowKey.parse(key),
        flow: flow.parse(value),
        bytes: [key, value] as const,
      })),
    )
  }

  /** Every entry as a line, in order: where, the tuple, what it becomes, what is known of it. */
  lines(): string[] {
    return this.entries().map(describeEntry).sort()
  }

  /** The one entry whose tuple reads "from > to". */
  entry(tuple: string): Entry {
    const found = this.entries().filter((entry) => tupleText(entry.key) === tuple)
    if (found.length !== 1)
      throw new Error(`${found.length} flows ${tuple}:\n${this.lines().join('\n')}`)
    return found[0]!
  }

  has(tuple: string): boolean {
    return this.entries().some((entry) => tupleText(entry.key) === tuple)
  }

  put(table: FlowTable, key: FlowKey, value: Flow): void {
    const bytes = [Buffer.alloc(flowKey.size), Buffer.alloc(flow.size)] as const
    flowKey.format(bytes[0], key)
    flow.format(bytes[1], value)
    this.#programs.map(table).set(...bytes)
  }

  /** Changes an entry in place. */
  change(entry: Entry, changes: Partial<Flow>): void {
    this.put(entry.table, entry.key, { ...entry.flow, ...changes })
  }

  /** Takes one half away, as the LRU would. */
  forget(tuple: string): void {
    const { table, bytes } = this.entry(tuple)
    this.#programs.map(table).delete(bytes[0])
  }

  forgetAll(): void {
    for (const { table, bytes } of this.entries()) this.#programs.map(table).delete(bytes[0])
  }

  /** Makes every flow and fragment look as if this many ticks had passed. */
  age(ticks: number): void {
    for (const entry of this.entries())
      this.change(entry, { last_seen: (entry.flow.last_seen - ticks) >>> 0 })
    const fragments = this.#programs.map('fragments')
    for (const [key, value] of [...fragments]) {
      const old = fragment.parse(value)
      fragment.format(value, { ...old, last_seen: (old.last_seen - ticks) >>> 0 })
      fragments.set(key, value)
    }
  }

  /** Makes every client's last reject look as if it had been this long ago. */
  ageRejects(seconds: number): void {
    const buckets = this.#programs.map('reject_buckets')
    for (const [key, value] of [...buckets]) {
      const old = rejectBucket.parse(value)
      rejectBucket.format(value, { ...old, refilled: old.refilled - BigInt(seconds * 1e9) })
      buckets.set(key, value)
    }
  }
}

export function tupleText(tuple: Omit<FlowKey, 'proto'>): string {
  const end = (host: string, port: number): string =>
    host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  return `${end(tuple.saddr, tuple.sport)} > ${end(tuple.daddr, tuple.dport)}`
}

function describeEntry({ table, key, flow }: Entry): string {
  const flags = flagWords.filter(([bit]) => (flow.flags & bit) !== 0).map(([, word]) => word)
  const name = key.proto === proto.tcp ? 'TCP' : key.proto === proto.udp ? 'UDP' : key.proto
  return `${table}: ${name} ${tupleText(key)} = ${tupleText(flow)} [${flags.join(' ')}]`
}
