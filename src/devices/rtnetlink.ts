import { readAddress } from '../model/address.ts'

export type NetFamily = 'IPv4' | 'IPv6'

/** A network device. */
export interface Link {
  readonly index: number
  readonly name: string
  /** Administratively up. */
  readonly up: boolean
  /** Up and with a carrier. */
  readonly running: boolean
  readonly loopback: boolean
  /** ARPHRD_*, see `hardware`: says whether packets have an Ethernet header. */
  readonly type: number
  /** 'veth', 'bridge', 'vxlan', ...; undefined: hardware, or the driver tells nothing. */
  readonly kind: string | undefined
  /** The bridge or bond it belongs to, 0: none. */
  readonly master: number
  /** The other end of a veth, the parent of a VLAN or macvlan; 0: none. */
  readonly peer: number
  /** `peer` counts in another network namespace. */
  readonly peerElsewhere: boolean
  readonly mac: string
  readonly mtu: number
}

export interface LinkAddress {
  readonly index: number
  readonly family: NetFamily
  readonly address: string
  readonly prefixLength: number
  readonly scope: 'global' | 'site' | 'link' | 'host' | 'nowhere'
  /** Not the first of its subnet (IPv4), or temporary (IPv6). */
  readonly secondary: boolean
  /** Not to be sent from: deprecated, or not known to be ours alone. */
  readonly avoided?: true
}

export interface DefaultRoute {
  readonly family: NetFamily
  readonly table: number
  readonly priority: number
  readonly indexes: readonly number[]
  /** The next hop, where there is one for all devices. */
  readonly gateway?: string
  /** What is to be sent from; without it the kernel chooses an address of the device. */
  readonly source?: string
}

export type NetlinkMessage = MessageFrame & MessageBody

/** What every message tells about itself. */
export interface MessageFrame {
  readonly sequence: number
  /** Part of an answer to a dump request, not an event. */
  readonly isReply: boolean
  /** Things changed while the kernel dumped them: the dump may be incomplete. */
  readonly isInterrupted: boolean
}

export type MessageBody =
  | { readonly kind: 'link'; readonly removed: boolean; readonly link: Link }
  | { readonly kind: 'address'; readonly removed: boolean; readonly address: LinkAddress }
  | { readonly kind: 'route'; readonly removed: boolean; readonly route: DefaultRoute }
  | { readonly kind: 'done'; readonly errno: number }
  | { readonly kind: 'error'; readonly errno: number; readonly request: number }
  | { readonly kind: 'ignored' }
  | { readonly kind: 'malformed'; readonly reason: string }

/** ARPHRD_* numbers of the devices met most; only the first two have Ethernet headers. */
export const hardware = { ethernet: 1, loopback: 772, tunnel: 768, none: 65534 } as const

/** RTNLGRP_* numbers. */
export const groups = { link: 1, address4: 5, route4: 7, address6: 9, route6: 11 } as const

const types = {
  error: 2,
  done: 3,
  newLink: 16,
  deleteLink: 17,
  getLink: 18,
  newAddress: 20,
  deleteAddress: 21,
  getAddress: 22,
  newRoute: 24,
  deleteRoute: 25,
  getRoute: 26,
}
const families = { unspecified: 0, IPv4: 2, IPv6: 10 } as const
const mainTable = 254

/** What a dump request asks for. */
export type DumpSubject = 'links' | 'addresses' | 'routes4' | 'routes6'

/** The request for all links, addresses, or routes of the main table of one family. */
export function dumpRequest(subject: DumpSubject, sequence: number): Buffer {
  switch (subject) {
    case 'links':
      return request(types.getLink, sequence, Buffer.alloc(16))
    case 'addresses':
      return request(types.getAddress, sequence, Buffer.alloc(8))
    case 'routes4':
      return request(types.getRoute, sequence, routeFilter(families.IPv4))
    case 'routes6':
      return request(types.getRoute, sequence, routeFilter(families.IPv6))
  }
}

