import ipaddr from 'ipaddr.js'
import { pseudoSum, sum16 } from './checksum.ts'
import { proto } from './packet.ts'
import { describeSctp, sctpProtocol } from './sctp.ts'

/**
 * A frame as one line: `TCP 10.0.0.1:1 > 10.0.0.2:80 [S]`, with what is unusual about it
 * (vlan, tos, fragment, wrong checksums) behind it, so that a test compares sentences.
 */
export function describeFrame(frame: Buffer): string {
  let at = 12
  const notes: string[] = []
  while (frame.readUInt16BE(at) === 0x8100) {
    notes.push(`vlan ${frame.readUInt16BE(at + 2)}`)
    at += 4
  }
  return [describeIp(frame.subarray(at + 2), true), ...notes].join(', ')
}

/** The same for a packet without Ethernet header; quotes in ICMP errors may be cut short. */
export function describeIp(ip: Buffer, isWhole = true): string {
  const notes: string[] = []
  const head = (ip[0] ?? 0) >> 4 === 6 ? parseIpv6(ip, notes) : parseIpv4(ip, notes)
  return [describeTransport(head, isWhole, notes), ...notes].join(', ')
}

interface Head {
  readonly source: Buffer
  readonly target: Buffer
  readonly number: number
  readonly body: Buffer
  readonly isFragment: boolean
  readonly isLater: boolean
}

function parseIpv4(ip: Buffer, notes: string[]): Head {
  const length = ((ip[0] ?? 0) & 15) * 4
  if (sum16(ip.subarray(0, length)) !== 0xffff) notes.push('wrong IP checksum')
  if (length > 20) notes.push(`${length - 20} bytes of options`)
  if (ip[1] !== 0) notes.push(`tos ${ip[1] ?? 0}`)
  if (ip[8] !== 64) notes.push(`ttl ${ip[8] ?? 0}`)
  const field = ip.readUInt16BE(6)
  const offset = (field & 0x1fff) * 8
  if ((field & 0x3fff) !== 0) notes.push(`fragment at ${offset}`)
  return {
    source: ip.subarray(12, 16),
    target: ip.subarray(16, 20),
    number: ip[9] ?? 0,
    body: ip.subarray(length, Math.min(ip.readUInt16BE(2), ip.length)),
    isFragment: (field & 0x3fff) !== 0,
    isLater: offset !== 0,
  }
}

function parseIpv6(ip: Buffer, notes: string[]): Head {
  let number = ip[6] ?? 0
  let at = 40
  let offset = 0
  let isFragment = false
  const traffic = (ip.readUInt16BE(0) >> 4) & 0xff
  if (traffic !== 0) notes.push(`tos ${traffic}`)
  if (ip[7] !== 64) notes.push(`ttl ${ip[7] ?? 0}`)
  while (number === 0 || number === 60 || number === 43 || number === 44) {
    if (number === 44) {
      offset = ip.readUInt16BE(at + 2) & 0xfff8
      isFragment = true
      notes.push(`fragment at ${offset}`)
    } else notes.push(`extension ${number}`)
    const next = ip[at] ?? 0
    at += number === 44 ? 8 : ((ip[at + 1] ?? 0) + 1) * 8
    number = next
  }
  const end = Math.min(40 + ip.readUInt16BE(4), ip.length)
  return {
    source: ip.subarray(8, 24),
    target: ip.subarray(24, 40),
    number,
    body: ip.subarray(at, end),
    isFragment,
    isLater: offset !== 0,
  }
}

function describeTransport(head: Head, isWhole: boolean, notes: string[]): string {
  const source = addressText(head.source)
  const target = addressText(head.target)
  if (head.isLater) return `${nameOf(head.number)} ${source} > ${target}`
  if (head.number === proto.icmp || head.number === proto.icmpv6)
    return describeIcmp(head, `${source} > ${target}`, notes)
  const ports = [head.body.readUInt16BE(0), head.body.readUInt16BE(2)] as const
  if (head.number === sctpProtocol) {
    const chunk = isWhole && !head.isFragment ? ` ${describeSctp(head.body)}` : ''
    return `SCTP ${source}:${ports[0]} > ${target}:${ports[1]}${chunk}`
  }
  if (isWhole && !head.isFragment) checkTransport(head, notes)
  const ends = `${source}:${ports[0]} > ${target}:${ports[1]}`
  if (head.number === proto.udp) return `UDP ${ends}`
  return `TCP ${ends}${head.body.length > 13 ? ` [${flagLetters(head.body[13] ?? 0)}]` : ''}`
}

function checkTransport(head: Head, notes: string[]): void {
  const at = head.number === proto.udp ? 6 : 16
  const field = head.body.readUInt16BE(at)
  if (head.number === proto.udp && field === 0) {
    notes.push('no checksum')
    return
  }
  const start = pseudoSum(head.source, head.target, head.number, head.body.length)
  if (sum16(head.body, start) !== 0xffff) notes.push('wrong checksum')
}

function describeIcmp(head: Head, ends: string, notes: string[]): string {
  const isV6 = head.number === proto.icmpv6
  const start = isV6 ? pseudoSum(head.source, head.target, head.number, head.body.length) : 0
  if (sum16(head.body, start) !== 0xffff) notes.push('wrong ICMP checksum')
  const kind = `${head.body[0] ?? 0}/${head.body[1] ?? 0}`
  const isEcho = isV6 ? (head.body[0] ?? 0) >= 128 : [0, 8].includes(head.body[0] ?? 0)
  if (isEcho) return `ICMP ${ends} ${kind}`
  return `ICMP ${ends} ${kind} about (${describeIp(head.body.subarray(8), false)})`
}

function nameOf(number: number): string {
  return number === proto.tcp ? 'TCP' : number === proto.udp ? 'UDP' : String(number)
}

function addressText(bytes: Buffer): string {
  const text = ipaddr.fromByteArray([...bytes]).toString()
  return bytes.length === 16 ? `[${text}]` : text
}

function flagLetters(flags: number): string {
  return Array.from('FSRPA')
    .filter((_, bit) => (flags & (1 << bit)) !== 0)
    .join('')
}
