import { BPFError, type RawMap } from 'bpf'
import { device as deviceCodec, uplink as uplinkCodec } from '../datapath/abi.ts'
import { indexKey } from '../datapath/percpu.ts'
import type { PodDevice } from './pod-devices.ts'
import type { SnatAddresses } from './snat-addresses.ts'

/** What the programs must know of devices; it is there before they are attached. */
export interface DeviceMaps {
  /** Which pod devices are ports of which bridge. */
  setBridges(pods: readonly PodDevice[]): void
  /** What the node is called at its uplinks. */
  setUplinks(addresses: ReadonlyMap<number, SnatAddresses>): void
}

const batch = 1024

/** The maps `devices` and `uplinks`; what they hold already is not written again. */
export function openDeviceMaps(devices: RawMap, uplinks: RawMap): DeviceMaps {
  const bridges = entriesOf(devices)
  const names = entriesOf(uplinks)
  return {
    setBridges: (pods) => setEntries(devices, bridges, pods.map(bridgeEntry)),
    setUplinks: (addresses) => setEntries(uplinks, names, [...addresses].map(uplinkEntry)),
  }
}

type Entry = readonly [index: number, value: Buffer]

/** By device, as the map has them, so that a restart changes only what changed. */
function entriesOf(map: RawMap): Map<number, Buffer> {
  const entries = [...map.getBatch(batch)].flat()
  return new Map(entries.map(([key, value]) => [key.readUInt32LE(), Buffer.from(value)]))
}

function bridgeEntry({ index, bridge }: PodDevice): Entry {
  const value = Buffer.alloc(deviceCodec.size)
  deviceCodec.format(value, { master: bridge, flags: 0 })
  return [index, value]
}

function uplinkEntry([index, { ipv4, ipv6 }]: readonly [number, SnatAddresses]): Entry {
  const value = Buffer.alloc(uplinkCodec.size)
  uplinkCodec.format(value, { addr4: ipv4 ?? none, addr6: ipv6 ?? none })
  return [index, value]
}

const none = '::'

function setEntries(map: RawMap, known: Map<number, Buffer>, entries: readonly Entry[]): void {
  const wanted = new Set(entries.map(([index]) => index))
  for (const index of known.keys()) {
    if (wanted.has(index)) continue
    map.delete(indexKey(index))
    known.delete(index)
  }
  for (const [index, value] of entries) {
    if (known.get(index)?.equals(value) === true) continue
    if (enter(map, indexKey(index), value)) known.set(index, value)
  }
}

/** A device for which the map has no room goes without, and is asked about again. */
function enter(map: RawMap, key: Buffer, value: Buffer): boolean {
  try {
    map.set(key, value)
    return true
  } catch (error) {
    if (error instanceof BPFError && error.code === 'E2BIG') return false
    throw error
  }
}
