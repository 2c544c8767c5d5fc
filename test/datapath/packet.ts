import ipaddr from 'ipaddr.js'
import { checksum, pseudoSum } from './checksum.ts'

export const proto = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 } as const

/** What is on the wire between two ends; `from` and `to` are "address:port" or "[v6]:port". */
export interface PacketSpec {
  readonly from: string
  readonly to: string
  /** TCP flags as letters: S, A, F, R, P. */
  readonly tcp?: string
  readonly udp?: boolean
  readonly payload?: string | Buffer
  readonly seq?: number
  readonly ack?: number
  readonly window?: number
  /** IPv4 identification; 1 unless told. */
  readonly id?: number
  /** IP options (IPv4) in bytes, or IPv6 extension headers by name. */
  readonly ipOptions?: Buffer
  readonly extensions?: readonly Extension[]
  readonly vlan?: readonly number[]
  readonly ttl?: number
  readonly tos?: number
  readonly fragment?: { readonly id: number; readonly offset: number; readonly more: boolean }
  /** Replaces the transport header and payload of a later fragment. */
  readonly rest?: Buffer
  readonly udpChecksum?: 'zero'
  readonly l2?: boolean
  /** Lies: what the headers claim instead of the truth. */
  readonly claim?: {
    readonly ipLength?: number
    readonly ipWords?: number
    readonly ipVersion?: number
    readonly tcpWords?: number
    readonly udpLength?: number
    readonly protocol?: number
  }
}

export type Extension = 'hop-by-hop' | 'destination' | 'routing' | 'routing with stops left'

export interface End {
  readonly address: Buffer
  readonly port: number
  readonly isV6: boolean
}

export function parseEnd(text: string): End {
  const colon = text.lastIndexOf(':')
  const host = text.slice(0, colon).replace(/^\[|\]$/g, '')
  const address = Buffer.from(ipaddr.parse(host).toByteArray())
  return { address, port: Number(text.slice(colon + 1)), isV6: address.length === 16 }
}

/** The frame of a packet, checksums right. */
export function frame(spec: PacketSpec): Buffer {
  const from = parseEnd(spec.from)
  const to = parseEnd(spec.to)
  const l4 = spec.rest ?? transport(spec, from, to)
  const number = spec.claim?.protocol ?? (spec.tcp !== undefined ? proto.tcp : proto.udp)
  const ip = ipPacket({ spec, from, to, number, payload: l4 })
  return ethernet(spec, from.isV6, ip)
}

/** An ICMP error about `about` (an IP packet without Ethernet), of IPv4 or IPv6 by the addresses. */
export function icmpError(options: {
  readonly from: string
  readonly to: string
  readonly type: number
  readonly code: number
  readonly rest?: number
  readonly about: Buffer
  readonly quoted?: number
  readonly id?: number
}): Buffer {
  const from = parseEnd(`${options.from}:0`)
  const to = parseEnd(`${options.to}:0`)
  const number = from.isV6 ? proto.icmpv6 : proto.icmp
  const icmp = Buffer.alloc(8)
  icmp[0] = options.type
  icmp[1] = options.code
  icmp.writeUInt32BE(options.rest ?? 0, 4)
  const body = Buffer.concat([icmp, options.about.subarray(0, options.quoted)])
  const start = from.isV6 ? pseudoSum(from.address, to.address, number, body.length) : 0
  body.writeUInt16BE(checksum(body, start), 2)
  const spec = { from: '', to: '', id: options.id ?? 1 }
  return ethernet(spec, from.isV6, ipPacket({ spec, from, to, number, payload: body }))
}

/** The packet without its Ethernet header. */
export function ipOf(frameBytes: Buffer): Buffer {
  return frameBytes.subarray(14)
}

/** The transport checksum of a frame without VLAN tags, options and extensions. */
export function checksumAt(frameBytes: Buffer, protocol: 'TCP' | 'UDP'): number {
  const header = frameBytes.readUInt16BE(12) === 0x86dd ? 40 : 20
  return frameBytes.readUInt16BE(14 + header + (protocol === 'UDP' ? 6 : 16))
}

/** The frames of a packet whose transport header and payload are sent in pieces of `size` bytes. */
export function fragmentsOf(spec: PacketSpec, id: number, size: number): Buffer[] {
  const from = parseEnd(spec.from)
  const whole = transport(spec, from, parseEnd(spec.to))
  const pieces: Buffer[] = []
  for (let offset = 0; offset < whole.length; offset += size) {
    const rest = whole.subarray(offset, offset + size)
    const fragment = { id, offset, more: offset + size < whole.length }
    pieces.push(frame({ ...spec, rest, fragment }))
  }
  return pieces
}

