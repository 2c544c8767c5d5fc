import type { RawMap } from 'bpf'
import { familyOf, readAddress, writeAddress } from '../model/address.ts'
import { addr, network, networkLimits } from './abi.ts'
import { indexKey } from './percpu.ts'

/** What `network` tells the packet programs. */
export interface NetworkValues {
  /** UDP ports of tunnels; four at most. */
  readonly tunnelPorts: readonly number[]
  /** Canonical ranges that cluster IPs are taken from; eight at most. */
  readonly serviceRanges: readonly string[]
  /** Addresses within them that are somebody's all the same; with the ranges eight at most. */
  readonly exempt: readonly string[]
}

/** The owner of `network`: each part changes alone, the other stays as it was. */
export interface NetworkOwner {
  values(): NetworkValues
  setTunnelPorts(ports: readonly number[]): void
  setServiceRanges(ranges: readonly string[], exempt: readonly string[]): void
}

type MapLike = Pick<RawMap, 'get' | 'set'>
type NetworkStruct = ReturnType<typeof network.parse>
type RangeStruct = NetworkStruct['service_ranges'][number]

const key = indexKey(0)
const { tunnelPorts: maxPorts, serviceRanges: maxRanges } = networkLimits
/** Bits that all IPv4 addresses share. */
const mappedBits = 96
const zeroes: RangeStruct = { base: '::', mask: '::' }

/** The owner of an open map, with what a former agent left in it. */
export function openNetwork(map: MapLike): NetworkOwner {
  let values = readNetwork(map)
  const write = (changed: Partial<NetworkValues>): void => {
    const next = { ...values, ...changed }
    if (isSame(next, values)) return
    writeNetwork(map, next)
    values = next
  }
  return {
    values: () => values,
    setTunnelPorts: (tunnelPorts) => write({ tunnelPorts: [...tunnelPorts] }),
    setServiceRanges: (serviceRanges, exempt) =>
      write({ serviceRanges: [...serviceRanges], exempt: [...exempt] }),
  }
}

/**
 * Writes both parts. Packets may read while the kernel copies, so while ranges change there are
 * none: a base beside the mask of another range would drop what it should not.
 */
export function writeNetwork(map: MapLike, values: NetworkValues): void {
  const known = readStruct(map)
  const next = structOf(values)
  const hasSameRanges =
    known.exempt_count === next.exempt_count &&
    JSON.stringify(known.service_ranges) === JSON.stringify(next.service_ranges)
  if (!hasSameRanges) {
    if (known.range_count > 0) store(map, { ...known, range_count: 0 })
    store(map, { ...next, range_count: 0 })
  }
  store(map, next)
}

/** Reads both parts. */
export function readNetwork(map: MapLike): NetworkValues {
  const { tunnel_ports: ports, range_count: count, ...rest } = readStruct(map)
  const { exempt_count: exempt, service_ranges: ranges } = rest
  return {
    tunnelPorts: ports.filter((port) => port !== 0),
    serviceRanges: ranges.slice(exempt, count).map(rangeText),
    exempt: ranges.slice(0, Math.min(exempt, count)).map(({ base }) => base),
  }
}

function structOf({ tunnelPorts, serviceRanges, exempt }: NetworkValues): NetworkStruct {
  if (tunnelPorts.length > maxPorts) throw new RangeError(`more than ${maxPorts} tunnel ports`)
  const ranges = [...exempt.map(hostRange), ...serviceRanges].map(rangeStruct)
  if (ranges.length > maxRanges) throw new RangeError(`more than ${maxRanges} ranges`)
  return {
    tunnel_ports: filled(tunnelPorts, maxPorts, 0),
    range_count: ranges.length,
    exempt_count: exempt.length,
    service_ranges: filled(ranges, maxRanges, zeroes),
  }
}

function filled<Value>(values: readonly Value[], length: number, rest: Value): Value[] {
  return Array.from({ length }, (_, at) => values[at] ?? rest)
}

function store(map: MapLike, values: NetworkStruct): void {
  const bytes = Buffer.alloc(network.size)
  network.format(bytes, values)
  map.set(key, bytes)
}

function readStruct(map: MapLike): NetworkStruct {
  return network.parse(map.get(key)!) // an array map has all its entries
}

function hostRange(address: string): string {
  return `${address}/${familyOf(address) === 4 ? 32 : 128}`
}

/** Masks are over the mapped form, so that one comparison serves both families. */
function rangeStruct(range: string): RangeStruct {
  const [base = '', bits = ''] = range.split('/')
  const prefix = Number(bits) + (familyOf(base) === 4 ? mappedBits : 0)
  const mask = Buffer.alloc(addr.size)
  for (let at = 0; at < addr.size; at++)
    mask[at] = 0xff00 >> Math.min(8, Math.max(0, prefix - 8 * at))
  return { base, mask: readAddress(mask, 0) }
}

function rangeText({ base, mask }: RangeStruct): string {
  const bytes = Buffer.alloc(addr.size)
  writeAddress(mask, bytes, 0)
  const ones = bytes.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)
  return `${base}/${ones - (familyOf(base) === 4 ? mappedBits : 0)}`
}

function isSame(a: NetworkValues, b: NetworkValues): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
