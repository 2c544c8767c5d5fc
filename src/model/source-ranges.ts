import { familyOf } from './address.ts'
import { coversFamily } from './ranges.ts'
import type { Family, FrontendKind, Service } from './types.ts'

/** Which frontends of a Service its source ranges are for; those at cluster IPs are open to all. */
export type SourceRangeKinds = 'load-balancer' | 'external'

/**
 * The ranges that may use a frontend; undefined: everybody may. Ranges of the other family alone
 * let nobody in: whoever lists ranges means that the rest is kept out.
 */
export function sourceRangesOf(
  { sourceRanges }: Service,
  kind: FrontendKind,
  family: Family,
  kinds: SourceRangeKinds,
): readonly string[] | undefined {
  const counts = kind === 'LoadBalancer' || (kinds === 'external' && kind !== 'ClusterIP')
  if (!counts || sourceRanges.kind === 'everybody') return undefined
  if (sourceRanges.kind === 'nobody') return []
  const { ranges } = sourceRanges
  if (coversFamily(ranges, family)) return undefined
  return ranges.filter((range) => familyOf(range) === family)
}
