import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ShuntError } from '../errors.ts'
import { writeAddress } from '../model/address.ts'
import { addr } from './abi.ts'
import { type BpfObject, closeFd, openObject, pin, unpin } from './native.ts'
import { hasHelper, helpers, programTypes } from './native-probe.ts'
import type { Root } from './root.ts'
import { makeSettings, openSettings, readSettings } from './settings.ts'

/** How many entries the maps are to have; what is pinned already keeps its own. */
export interface MapSizes {
  readonly flows: number
  readonly halfOpen: number
  readonly frontends: number
  readonly backends: number
}

/** How long idle flows are kept, in seconds; undefined: as bpf/config.h has it. */
export interface FlowLifetimes {
  readonly tcpEstablished?: number | undefined
  readonly tcpHalfClosed?: number | undefined
  readonly udpUnreplied?: number | undefined
  readonly udpReplied?: number | undefined
}

export interface LoadOptions {
  readonly sizes: MapSizes
  readonly lifetimes?: FlowLifetimes
  /** For a node's first start: how long unknown mid-flow TCP is left to the host stack. */
  readonly midflowGraceSeconds: number
  /** Source ports for flows to backends on other nodes; undefined: all that there are. */
  readonly snatPorts?: { readonly low: number; readonly high: number } | undefined
}

/** The programs of a device, by descriptor. */
export interface HookPrograms {
  readonly ingress: number
  readonly egress: number
}

/** The programs of devices by what they lead to. */
export interface DevicePrograms {
  readonly pod: HookPrograms
  readonly uplink: HookPrograms
}

/** What the XDP program of a device holds as constants. */
export interface XdpFacts {
  /** As the kernel writes it, six bytes in hexadecimal. */
  readonly mac: string
  readonly mtu: number
}

export interface Datapath {
  /** For devices whose packets begin with an Ethernet header. */
  readonly ethernet: DevicePrograms
  /** For devices without link-layer header; loaded when the first appears. */
  layer3(): DevicePrograms
  /** The XDP program for an uplink with this MAC address and MTU. */
  xdp(device: XdpFacts): number
  /** Absent where the kernel cannot walk a map in a program: then packets alone notice expiry. */
  readonly collector: number | undefined
  /** A descriptor of a map, the caller's own. */
  mapFd(name: string): number
  /** What could not be had as asked. */
  readonly warnings: readonly string[]
}

/** Source addresses of hairpin packets: they never leave the node. */
const hairpinAddresses = { hairpin_addr4: '169.254.42.1', hairpin_addr6: 'fd6b:7368:756e:74::1' }

/** The maps whose contents may be lost when their shape changes. */
const disposableMaps = ['counters', 'frontend_stats', 'reject_buckets', 'fragments']

/** Loads the programs over the pinned maps, creating what is missing. Attaches nothing. */
export function loadDatapath(root: Root, options: LoadOptions): Datapath {
  const warnings: string[] = []
  const first = openService(root, options, 14)
  warnings.push(...fitPins(first))
  first.setGlobal('hash_seed', hashSeed(root, options))
  first.load()
  const layer3 = (): DevicePrograms => {
    const object = openService(root, options, 0)
    fitPins(object)
    object.setGlobal('hash_seed', hashSeed(root, options))
    object.load()
    return publish(object, root, 'l3')
  }
  let loaded: DevicePrograms | undefined
  return {
    ethernet: publish(first, root, 'ethernet'),
    layer3: () => (loaded ??= layer3()),
    xdp: xdpLoader(root, options),
    collector: loadCollector(root, options, warnings),
    mapFd: (name) => first.mapFd(name),
    warnings,
  }
}

/**
 * Does this kernel accept the programs? Loads them over small maps of their own, beside those of
 * whoever owns the root, and lets go of them; a refusal is thrown.
 */
export function rehearseDatapath(): void {
  for (const l2Length of [14, 0]) {
    const object = openObject(objectPath('service_tc'))
    object.setGlobal('l2_len', l2Length)
    rehearse(object)
  }
  if (canCollect()) rehearse(openObject(objectPath('collect')))
}

function rehearse(object: BpfObject): void {
  sizeMaps(object, { flows: 1024, halfOpen: 1024, frontends: 64, backends: 64 })
  object.load()
  object.close()
}

/** Where the compiled programs are. */
function objectPath(name: string): string {
  const path = fileURLToPath(new URL(`../../build/bpf/${name}.bpf.o`, import.meta.url))
  if (existsSync(path)) return path
  throw new ShuntError('KSH_RUNTIME', `${path} is missing: run npm run setup`)
}

/** Each device has constants of its own; equal ones share a program. */
function xdpLoader(root: Root, options: LoadOptions): Datapath['xdp'] {
  const loaded = new Map<string, number>()
  return ({ mac, mtu }) => {
    const facts = `${mac}-${mtu}`
    const known = loaded.get(facts)
    if (known !== undefined) return known
    const object = openService(root, options, 14, 'uplink_xdp')
    fitPins(object)
    object.setGlobal('hash_seed', hashSeed(root, options))
    object.setGlobal('uplink_mac', Buffer.from(mac.replaceAll(':', ''), 'hex'))
    object.setGlobal('uplink_mtu', mtu)
    object.load()
    const fd = object.programFd('shunt_uplink_xdp')
    publishPin(fd, join(root.programs, 'shunt_uplink_xdp'))
    loaded.set(facts, fd)
    return fd
  }
}

