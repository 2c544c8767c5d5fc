import {
  backend,
  device,
  frontendFlag,
  frontendRef,
  frontendWord,
  settings,
  sourceRangeKey,
} from '../../src/datapath/abi.ts'
import { encodeRef, encodeSlot, encodeState, encodeWord } from '../../src/datapath/encode.ts'
import type { GlobalValue } from '../../src/datapath/native.ts'
import { skbContext, testRun, type SkbFields } from '../../src/datapath/native-run.ts'
import { ktimeCoarse } from '../../src/datapath/native-system.ts'
import { indexKey, perCpuOf, type PerCpuMap } from '../../src/datapath/percpu.ts'
import {
  frontendKey as keyFor,
  vipKey,
  type FrontendKey,
  type Protocol,
} from '../../src/model/types.ts'
import { UNUSED_PORT, type Word } from '../../src/plan/image.ts'
import { describeFrame, describeIp } from './describe-packet.ts'
import { loadService, type Programs } from './load.ts'
import { keyBytes, networkBytes, protocolOf, uplinkBytes } from './places.ts'
import { splitEnd, Tables } from './tables.ts'

/** "address:port/PROTOCOL", what clients dial. */
export type FrontendText = `${string}/${Protocol}`

export interface ServiceOptions {
  readonly backends: readonly string[]
  /** The first so many are on this node. */
  readonly local?: number
  readonly localOnly?: boolean
  /** The same for clients outside the cluster. */
  readonly externalLocalOnly?: boolean
  /** Only clients in these ranges, as [address, bits of 128]. */
  readonly sourceRanges?: readonly (readonly [string, number])[]
  /** The backends are a table, and all nodes choose alike. */
  readonly maglev?: boolean
  /** Session affinity of clients; 0 and undefined: none. */
  readonly affinitySeconds?: number
  /** False: the address has no key of its own, as a node's has not. */
  readonly ownsAddress?: boolean
}

export interface DatapathOptions {
  readonly services?: Readonly<Record<FrontendText, readonly string[] | ServiceOptions>>
  /** No Ethernet header, as on tun and wireguard devices. */
  readonly layer3?: boolean
  readonly globals?: Readonly<Record<string, GlobalValue>>
  readonly entries?: Readonly<Record<string, number>>
  /** Packets of uplinks are wanted as well. */
  readonly uplinks?: boolean
  readonly pins?: string
}

export interface Outcome {
  readonly verdict: 'next' | 'drop' | 'redirect'
  readonly frame: Buffer
  /** Verdict and packet as one line. */
  readonly text: string
}

const verdicts: Readonly<Record<number, Outcome['verdict']>> = {
  0xffffffff: 'next',
  2: 'drop',
  7: 'redirect',
}

/** How many slots an extent of a test gets, so that it can be written anew in place. */
const extentSize = 128

/** A node whose programs see only the packets of a test. */
export function datapath(options: DatapathOptions = {}): Node {
  const node = new Node(options)
  for (const [frontend, service] of Object.entries(options.services ?? {})) {
    node.publish(frontend as FrontendText, service)
  }
  return node
}

export class Node {
  readonly programs: Programs
  readonly tables: Tables
  readonly #layer3: boolean
  readonly #stats: PerCpuMap
  readonly #indexes = new Map<string, number>()
  readonly #ids = new Map<string, number>()
  #nextExtent = 1
  #generation = 0

  constructor(options: DatapathOptions) {
    const { layer3 = false, globals = {}, entries = {}, uplinks = false, pins } = options
    const defaults = { hash_seed: 12345, l2_len: layer3 ? 0 : 14 }
    this.programs = loadService({
      globals: { ...defaults, ...globals },
      entries,
      uplinks,
      ...(pins === undefined ? {} : { pins }),
    })
    this.tables = new Tables(this.programs)
    this.#stats = perCpuOf(this.programs.mapFd('frontend_stats'))
    this.#layer3 = layer3
  }

  /** A packet that a pod sends. */
  fromPod(frame: Buffer, skb?: SkbFields): Outcome {
    return this.#run(this.programs.ingress, frame, skb)
  }

