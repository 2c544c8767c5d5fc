import type { Family } from '../model/types.ts'
import { deepProperty, property, readTime } from './parse-raw.ts'

/** When the change happened in the cluster that a new version of a slice tells us. */
export interface ChangeTrigger {
  readonly family: Family
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** The trigger that the endpoint slice controller noted in a slice, if it did. */
export function readChangeTrigger(raw: unknown): ChangeTrigger | undefined {
  const annotations = deepProperty(raw, 'metadata', 'annotations')
  const at = readTime(property(annotations, 'endpoints.kubernetes.io/last-change-trigger-time'))
  if (at === 0) return undefined
  return { family: property(raw, 'addressType') === 'IPv6' ? 6 : 4, at }
}
