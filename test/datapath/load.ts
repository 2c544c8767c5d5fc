import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { writeAddress } from '../../src/model/address.ts'
import { addr } from '../../src/datapath/abi.ts'
import { openMap } from '../../src/datapath/maps.ts'
import { openObject, type BpfObject, type GlobalValue } from '../../src/datapath/native.ts'

/** Where the objects are; the mutation check points this at broken ones. */
const folder = process.env['KUBE_SHUNT_BPF'] ?? resolve(import.meta.dirname, '../../build/bpf')

export const hairpin4 = '169.254.42.1'
export const hairpin6 = 'fd6b:7368:756e:74::1'

export interface LoadOptions {
  readonly globals: Readonly<Record<string, GlobalValue>>
  readonly entries: Readonly<Record<string, number>>
  /** Load the uplink's programs as well: it takes as long as the pod's. */
  readonly uplinks?: boolean
  /** A directory of a bpffs, for maps that two objects share; otherwise they are private. */
  readonly pins?: string
}

type Map = ReturnType<typeof openMap>

/** The service programs in the kernel. */
export interface Programs {
  readonly ingress: number
  readonly egress: number
  readonly uplinkIngress: number
  readonly uplinkEgress: number
  map(name: string): Map
  mapFd(name: string): number
}

const uplinkPrograms = ['shunt_uplink_ingress', 'shunt_uplink_egress']

/** Loads the service programs with maps of their own. */
export function loadService(options: LoadOptions): Programs {
  const object = openBuilt('service_tc', options)
  object.setGlobal('hairpin_addr4', addressBytes(hairpin4))
  object.setGlobal('hairpin_addr6', addressBytes(hairpin6))
  for (const [name, value] of Object.entries(options.globals)) object.setGlobal(name, value)
  if (options.uplinks !== true) for (const name of uplinkPrograms) object.setAutoload(name, false)
  object.load()
  const maps = new Map<string, Map>()
  return {
    ingress: object.programFd('shunt_ingress'),
    egress: object.programFd('shunt_egress'),
    get uplinkIngress() {
      return object.programFd('shunt_uplink_ingress')
    },
    get uplinkEgress() {
      return object.programFd('shunt_uplink_egress')
    },
    mapFd: (name) => object.mapFd(name),
    map(name) {
      const known = maps.get(name) ?? openMap(object.mapFd(name))
      maps.set(name, known)
      return known
    },
  }
}

/** Loads the XDP program over the maps that a service object has pinned; its program fd. */
export function loadXdp(options: LoadOptions): number {
  const object = openBuilt('uplink_xdp', options)
  for (const [name, value] of Object.entries(options.globals)) object.setGlobal(name, value)
  object.load()
  return object.programFd('shunt_uplink_xdp')
}

/** Loads the collector over the maps that a service object has pinned; its program fd. */
export function loadCollector(options: LoadOptions): number {
  const object = openBuilt('collect', options)
  object.load()
  return object.programFd('shunt_collect')
}

function openBuilt(name: string, { entries, pins }: LoadOptions): BpfObject {
  const path = join(folder, `${name}.bpf.o`)
  if (!existsSync(path)) throw new Error(`${path} is missing: run \`make -C bpf\``)
  const object = openObject(path)
  const maps = object.maps().filter((map) => !map.includes('.'))
  for (const map of maps) {
    const wanted = entries[map]
    if (wanted !== undefined) object.setMapEntries(map, wanted)
    if (pins !== undefined) object.setMapPin(map, join(pins, map))
  }
  return object
}

function addressBytes(text: string): Buffer {
  const bytes = Buffer.alloc(addr.size)
  writeAddress(text, bytes, 0)
  return bytes
}