  /** A packet on its way to a pod. */
  toPod(frame: Buffer, skb?: SkbFields): Outcome {
    return this.#run(this.programs.egress, frame, skb)
  }

  /** A packet that comes in by an uplink or tunnel. */
  fromOutside(frame: Buffer, skb?: SkbFields): Outcome {
    return this.#run(this.programs.uplinkIngress, frame, skb)
  }

  /** A packet on its way out by an uplink or tunnel. */
  toOutside(frame: Buffer, skb?: SkbFields): Outcome {
    return this.#run(this.programs.uplinkEgress, frame, skb)
  }

  #run(programFd: number, frame: Buffer, skb?: SkbFields): Outcome {
    const ctx = skb === undefined ? {} : { ctx: skbContext(skb) }
    const { retval, data } = testRun({ programFd, data: frame, ...ctx })
    const verdict = verdicts[retval]
    if (verdict === undefined) throw new Error(`the program returned ${retval}`)
    const out = Buffer.from(data)
    if (verdict === 'drop') return { verdict, frame: out, text: 'drop' }
    const text = out.equals(frame)
      ? 'untouched'
      : this.#layer3
        ? describeIp(out)
        : describeFrame(out)
    return { verdict, frame: out, text: `${verdict}: ${text}` }
  }

  counted = (): ReturnType<Tables['counted']> => this.tables.counted()

  /** Gives a frontend these backends, as one publication does. */
  publish(frontend: FrontendText, service: readonly string[] | ServiceOptions): void {
    const options: ServiceOptions = 'backends' in service ? service : { backends: service }
    const { backends, local = 0, localOnly = false, ownsAddress = true } = options
    const { externalLocalOnly = false, sourceRanges } = options
    const index = this.indexOf(frontend)
    const base = this.#nextExtent * extentSize
    this.#nextExtent++
    backends.forEach((end, at) => this.writeSlot(base + at, frontend, end, at < local))
    const { affinitySeconds = 0, maglev = false } = options
    const affinity = affinitySeconds > 0
    const count = backends.length
    const policies = { localOnly, externalLocalOnly, affinity, affinitySeconds, maglev }
    this.writeWord(index, { base, count, local, ...policies })
    if (sourceRanges !== undefined) this.#limitSources(index, sourceRanges)
    const [address, port] = splitEnd(frontend.split('/')[0]!)
    this.#writeKey(keyFor(address, port, protocolOf(frontend)), index)
    if (ownsAddress) this.#writeKey(vipKey(address), UNUSED_PORT)
  }

  /** Takes a frontend and its address away and calls its backends dead. */
  withdraw(frontend: FrontendText): void {
    const [address, port] = splitEnd(frontend.split('/')[0]!)
    this.programs.map('frontends').delete(keyBytes(keyFor(address, port, protocolOf(frontend))))
    this.programs.map('frontends').delete(keyBytes(vipKey(address)))
    for (const name of this.#ids.keys()) {
      if (name.startsWith(`${frontend} `)) this.kill(frontend, name.slice(frontend.length + 1))
    }
  }

  indexOf(frontend: FrontendText): number {
    const index = this.#indexes.get(frontend) ?? this.#indexes.size + 1
    this.#indexes.set(frontend, index)
    return index
  }

  /** The id of a backend of a frontend; the first use makes it alive in its first generation. */
  idOf(frontend: FrontendText, end: string): number {
    const name = `${frontend} ${end}`
    const known = this.#ids.get(name)
    if (known !== undefined) return known
    const id = this.#ids.size + 1
    this.#ids.set(name, id)
    this.setState(id, 1, true)
    return id
  }

  setState(id: number, generation: number, alive: boolean): void {
    const bytes = Buffer.alloc(8)
    bytes.writeBigUInt64LE(encodeState(generation, alive))
    this.programs.map('backend_states').set(indexKey(id), bytes)
  }

  kill(frontend: FrontendText, end: string): void {
    this.setState(this.idOf(frontend, end), 1, false)
  }

  writeSlot(position: number, frontend: FrontendText, end: string, local = false): void {
    const [address, port] = splitEnd(end)
    const slot = { id: this.idOf(frontend, end), generation: 1, address, port, local }
    const bytes = Buffer.alloc(backend.size)
    encodeSlot(bytes, 0, this.indexOf(frontend), slot)
    this.programs.map('backends').set(indexKey(position), bytes)
  }

  writeWord(index: number, word: Pick<Word, 'base' | 'count'> & Partial<Word>): void {
    this.#generation = (this.#generation + 1) & 0xff
    const whole = {
      local: 0,
      localOnly: false,
      externalLocalOnly: false,
      affinity: false,
      affinitySeconds: 0,
      hasRanges: false,
      maglev: false,
      generation: this.#generation,
      ...word,
    }
    const bytes = Buffer.alloc(frontendWord.size)
    encodeWord({ external: whole, ...whole }).forEach((part, at) =>
      bytes.writeBigUInt64LE(part, 8 * at),
    )
    this.programs.map('frontend_words').set(indexKey(index), bytes)
  }

  /** Leaves unknown mid-flow TCP to the host stack for so long. */
  grace(seconds: number): void {
    const bytes = Buffer.alloc(settings.size)
    const until = ktimeCoarse() + BigInt(seconds * 1e9)
    settings.format(bytes, { midflow_pass_until: until, hash_seed: 0 })
    this.programs.map('settings').set(indexKey(0), bytes)
  }

  /** What the node is called at an uplink; at 0 where the device has no name. */
  uplink(ifindex: number, addresses: { addr4?: string; addr6?: string }): void {
    this.programs.map('uplinks').set(indexKey(ifindex), uplinkBytes(addresses))
  }

  /** Where tunnels and cluster IPs are; ranges as [base, mask]. */
  network(
    ports: readonly number[],
    ranges: readonly (readonly [string, string])[],
    exempt = 0,
  ): void {
    this.programs.map('network').set(indexKey(0), networkBytes(ports, ranges, exempt))
  }

  /** Says that a device is a port of a bridge. */
  bridge(ifindex: number, master: number): void {
    const bytes = Buffer.alloc(device.size)
    device.format(bytes, { master, flags: 0 })
    this.programs.map('devices').set(indexKey(ifindex), bytes)
  }

  /** What `frontend_stats` has of a frontend. */
  statsOf(frontend: FrontendText): { flows: number; rejects: number } {
    const [flows = 0, rejects = 0] = this.#stats.sumRange(this.indexOf(frontend), 1)
    return { flows, rejects }
  }

  /** Makes a key's value that of another key, as a recycled element would. */
  breakEcho(frontend: FrontendText): void {
    const [address, port] = splitEnd(frontend.split('/')[0]!)
    const key = keyBytes(keyFor(address, port, protocolOf(frontend)))
    const value = this.programs.map('frontends').get(key)!
    value.writeUInt32LE((value.readUInt32LE(4) ^ 1) >>> 0, 4)
    this.programs.map('frontends').set(key, value)
  }

  #limitSources(index: number, ranges: readonly (readonly [string, number])[]): void {
    for (const [address, bits] of ranges) {
      const key = Buffer.alloc(sourceRangeKey.size)
      sourceRangeKey.format(key, { prefixlen: 32 + bits, frontend: index, addr: address })
      this.programs.map('source_ranges').set(key, indexKey(1))
    }
    const word = this.programs.map('frontend_words').get(indexKey(index))!
    word.writeUInt32LE(word.readUInt32LE(16) | frontendFlag.FRONTEND_SOURCE_RANGES, 16)
    this.programs.map('frontend_words').set(indexKey(index), word)
  }

  #writeKey(key: FrontendKey, index: number): void {
    const bytes = keyBytes(key)
    const value = Buffer.alloc(frontendRef.size)
    encodeRef(value, 0, index, { buffer: bytes, at: 0 })
    this.programs.map('frontends').set(bytes, value)
  }
}
