import { addressScope, canonicalAddress, whyNotAddress } from '../model/address.ts'
import type { Refusals } from './parse-raw.ts'

/** The canonical text of an address that packets can be sent to, or a refusal. */
export function readUnicast(value: unknown, field: string, refusals: Refusals): string | undefined {
  if (typeof value !== 'string') {
    refusals.add(field, value, 'is not a text')
    return undefined
  }
  const address = canonicalAddress(value)
  if (address === undefined) {
    refusals.add(field, value, whyNotAddress(value))
    return undefined
  }
  const scope = addressScope(address)
  if (scope === 'unicast') return address
  refusals.add(field, value, `is a ${scope} address`)
  return undefined
}
