import {
  frontendKey as keyOf,
  vipKey,
  type FrontendKey,
  type FrontendKind,
  type Protocol,
} from '../model/types.ts'
import type { Commit, Slot, Word } from '../plan/image.ts'
import {
  backend,
  backendFlag,
  frontendFlag,
  frontendKey,
  frontendKind,
  frontendName,
  frontendRef,
  frontendWord,
  mixKey,
} from './abi.ts'

const protocolNumbers: Readonly<Record<Protocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 }
const protocols = new Map(
  Object.entries(protocolNumbers).map(([name, number]) => [number, name as Protocol]),
)
const kindNumbers: Readonly<Record<FrontendKind, number>> = {
  ClusterIP: frontendKind.KIND_CLUSTER_IP,
  NodePort: frontendKind.KIND_NODE_PORT,
  LoadBalancer: frontendKind.KIND_LOAD_BALANCER,
  ExternalIP: frontendKind.KIND_EXTERNAL_IP,
}
const kinds = new Map(
  Object.entries(kindNumbers).map(([name, number]) => [number, name as FrontendKind]),
)

/** The number of a protocol in packets, 0 for none. */
export function protocolNumber(protocol: Protocol | undefined): number {
  return protocol === undefined ? 0 : protocolNumbers[protocol]
}

/** The protocol of a number in packets. */
export function protocolOf(number: number): Protocol | undefined {
  return protocols.get(number)
}

/** Writes a key of `frontends`. */
export function encodeKey(buffer: Buffer, at: number, key: FrontendKey): void {
  const { address, port, protocol } = key
  frontendKey.format(buffer, { addr: address, port, proto: protocolNumber(protocol) }, at)
}

/** The key in a buffer, or undefined when we would never write such a key. */
export function decodeKey(buffer: Buffer, at = 0): FrontendKey | undefined {
  if (buffer[at + frontendKey.size - 1] !== 0) return undefined
  const { addr, port, proto } = frontendKey.parse(buffer, at)
  if (proto === 0) return port === 0 ? vipKey(addr) : undefined
  const protocol = protocolOf(proto)
  return protocol === undefined || port === 0 ? undefined : keyOf(addr, port, protocol)
}

/** Writes the value for a key that was encoded before. */
export function encodeRef(
  buffer: Buffer,
  at: number,
  index: number,
  key: { readonly buffer: Buffer; readonly at: number },
): void {
  frontendRef.format(buffer, { index, echo: mixKey(key.buffer, key.at) }, at)
}

/** Writes a slot of an extent of the frontend at `index`. */
export function encodeSlot(buffer: Buffer, at: number, index: number, slot: Slot): void {
  const flags = slot.local ? backendFlag.BACKEND_LOCAL : 0
  const { address: addr, port, id, generation } = slot
  backend.format(buffer, { addr, port, flags, frontend: index, id, generation }, at)
}

/** A slot and the index it was written for. */
export function decodeSlot(buffer: Buffer, at: number): Slot & { readonly index: number } {
  const { addr, port, flags, frontend, id, generation } = backend.parse(buffer, at)
  const local = (flags & backendFlag.BACKEND_LOCAL) !== 0
  return { address: addr, port, local, index: frontend, id, generation }
}

/** Writes the name of an index; no kind: nothing has it. */
export function encodeName(
  buffer: Buffer,
  at: number,
  kind: FrontendKind | undefined,
  text: string,
): void {
  const number = kind === undefined ? frontendKind.KIND_NONE : kindNumbers[kind]
  frontendName.format(buffer, { kind: number, text }, at)
}

/** The name of an index, undefined when nothing has it. */
export function decodeName(
  buffer: Buffer,
  at: number,
): { readonly kind: FrontendKind; readonly text: string } | undefined {
  const { kind: number, text } = frontendName.parse(buffer, at)
  const kind = kinds.get(number)
  return kind === undefined ? undefined : { kind, text }
}

/** The word that one 8-byte store publishes. */
export function encodeCommit({ base, count, local, generation }: Commit): bigint {
  const low = BigInt(base) | (BigInt(count) << 24n)
  return low | (BigInt(local) << 40n) | (BigInt(generation) << 56n)
}

/** Flags and affinity timeout beside the commit words. */
export function encodeMeta(word: Omit<Word, 'external' | keyof Commit>): bigint {
  const flags =
    (word.localOnly ? frontendFlag.FRONTEND_LOCAL_ONLY : 0) |
    (word.affinity ? frontendFlag.FRONTEND_AFFINITY : 0) |
    (word.externalLocalOnly ? frontendFlag.FRONTEND_EXTERNAL_LOCAL_ONLY : 0) |
    (word.hasRanges ? frontendFlag.FRONTEND_SOURCE_RANGES : 0) |
    (word.maglev ? frontendFlag.FRONTEND_MAGLEV : 0)
  return BigInt(flags) | (BigInt(word.affinitySeconds) << 16n)
}

/** A frontend word as the 64-bit words that are stored, the last one first. */
export function encodeWord(word: Word): bigint[] {
  return [encodeCommit(word), encodeCommit(word.external), encodeMeta(word), 0n]
}

/** Halves of 64-bit words in an entry of `frontend_words`. */
const wordHalves = frontendWord.size / 4

/** A frontend word of an array of 32-bit halves, as bigints are slow for all of them. */
export function decodeWord(halves: Uint32Array, index: number): Word {
  const at = wordHalves * index
  const flags = halves[at + 4]!
  const timeoutHigh = halves[at + 5]! & 0xffff
  return {
    ...decodeCommit(halves[at]!, halves[at + 1]!),
    external: decodeCommit(halves[at + 2]!, halves[at + 3]!),
    localOnly: (flags & frontendFlag.FRONTEND_LOCAL_ONLY) !== 0,
    externalLocalOnly: (flags & frontendFlag.FRONTEND_EXTERNAL_LOCAL_ONLY) !== 0,
    affinity: (flags & frontendFlag.FRONTEND_AFFINITY) !== 0,
    affinitySeconds: (flags >>> 16) + timeoutHigh * 0x10000,
    hasRanges: (flags & frontendFlag.FRONTEND_SOURCE_RANGES) !== 0,
    maglev: (flags & frontendFlag.FRONTEND_MAGLEV) !== 0,
  }
}

function decodeCommit(low: number, high: number): Commit {
  return {
    base: low & 0xffffff,
    count: (low >>> 24) | ((high & 0xff) << 8),
    local: (high >>> 8) & 0xffff,
    generation: high >>> 24,
  }
}

/** An entry of `backend_states` as the one 64-bit store it is. */
export function encodeState(generation: number, alive: boolean): bigint {
  return BigInt(generation) | (alive ? 1n << 32n : 0n)
}

/** An entry of `backend_states`, the same way. */
export function decodeState(
  halves: Uint32Array,
  id: number,
): { readonly generation: number; readonly alive: boolean } {
  return { generation: halves[2 * id]!, alive: halves[2 * id + 1] !== 0 }
}