function transport(spec: PacketSpec, from: End, to: End): Buffer {
  const payload = Buffer.from(spec.payload ?? '')
  const header = spec.tcp === undefined ? udpHeader(spec, payload.length) : tcpHeader(spec)
  header.writeUInt16BE(from.port, 0)
  header.writeUInt16BE(to.port, 2)
  const bytes = Buffer.concat([header, payload])
  if (spec.udpChecksum === 'zero') return bytes
  const number = spec.tcp === undefined ? proto.udp : proto.tcp
  const sum = checksum(bytes, pseudoSum(from.address, to.address, number, bytes.length))
  bytes.writeUInt16BE(
    sum === 0 && number === proto.udp ? 0xffff : sum,
    number === proto.udp ? 6 : 16,
  )
  return bytes
}

function udpHeader(spec: PacketSpec, payloadLength: number): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt16BE(spec.claim?.udpLength ?? 8 + payloadLength, 4)
  return header
}

const tcpFlags: Record<string, number> = { F: 1, S: 2, R: 4, P: 8, A: 16 }

function tcpHeader(spec: PacketSpec): Buffer {
  const header = Buffer.alloc(20)
  header.writeUInt32BE(spec.seq ?? 1000, 4)
  header.writeUInt32BE(spec.ack ?? 0, 8)
  header[12] = (spec.claim?.tcpWords ?? 5) << 4
  header[13] = Array.from(spec.tcp ?? '').reduce(
    (flags, letter) => flags | (tcpFlags[letter] ?? 0),
    0,
  )
  header.writeUInt16BE(spec.window ?? 64240, 14)
  return header
}

interface IpInput {
  readonly spec: PacketSpec
  readonly from: End
  readonly to: End
  readonly number: number
  readonly payload: Buffer
}

function ipPacket(input: IpInput): Buffer {
  return input.from.isV6 ? ipv6Packet(input) : ipv4Packet(input)
}

function ipv4Packet({ spec, from, to, number, payload }: IpInput): Buffer {
  const options = spec.ipOptions ?? Buffer.alloc(0)
  const header = Buffer.alloc(20 + options.length)
  header[0] = ((spec.claim?.ipVersion ?? 4) << 4) | (spec.claim?.ipWords ?? header.length / 4)
  header[1] = spec.tos ?? 0
  header.writeUInt16BE(spec.claim?.ipLength ?? header.length + payload.length, 2)
  header.writeUInt16BE(spec.fragment?.id ?? spec.id ?? 1, 4)
  header.writeUInt16BE(fragmentField(spec), 6)
  header[8] = spec.ttl ?? 64
  header[9] = number
  from.address.copy(header, 12)
  to.address.copy(header, 16)
  options.copy(header, 20)
  header.writeUInt16BE(checksum(header), 10)
  return Buffer.concat([header, payload])
}

function fragmentField(spec: PacketSpec): number {
  if (spec.fragment === undefined) return 0x4000
  return (spec.fragment.offset / 8) | (spec.fragment.more ? 0x2000 : 0)
}

function ipv6Packet({ spec, from, to, number, payload }: IpInput): Buffer {
  const headers = (spec.extensions ?? []).map((name) => extensionHeader(name))
  if (spec.fragment !== undefined) headers.push({ type: 44, bytes: fragmentHeader(spec.fragment) })
  headers.forEach(({ bytes }, index) => {
    bytes[0] = headers[index + 1]?.type ?? number
  })
  const body = Buffer.concat([...headers.map(({ bytes }) => bytes), payload])
  const header = Buffer.alloc(40)
  const traffic = spec.tos ?? 0
  header[0] = ((spec.claim?.ipVersion ?? 6) << 4) | (traffic >> 4)
  header[1] = (traffic & 15) << 4
  header.writeUInt16BE(spec.claim?.ipLength ?? body.length, 4)
  header[6] = headers[0]?.type ?? number
  header[7] = spec.ttl ?? 64
  from.address.copy(header, 8)
  to.address.copy(header, 24)
  return Buffer.concat([header, body])
}

const extensionTypes = {
  'hop-by-hop': 0,
  destination: 60,
  routing: 43,
  'routing with stops left': 43,
} as const

function extensionHeader(name: Extension): { type: number; bytes: Buffer } {
  const padding = [0, 0, 1, 4, 0, 0, 0, 0]
  const visited = [0, 2, 4, 0, ...Array<number>(20).fill(0xfd)]
  const stops = [0, 2, 4, 1, ...Array<number>(20).fill(0xfd)]
  const bytes = name === 'routing' ? visited : name === 'routing with stops left' ? stops : padding
  return { type: extensionTypes[name], bytes: Buffer.from(bytes) }
}

function fragmentHeader(fragment: NonNullable<PacketSpec['fragment']>): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt16BE(fragment.offset | (fragment.more ? 1 : 0), 2)
  bytes.writeUInt32BE(fragment.id, 4)
  return bytes
}

function ethernet(spec: PacketSpec, isV6: boolean, ip: Buffer): Buffer {
  if (spec.l2 === false) return ip
  const tags = (spec.vlan ?? []).map((id) => Buffer.from([0x81, 0x00, id >> 8, id & 0xff]))
  const header = Buffer.from('020000000001020000000002', 'hex')
  const type = Buffer.from(isV6 ? [0x86, 0xdd] : [0x08, 0x00])
  return Buffer.concat([header, ...tags, type, ip])
}