function request(type: number, sequence: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(16)
  header.writeUInt32LE(header.length + payload.length, 0)
  header.writeUInt16LE(type, 4)
  header.writeUInt16LE(0x301, 6) // NLM_F_REQUEST | NLM_F_DUMP
  header.writeUInt32LE(sequence, 8)
  return Buffer.concat([header, payload])
}

/* struct rtmsg; the kernel then leaves out other tables (NETLINK_GET_STRICT_CHK). */
function routeFilter(family: number): Buffer {
  const filter = Buffer.alloc(12)
  filter.writeUInt8(family, 0)
  filter.writeUInt8(mainTable, 4)
  return filter
}

/** Every message of what one or more datagrams held; ends at the first that makes no sense. */
export function parseMessages(bytes: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = []
  for (let at = 0; at < bytes.length;) {
    const length = bytes.length - at >= 16 ? bytes.readUInt32LE(at) : 0
    if (length < 16 || length > bytes.length - at) {
      messages.push({ ...malformed(`message of ${length} bytes`), ...emptyFrame })
      break
    }
    messages.push(parseMessage(bytes.subarray(at, at + length)))
    at += Math.ceil(length / 4) * 4
  }
  return messages
}

const emptyFrame = { sequence: 0, isReply: false, isInterrupted: false }

function parseMessage(message: Buffer): NetlinkMessage {
  const flags = message.readUInt16LE(6)
  const frame = {
    sequence: message.readUInt32LE(8),
    isReply: (flags & 0x02) !== 0, // NLM_F_MULTI
    isInterrupted: (flags & 0x10) !== 0, // NLM_F_DUMP_INTR
  }
  return { ...frame, ...parseBody(message.readUInt16LE(4), message.subarray(16)) }
}

function parseBody(type: number, body: Buffer): MessageBody {
  switch (type) {
    case types.error:
      if (body.length < 20) return malformed('error message')
      return { kind: 'error', errno: body.readInt32LE(0), request: body.readUInt16LE(8) }
    case types.done:
      return { kind: 'done', errno: body.length < 4 ? 0 : body.readInt32LE(0) }
    case types.newLink:
    case types.deleteLink:
      return parseLink(body, type === types.deleteLink)
    case types.newAddress:
    case types.deleteAddress:
      return parseAddress(body, type === types.deleteAddress)
    case types.newRoute:
    case types.deleteRoute:
      return parseRoute(body, type === types.deleteRoute)
    default:
      return { kind: 'ignored' }
  }
}

const malformed = (reason: string): MessageBody => ({ kind: 'malformed', reason })

/* struct ifinfomsg. Families other than unspecified speak of a port leaving a bridge, and the like. */
function parseLink(body: Buffer, removed: boolean): MessageBody {
  if (body.length < 16) return malformed('link message')
  if (body.readUInt8(0) !== families.unspecified) return { kind: 'ignored' }
  const attributes = parseAttributes(body.subarray(16))
  const name = textOf(attributes.get(3))
  if (name === '') return { kind: 'ignored' }
  const flags = body.readUInt32LE(8)
  const link: Link = {
    index: body.readInt32LE(4),
    name,
    up: (flags & 0x1) !== 0,
    loopback: (flags & 0x8) !== 0,
    running: (flags & 0x40) !== 0,
    type: body.readUInt16LE(2),
    kind: textOf(parseAttributes(attributes.get(18)).get(1)) || undefined,
    master: numberOf(attributes.get(10)),
    peer: numberOf(attributes.get(5)),
    peerElsewhere: attributes.has(37),
    mac: macOf(attributes.get(1)),
    mtu: numberOf(attributes.get(4)),
  }
  return { kind: 'link', removed, link }
}

const scopes: Readonly<Record<number, LinkAddress['scope']>> = {
  0: 'global',
  200: 'site',
  253: 'link',
  254: 'host',
}

const avoidedFlags = 0x08 | 0x20 | 0x40 // IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE

