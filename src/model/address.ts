import type { Family } from './types.ts'

/**
 * The canonical text of an IP address, or undefined. Strict, because two readers that
 * disagree about leading zeros or mapped addresses are a security hole: no leading zeros in
 * IPv4, no zone, and no IPv4 address dressed as IPv6.
 */
export function canonicalAddress(text: string): string | undefined {
  if (text.length > 45) return undefined
  if (!text.includes(':')) return parseIPv4(text) === undefined ? undefined : text
  const groups = parseIPv6(text)
  if (groups === undefined || isMappedIPv4(groups)) return undefined
  return formatIPv6(groups)
}

/** Why canonicalAddress refuses a text. */
export function whyNotAddress(text: string): string {
  if (text.includes('%')) return 'an address with a zone cannot be served'
  if (text.includes('/')) return 'is a range, not an address'
  const groups = text.length > 45 ? undefined : parseIPv6(text)
  if (groups !== undefined && isMappedIPv4(groups)) return 'is an IPv4 address in IPv6 form'
  if (/^[0-9]{1,4}(\.[0-9]{1,4}){3}$/.test(text) && /(^|\.)0[0-9]/.test(text)) {
    return 'has leading zeros, which readers disagree about'
  }
  return 'is not an IP address'
}

/** The family of a canonical address. */
export function familyOf(address: string): Family {
  return address.includes(':') ? 6 : 4
}

/** What kind of address a canonical text is; only 'unicast' ones can be served or be backends. */
export function addressScope(address: string): AddressScope {
  return familyOf(address) === 4 ? scopeOfIPv4(address) : scopeOfIPv6(address)
}

export type AddressScope =
  'unicast' | 'loopback' | 'link-local' | 'multicast' | 'unspecified' | 'reserved'

/** Writes a canonical address as 16 bytes, IPv4 as ::ffff:a.b.c.d. */
export function writeAddress(address: string, buffer: Uint8Array, offset: number): void {
  if (familyOf(address) === 4) {
    const value = parseIPv4(address)
    if (value === undefined) throw new TypeError(`${address} is not an address`)
    buffer.fill(0, offset, offset + 10)
    buffer[offset + 10] = 0xff
    buffer[offset + 11] = 0xff
    buffer[offset + 12] = value >>> 24
    buffer[offset + 13] = (value >>> 16) & 0xff
    buffer[offset + 14] = (value >>> 8) & 0xff
    buffer[offset + 15] = value & 0xff
    return
  }
  const groups = parseIPv6(address)
  if (groups === undefined) throw new TypeError(`${address} is not an address`)
  for (let i = 0; i < 8; i++) {
    buffer[offset + 2 * i] = groups[i]! >>> 8
    buffer[offset + 2 * i + 1] = groups[i]! & 0xff
  }
}

/** The canonical text of 16 bytes. */
export function readAddress(buffer: Uint8Array, offset: number): string {
  const groups: number[] = []
  for (let i = 0; i < 8; i++) {
    groups.push((buffer[offset + 2 * i]! << 8) | buffer[offset + 2 * i + 1]!)
  }
  if (!isMappedIPv4(groups)) return formatIPv6(groups)
  const high = groups[6]!
  const low = groups[7]!
  return `${high >>> 8}.${high & 0xff}.${low >>> 8}.${low & 0xff}`
}

/** The canonical text of an address range, host bits cleared, or undefined. */
export function canonicalRange(text: string): string | undefined {
  const slash = text.indexOf('/')
  const address = canonicalAddress(slash < 0 ? text : text.slice(0, slash))
  if (address === undefined) return undefined
  const width = familyOf(address) === 4 ? 32 : 128
  const bits = slash < 0 ? String(width) : text.slice(slash + 1)
  if (!/^(0|[1-9][0-9]{0,2})$/.test(bits) || Number(bits) > width) return undefined
  const bytes = new Uint8Array(16)
  writeAddress(address, bytes, 0)
  for (let bit = 128 - width + Number(bits); bit < 128; bit++) {
    bytes[bit >>> 3]! &= ~(0x80 >>> (bit & 7))
  }
  return `${readAddress(bytes, 0)}/${bits}`
}

function parseIPv4(text: string): number | undefined {
  const length = text.length
  if (length < 7 || length > 15) return undefined
  let value = 0
  let octet = -1
  let dots = 0
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code === 46) {
      if (octet < 0 || ++dots > 3) return undefined
      value = value * 256 + octet
      octet = -1
    } else if (code >= 48 && code <= 57) {
      if (octet === 0) return undefined
      octet = (octet < 0 ? 0 : octet * 10) + code - 48
      if (octet > 255) return undefined
    } else return undefined
  }
  return dots === 3 && octet >= 0 ? value * 256 + octet : undefined
}

function parseIPv6(text: string): number[] | undefined {
  const gap = text.indexOf('::')
  if (gap < 0) {
    const groups = parseGroups(text, true)
    return groups?.length === 8 ? groups : undefined
  }
  if (text.includes('::', gap + 1)) return undefined
  const head = parseGroups(text.slice(0, gap), false)
  const tail = parseGroups(text.slice(gap + 2), true)
  if (head === undefined || tail === undefined || head.length + tail.length > 7) return undefined
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail]
}

function parseGroups(text: string, mayEndInIPv4: boolean): number[] | undefined {
  if (text === '') return []
  const pieces = text.split(':')
  const groups: number[] = []
  for (const [at, piece] of pieces.entries()) {
    if (mayEndInIPv4 && at === pieces.length - 1 && piece.includes('.')) {
      const value = parseIPv4(piece)
      if (value === undefined) return undefined
      groups.push(Math.floor(value / 65536), value % 65536)
    } else if (/^[0-9a-fA-F]{1,4}$/.test(piece)) groups.push(parseInt(piece, 16))
    else return undefined
  }
  return groups
}

/** RFC 5952: lower case, no leading zeros, the first longest run of two or more zeros shortened. */
function formatIPv6(groups: readonly number[]): string {
  let best = -1
  let bestLength = 1
  for (let start = 0; start < 8; start++) {
    let end = start
    while (end < 8 && groups[end] === 0) end++
    if (end - start > bestLength) {
      best = start
      bestLength = end - start
    }
  }
  const hex = groups.map((group) => group.toString(16))
  if (best < 0) return hex.join(':')
  return `${hex.slice(0, best).join(':')}::${hex.slice(best + bestLength).join(':')}`
}

function isMappedIPv4(groups: readonly number[]): boolean {
  return groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)
}

function scopeOfIPv4(address: string): AddressScope {
  const first = parseInt(address, 10)
  if (first === 0) return 'unspecified'
  if (first === 127) return 'loopback'
  if (first === 169 && address.startsWith('169.254.')) return 'link-local'
  if (first >= 240) return 'reserved'
  return first >= 224 ? 'multicast' : 'unicast'
}

function scopeOfIPv6(address: string): AddressScope {
  if (address === '::') return 'unspecified'
  if (address === '::1') return 'loopback'
  if (address.startsWith('ff') && address.indexOf(':') === 4) return 'multicast'
  return /^fe[89ab][0-9a-f]:/.test(address) ? 'link-local' : 'unicast'
}