function openService(
  root: Root,
  options: LoadOptions,
  l2Length: number,
  name = 'service_tc',
): BpfObject {
  const object = openObject(objectPath(name))
  object.setGlobal('l2_len', l2Length)
  for (const [name, text] of Object.entries(hairpinAddresses)) {
    const bytes = Buffer.alloc(addr.size)
    writeAddress(text, bytes, 0)
    object.setGlobal(name, bytes)
  }
  if (options.snatPorts !== undefined) {
    object.setGlobal('snat_port_first', options.snatPorts.low)
    object.setGlobal('snat_port_last', options.snatPorts.high)
  }
  setLifetimes(object, options.lifetimes ?? {})
  placeMaps(object, root, options.sizes)
  return object
}

const lifetimeGlobals = {
  tcpEstablished: 'ticks_tcp_established',
  tcpHalfClosed: 'ticks_tcp_half_closed',
  udpUnreplied: 'ticks_udp_unreplied',
  udpReplied: 'ticks_udp_replied',
} as const

/* A tick is 2^30 ns; half the range of a tick counter is as good as for ever. */
function setLifetimes(object: BpfObject, lifetimes: FlowLifetimes): void {
  for (const [name, global] of Object.entries(lifetimeGlobals)) {
    const seconds = lifetimes[name as keyof FlowLifetimes] // its own keys
    if (seconds === undefined) continue
    const ticks = Math.ceil((seconds * 1e9) / 2 ** 30)
    object.setGlobal(global, Math.min(Math.max(ticks, 1), 2 ** 30))
  }
}

/** Maps that are indexed alike, by the size that says how large they are. */
const mapsOfSize: Readonly<Record<keyof MapSizes, readonly string[]>> = {
  frontends: ['frontends', 'frontend_words', 'frontend_names', 'frontend_stats'],
  backends: ['backends', 'backend_states'],
  flows: ['flows'],
  halfOpen: ['half_open', 'affinity'],
}

function placeMaps(object: BpfObject, root: Root, sizes: MapSizes): void {
  sizeMaps(object, sizes)
  const maps = object.maps().filter((name) => !name.includes('.'))
  for (const map of maps) object.setMapPin(map, join(root.maps, map))
}

function sizeMaps(object: BpfObject, sizes: MapSizes): void {
  const maps = object.maps()
  for (const [size, sized] of Object.entries(mapsOfSize))
    for (const map of sized.filter((name) => maps.includes(name)))
      object.setMapEntries(map, sizes[size as keyof MapSizes]) // its own keys
}

/**
 * Takes pinned maps of another size as they are, and makes those that go with them as large;
 * what holds only statistics is made anew.
 */
function fitPins(object: BpfObject): string[] {
  const kept: string[] = []
  const maps = object.maps()
  for (const { map, field, pinned, wanted } of object.pinMismatches()) {
    if (field !== 'maxEntries' || disposableMaps.includes(map)) continue
    const alike = Object.values(mapsOfSize).find((sized) => sized.includes(map)) ?? [map]
    for (const other of alike) if (maps.includes(other)) object.setMapEntries(other, pinned)
    kept.push(`map ${map} keeps its ${pinned} entries until cleanup (asked for: ${wanted})`)
  }
  for (const { map, path } of object.pinMismatches()) if (disposableMaps.includes(map)) unpin(path)
  return kept
}

/**
 * The seed of the backend choice, from the node's first start: another seed would send
 * repeated first packets elsewhere. Programs hold it as a constant, so its map comes before them.
 */
function hashSeed(root: Root, options: LoadOptions): number {
  const fd = openSettings(join(root.maps, 'settings'))
  try {
    return (readSettings(fd) ?? makeSettings(fd, options.midflowGraceSeconds)).hashSeed
  } finally {
    closeFd(fd)
  }
}

/** Pins the programs for tools, over those of an earlier start in one step. */
function publish(object: BpfObject, root: Root, variant: string): DevicePrograms {
  const open = (name: string): number => {
    const fd = object.programFd(name)
    publishPin(fd, join(root.programs, `${name}_${variant}`))
    return fd
  }
  return {
    pod: { ingress: open('shunt_ingress'), egress: open('shunt_egress') },
    uplink: { ingress: open('shunt_uplink_ingress'), egress: open('shunt_uplink_egress') },
  }
}

function publishPin(fd: number, path: string): void {
  unpin(`${path}_new`)
  pin(fd, `${path}_new`)
  renameSync(`${path}_new`, path)
}

function canCollect(): boolean {
  return hasHelper(programTypes.tc, helpers.forEachMapElem)
}

function loadCollector(root: Root, options: LoadOptions, warnings: string[]): number | undefined {
  if (!canCollect()) {
    warnings.push('no collector: this kernel lacks bpf_for_each_map_elem (5.13)')
    return undefined
  }
  const object = openObject(objectPath('collect'))
  setLifetimes(object, options.lifetimes ?? {})
  placeMaps(object, root, options.sizes)
  fitPins(object)
  object.load()
  const fd = object.programFd('shunt_collect')
  publishPin(fd, join(root.programs, 'shunt_collect'))
  return fd
}
