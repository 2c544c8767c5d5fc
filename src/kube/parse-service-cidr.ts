import { canonicalRange } from '../model/address.ts'
import { deepProperty, listProperty, property, textProperty } from './parse-raw.ts'

/** More than a ServiceCIDR may have: one of each family. */
const maxRanges = 8

/**
 * The address ranges of a ServiceCIDR. One that is going away counts until it is gone, as its
 * cluster IPs do; one that is not accepted yet does not.
 */
export function parseServiceCidr(raw: unknown): string[] {
  if (!isTerminating(raw) && !isReady(raw)) return []
  const ranges = new Set<string>()
  for (const value of listProperty(property(raw, 'spec'), 'cidrs').slice(0, maxRanges)) {
    const range = typeof value === 'string' ? canonicalRange(value.trim()) : undefined
    if (range !== undefined) ranges.add(range)
  }
  return [...ranges]
}

function isTerminating(raw: unknown): boolean {
  return textProperty(property(raw, 'metadata'), 'deletionTimestamp') !== ''
}

function isReady(raw: unknown): boolean {
  const conditions = listProperty(deepProperty(raw, 'status'), 'conditions')
  const ready = conditions.find((condition) => textProperty(condition, 'type') === 'Ready')
  return ready === undefined || textProperty(ready, 'status') === 'True'
}
