import { familyOf, readAddress } from '../model/address.ts'
import { sourceRangeKey } from './abi.ts'

/** A range of clients that may use the frontend at an index. */
export interface FrontendRange {
  readonly index: number
  readonly range: string
}

/** Bits of a key before those of the address. */
const frontendBits = 32
/** Bits that all IPv4 addresses share. */
const mappedBits = 96
const addressBytes = 16
const addressAt = sourceRangeKey.size - addressBytes

/** Writes the key of a canonical range. */
export function encodeRange(buffer: Buffer, at: number, { index, range }: FrontendRange): void {
  const [address = '', bits = ''] = range.split('/')
  const prefix = Number(bits) + (familyOf(address) === 4 ? mappedBits : 0)
  sourceRangeKey.format(
    buffer,
    { prefixlen: frontendBits + prefix, frontend: index, addr: address },
    at,
  )
}

/** The range of a key, bits behind its prefix ignored; undefined: it is not of one frontend. */
export function decodeRange(key: Buffer): FrontendRange | undefined {
  if (key.length !== sourceRangeKey.size) return undefined
  const { prefixlen, frontend: index } = sourceRangeKey.parse(key)
  const bits = prefixlen - frontendBits
  if (bits < 0 || bits > 8 * addressBytes) return undefined
  const bytes = Buffer.from(key.subarray(addressAt))
  for (let at = 0; at < addressBytes; at++) {
    const kept = Math.min(8, Math.max(0, bits - 8 * at))
    bytes[at]! &= 0xff00 >> kept
  }
  const address = readAddress(bytes, 0)
  const isWhole = bits >= mappedBits && familyOf(address) === 4
  return { index, range: `${address}/${isWhole ? bits - mappedBits : bits}` }
}
