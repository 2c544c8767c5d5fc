import { familyOf } from './address.ts'
import { rangeTest, rangesOverlap } from './ranges.ts'
import type { Family } from './types.ts'

/** How many service ranges the packet programs look through. */
export const maxServiceRanges = 8

/** The fewest bits of a range that can be meant to be one of cluster IPs. */
const leastBits: Readonly<Record<Family, number>> = { 4: 8, 6: 32 }

/** What no service range may hold: traffic to it would be dropped. */
export interface Inhabited {
  readonly addresses: readonly string[]
  readonly podCIDRs: readonly string[]
}

/** How many addresses of interfaces can be told apart within service ranges. */
export const maxExempt = 4

/** The ranges whose unallocated addresses are refused, and those left out with the reason. */
export interface ServiceRanges {
  readonly chosen: readonly string[]
  /** Addresses of interfaces within them, which are answered here: NodeLocal DNS has some. */
  readonly exempt: readonly string[]
  readonly left: readonly { readonly range: string; readonly reason: string }[]
}

/**
 * Chooses service ranges: without those inside of others and those that are inhabited; of too
 * many the widest, families in turn; none where too many interfaces have addresses in them.
 */
export function chooseServiceRanges(
  ranges: Iterable<string>,
  { addresses, podCIDRs }: Inhabited,
  interfaceAddresses: readonly string[] = [],
): ServiceRanges {
  const left: { range: string; reason: string }[] = []
  const usable = [...new Set(ranges)].filter((range) => {
    const reason = whyNot(range)
    if (reason !== undefined) left.push({ range, reason })
    return reason === undefined
  })
  const outer = usable.filter((range) => !usable.some((other) => isWithin(range, other)))
  const inTurn = familiesInTurn(outer)
  const exempt = [...new Set(interfaceAddresses)].filter(rangeTest(inTurn)).sort()
  const isCrowded = exempt.length > maxExempt
  const room = isCrowded ? 0 : maxServiceRanges - exempt.length
  const reason = isCrowded
    ? `holds more than ${maxExempt} addresses of interfaces`
    : `is one more than the ${room} there is room for`
  for (const range of inTurn.slice(room)) left.push({ range, reason })
  return { chosen: inTurn.slice(0, room), exempt: isCrowded ? [] : exempt, left }

  function whyNot(range: string): string | undefined {
    if (bitsOf(range) < leastBits[familyOf(range)]) return 'is too wide for cluster IPs'
    if (addresses.some(rangeTest([range]))) return 'holds an address of this node'
    if (podCIDRs.some((other) => rangesOverlap(range, other))) return 'holds addresses of pods'
    return undefined
  }
}

function isWithin(range: string, other: string): boolean {
  return bitsOf(other) < bitsOf(range) && rangesOverlap(range, other)
}

function familiesInTurn(ranges: readonly string[]): string[] {
  const widest = ([4, 6] as const).map((family) =>
    ranges
      .filter((range) => familyOf(range) === family)
      .sort((a, b) => bitsOf(a) - bitsOf(b) || (a < b ? -1 : 1)),
  )
  const longest = Math.max(...widest.map((list) => list.length))
  return Array.from({ length: longest }, (_, at) => at).flatMap((at) =>
    widest.flatMap((list) => list[at] ?? []),
  )
}

function bitsOf(range: string): number {
  return Number(range.slice(range.indexOf('/') + 1))
}
