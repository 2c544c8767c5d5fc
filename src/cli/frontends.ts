import { canonicalAddress } from '../model/address.ts'
import type { FrontendKind, Protocol } from '../model/types.ts'
import type { Commit, Slot, Word } from '../plan/image.ts'
import type { MapDump } from '../plan/restore.ts'

/** One address, port and protocol that clients dial, and where its packets go now. */
export interface FrontendView {
  readonly address: string
  readonly port: number
  readonly protocol: Protocol
  readonly index: number
  readonly kind: FrontendKind
  /** namespace/name, and the name of the port. */
  readonly service: string
  readonly portName: string
  readonly word: Word
  /** What the traffic policy of its kind gives to new flows on this node. */
  readonly backends: readonly Slot[]
  /** What clients in the cluster may choose where that is something else. */
  readonly clusterBackends: readonly Slot[] | undefined
  /** Not chosen any more, but their flows go on. */
  readonly draining: readonly Slot[]
  /** Only clients in these get in; undefined: everybody does. */
  readonly sourceRanges: readonly string[] | undefined
}

/** All frontends as packets find them, by Service, then address, then port. */
export function readFrontends(dump: MapDump): FrontendView[] {
  const ranges = Map.groupBy(dump.ranges, ({ index }) => index)
  const views = dump.keys.flatMap(({ key, index, isSound }) => {
    const { address, port, protocol } = key
    const name = index < dump.limits.indexes ? dump.name(index) : undefined
    if (!isSound || protocol === undefined || name === undefined) return []
    const [service = '', portName = ''] = name.text.split(':')
    const about = { address, port, protocol, index, kind: name.kind, service, portName }
    const sets = readSets(dump, index)
    const admitted = (ranges.get(index) ?? []).map(({ range }) => range).sort()
    return [{ ...about, ...sets, sourceRanges: sets.word.hasRanges ? admitted : undefined }]
  })
  return views.sort(compareViews)
}

/** What a dump shows of the programmed state: changes with every publication of a set. */
export function generationOf(dump: MapDump): number {
  let sum = 0
  for (let index = 0; index < dump.limits.indexes; index++) sum += dump.word(index).generation
  return sum
}

type Sets = Pick<FrontendView, 'word' | 'backends' | 'clusterBackends' | 'draining'>

function readSets(dump: MapDump, index: number): Sets {
  const word = dump.word(index)
  const { external } = word
  const isOurs = (position: number): boolean =>
    position < dump.limits.slots && dump.slot(position).index === index
  const chosen = ({ base, count, local }: Commit, localOnly: boolean): Slot[] =>
    distinct(
      positions(base, localOnly ? local : count)
        .filter(isOurs)
        .map((at) => dump.slot(at)),
    )
  const backends = chosen(external, word.externalLocalOnly)
  const inCluster = chosen(word, word.localOnly)
  const ids = new Set(positions(external.base, external.count).map((at) => dump.slot(at).id))
  const draining: Slot[] = []
  for (let at = external.base + external.count; external.count > 0 && isOurs(at); at++) {
    const slot = dump.slot(at)
    const state = slot.id < dump.limits.ids ? dump.state(slot.id) : undefined
    if (state?.alive !== true || state.generation !== slot.generation || ids.has(slot.id)) break
    draining.push(slot)
  }
  const isSame = textOf(inCluster) === textOf(backends)
  return { word, backends, clusterBackends: isSame ? undefined : inCluster, draining }
}

/** A table has each backend many times. */
function distinct(slots: readonly Slot[]): Slot[] {
  return [...new Map(slots.map((slot) => [slot.id, slot])).values()]
}

function textOf(slots: readonly Slot[]): string {
  const ids = slots.map((slot) => slot.id)
  return ids.sort((a, b) => a - b).join(' ')
}

function positions(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i)
}

function compareViews(a: FrontendView, b: FrontendView): number {
  return (
    compareTexts(a.service, b.service) ||
    compareTexts(a.address, b.address) ||
    a.port - b.port ||
    compareTexts(a.protocol, b.protocol)
  )
}

function compareTexts(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

/** An address and port as people write them. */
export function endpointText(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** An address, with a port or without, as a filter; undefined when it is neither. */
export function parseEndpoint(
  text: string,
): { readonly address: string; readonly port: number | undefined } | undefined {
  const whole = canonicalAddress(text)
  if (whole !== undefined) return { address: whole, port: undefined }
  const match = /^(?:\[([^\]]+)\]|([^:]+)):([0-9]{1,5})$/.exec(text)
  const address = canonicalAddress(match?.[1] ?? match?.[2] ?? '')
  const port = Number(match?.[3])
  return address === undefined || port > 65535 ? undefined : { address, port }
}

/** Does a frontend belong to the Service a filter names: namespace/name or namespace/name:port? */
export function isOfService(
  filter: string,
  { service, portName }: { readonly service: string; readonly portName: string },
): boolean {
  return filter === service || filter === `${service}:${portName}`
}
