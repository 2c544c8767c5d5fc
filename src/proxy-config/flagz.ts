import type { VmoduleItem } from './field.ts'
import { fieldAt, type FieldPath, type ProxyValues } from './fields.ts'
import { proxyFlags } from './flags.ts'
import { formatGoDuration } from './go-duration.ts'

/** kube-proxy's flags with the values they would have to have for this configuration. */
export function flagValues(values: ProxyValues): (readonly [name: string, value: string])[] {
  return proxyFlags.flatMap(({ name, path }) =>
    path === undefined ? [] : [[name, fieldText(values, path)] as const],
  )
}

/** A field's value as a flag would have it. */
export function fieldText(values: ProxyValues, path: FieldPath): string {
  const { type } = fieldAt(path)
  const value = values[path]
  if (typeof value === 'number' && type.endsWith('duration')) return formatGoDuration(value)
  if (typeof value !== 'object') return String(value)
  if (value instanceof Map) {
    return [...(value as ReadonlyMap<string, boolean>)].map((gate) => gate.join('=')).join(',')
  }
  const items = value as readonly (string | VmoduleItem)[] // the only lists
  return items
    .map((item) => (typeof item === 'string' ? item : `${item.filePattern}=${item.verbosity}`))
    .join(',')
}
