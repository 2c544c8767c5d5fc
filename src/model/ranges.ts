import { familyOf, writeAddress } from './address.ts'
import type { Family } from './types.ts'

/** Tells whether an address is in a list of ranges. */
export type RangeTest = (address: string) => boolean

/** The test of canonical ranges; no ranges contain nothing. */
export function rangeTest(ranges: readonly string[]): RangeTest {
  const known = ranges.map(readRange)
  const bytes = new Uint8Array(16)
  return (address) => {
    if (known.length === 0) return false
    const family = familyOf(address)
    writeAddress(address, bytes, 0)
    return known.some((range) => range.family === family && contains(range, bytes))
  }
}

/** Whether ranges let every address of a family in. */
export function coversFamily(ranges: readonly string[], family: Family): boolean {
  return ranges.includes(family === 4 ? '0.0.0.0/0' : '::/0')
}

/** Whether two canonical ranges have an address in common: then one is within the other. */
export function rangesOverlap(a: string, b: string): boolean {
  const [one, other] = [readRange(a), readRange(b)]
  if (one.family !== other.family) return false
  const [outer, inner] = one.bits <= other.bits ? [one, other] : [other, one]
  return contains(outer, inner.start)
}

interface Range {
  readonly family: Family
  readonly start: Uint8Array
  readonly bits: number
}

function readRange(text: string): Range {
  const [address = '', bits = ''] = text.split('/')
  const start = new Uint8Array(16)
  writeAddress(address, start, 0)
  const family = familyOf(address)
  return { family, start, bits: Number(bits) + (family === 4 ? 96 : 0) }
}

function contains({ start, bits }: Range, bytes: Uint8Array): boolean {
  const whole = bits >>> 3
  for (let at = 0; at < whole; at++) if (start[at] !== bytes[at]) return false
  const rest = bits & 7
  return rest === 0 || ((start[whole]! ^ bytes[whole]!) & (0xff00 >>> rest) & 0xff) === 0
}
