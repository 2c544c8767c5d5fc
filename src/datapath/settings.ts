import { randomInt } from 'node:crypto'
import { existsSync } from 'node:fs'
import { createMap, MapType } from 'bpf'
import { settings } from './abi.ts'
import { openMap } from './maps.ts'
import { getPinned, pin } from './native.ts'
import { ktimeCoarse } from './native-system.ts'
import { indexKey } from './percpu.ts'

/** What `settings` holds: decided at the first start on a node, kept ever after. */
export interface Settings {
  readonly hashSeed: number
  /** Nanoseconds of CLOCK_MONOTONIC. */
  readonly midflowPassUntil: bigint
}

const key = indexKey(0)

/** A descriptor of the map pinned at a path, which is made if need be. */
export function openSettings(path: string): number {
  if (existsSync(path)) return getPinned(path)
  const map = createMap({
    type: MapType.ARRAY,
    keySize: 4,
    valueSize: settings.size,
    maxEntries: 1,
    name: 'settings',
  })
  pin(map.fd, path)
  map.close()
  return getPinned(path)
}

/** The settings, or undefined before the first start has made them. */
export function readSettings(fd: number): Settings | undefined {
  const bytes = openMap(fd).get(key)
  const { hash_seed, midflow_pass_until } = settings.parse(bytes!)
  return hash_seed === 0 ? undefined : { hashSeed: hash_seed, midflowPassUntil: midflow_pass_until }
}

/** Makes the settings of this node's first start. */
export function makeSettings(fd: number, midflowGraceSeconds: number): Settings {
  const made = {
    hashSeed: randomInt(1, 2 ** 32),
    midflowPassUntil: ktimeCoarse() + BigInt(Math.round(midflowGraceSeconds * 1e9)),
  }
  const bytes = Buffer.alloc(settings.size)
  settings.format(bytes, {
    hash_seed: made.hashSeed,
    midflow_pass_until: made.midflowPassUntil,
  })
  openMap(fd).set(key, bytes)
  return made
}
