import { BPFError, type RawMap } from 'bpf'
import { device as deviceCodec } from '../datapath/abi.ts'
import { indexKey } from '../datapath/percpu.ts'
import type { Attacher, AttachReport } from './attach.ts'
import { choosePodDevices, type Choice, type PodDevice } from './pod-devices.ts'
import { watchLinks } from './watch-links.ts'

export interface FollowOptions {
  readonly attacher: Attacher
  /** The `devices` map. */
  readonly devicesMap: RawMap
  readonly choice: () => Choice
  readonly synced: (report: AttachReport) => void
  /** Devices cannot be followed any more. */
  readonly failed: (error: Error) => void
  /** How often to look whether somebody took our programs off. */
  readonly checkMilliseconds: number
}

export interface Following {
  /** Settles when the devices of the start have our programs. */
  readonly ready: Promise<void>
  /** The choice may have changed. */
  recheck(): void
  close(): void
}

const deviceBatch = 1024

/** Keeps our programs on every pod device as devices come, go, and change. */
export function followPodDevices(options: FollowOptions): Following {
  const known = readDevices(options.devicesMap)
  let isDue = false
  let isReady = false
  const sync = (): void => {
    isDue = false
    if (!isReady) return
    try {
      const wanted = choosePodDevices(watch.table, options.choice())
      writeDevices(options.devicesMap, known, wanted)
      options.synced(options.attacher.sync(wanted))
    } catch (error) {
      options.failed(error instanceof Error ? error : new Error(String(error)))
    }
  }
  /* The events at hand share one sync. */
  const recheck = (): void => {
    if (isDue || !isReady) return
    isDue = true
    setImmediate(sync)
  }
  const watch = watchLinks({ onChange: recheck, onOverrun: recheck, onError: options.failed })
  const timer = setInterval(recheck, options.checkMilliseconds)
  const ready = watch.ready.then(() => {
    isReady = true
    sync()
  })
  return {
    ready,
    recheck,
    close() {
      clearInterval(timer)
      watch.close()
      isReady = false
    },
  }
}

/** Bridges by device as the map has them, so that a restart changes only what changed. */
function readDevices(map: RawMap): Map<number, number> {
  const entries = [...map.getBatch(deviceBatch)].flat()
  return new Map(
    entries.map(([key, value]) => [key.readUInt32LE(), deviceCodec.parse(value).master]),
  )
}

/** Tells the programs which bridge a device belongs to, before they are on it. */
function writeDevices(map: RawMap, known: Map<number, number>, wanted: readonly PodDevice[]): void {
  const indexes = new Set(wanted.map(({ index }) => index))
  for (const index of known.keys()) {
    if (indexes.has(index)) continue
    map.delete(indexKey(index))
    known.delete(index)
  }
  const value = Buffer.alloc(deviceCodec.size)
  for (const { index, bridge } of wanted) {
    if (known.get(index) === bridge) continue
    deviceCodec.format(value, { master: bridge, flags: 0 })
    if (enter(map, indexKey(index), value)) known.set(index, bridge)
  }
}

/** A device for which the map has no room is routed instead of bridged, and asked about again. */
function enter(map: RawMap, key: Buffer, value: Buffer): boolean {
  try {
    map.set(key, value)
    return true
  } catch (error) {
    if (error instanceof BPFError && error.code === 'E2BIG') return false
    throw error
  }
}