/* struct ifaddrmsg; on point-to-point devices IFA_ADDRESS is the other side, IFA_LOCAL ours. */
function parseAddress(body: Buffer, removed: boolean): MessageBody {
  if (body.length < 8) return malformed('address message')
  const family = familyOf(body.readUInt8(0))
  if (family === undefined) return { kind: 'ignored' }
  const attributes = parseAttributes(body.subarray(8))
  const text = addressText(family, attributes.get(2) ?? attributes.get(1))
  if (text === undefined) return malformed('address without an address')
  const flags = attributes.has(8) ? numberOf(attributes.get(8)) : body.readUInt8(2)
  const address: LinkAddress = {
    index: body.readUInt32LE(4),
    family,
    address: text,
    prefixLength: body.readUInt8(1),
    scope: scopes[body.readUInt8(3)] ?? 'nowhere',
    secondary: (flags & 0x01) !== 0,
    ...((flags & avoidedFlags) !== 0 && { avoided: true }),
  }
  return { kind: 'address', removed, address }
}

/* struct rtmsg; only default routes that lead out of a device, none of the kernel's clones. */
function parseRoute(body: Buffer, removed: boolean): MessageBody {
  if (body.length < 12) return malformed('route message')
  const family = familyOf(body.readUInt8(0))
  const isDefault = body.readUInt8(1) === 0 && body.readUInt8(7) === 1
  const isClone = (body.readUInt32LE(8) & 0x200) !== 0
  if (family === undefined || !isDefault || isClone) return { kind: 'ignored' }
  const attributes = parseAttributes(body.subarray(12))
  const table = attributes.has(15) ? numberOf(attributes.get(15)) : body.readUInt8(4)
  const index = numberOf(attributes.get(4))
  const indexes = [...(index === 0 ? [] : [index]), ...parseNextHops(attributes.get(9))]
  const priority = numberOf(attributes.get(6))
  const gateway = addressText(family, attributes.get(5))
  const source = addressText(family, attributes.get(7))
  const route: DefaultRoute = {
    ...{ family, table, priority, indexes },
    ...(gateway !== undefined && { gateway }),
    ...(source !== undefined && { source }),
  }
  return { kind: 'route', removed, route }
}

/* A list of struct rtnexthop: u16 length, flags, hops, then the device. */
function parseNextHops(list: Buffer | undefined): number[] {
  const indexes: number[] = []
  for (let at = 0; list !== undefined && at + 8 <= list.length;) {
    const length = list.readUInt16LE(at)
    if (length < 8) break
    indexes.push(list.readInt32LE(at + 4))
    at += Math.ceil(length / 4) * 4
  }
  return indexes
}

/* Attributes by number; ends at the first that does not fit. */
function parseAttributes(bytes: Buffer = Buffer.alloc(0)): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>()
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = bytes.readUInt16LE(at)
    if (length < 4 || length > bytes.length - at) break
    attributes.set(bytes.readUInt16LE(at + 2) & 0x3fff, bytes.subarray(at + 4, at + length))
    at += Math.ceil(length / 4) * 4
  }
  return attributes
}

function familyOf(family: number): NetFamily | undefined {
  if (family === families.IPv4) return 'IPv4'
  return family === families.IPv6 ? 'IPv6' : undefined
}

function addressText(family: NetFamily, bytes: Buffer | undefined): string | undefined {
  if (bytes?.length !== (family === 'IPv4' ? 4 : 16)) return undefined
  if (family === 'IPv6') return readAddress(bytes, 0)
  return bytes.join('.')
}

function numberOf(bytes: Buffer | undefined): number {
  return bytes === undefined || bytes.length < 4 ? 0 : bytes.readUInt32LE(0)
}

function textOf(bytes: Buffer | undefined): string {
  return bytes === undefined ? '' : bytes.toString('utf8').replace(/\0.*$/s, '')
}

function macOf(bytes: Buffer | undefined): string {
  return bytes === undefined ? '' : (bytes.toString('hex').match(/../g) ?? []).join(':')
}
