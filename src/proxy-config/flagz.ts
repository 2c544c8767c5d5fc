import { fieldAt, type ProxyValues } from './fields.ts'
import { proxyFlags } from './flags.ts'
import { formatGoDuration } from './go-duration.ts'

/** kube-proxy's flags with the values they would have to have for this configuration. */
export function flagValues(values: ProxyValues): (readonly [name: string, value: string])[] {
  return proxyFlags.flatMap(({ name, path }) =>
    path === undefined ? [] : [[name, valueText(fieldAt(path).type, values[path])] as const],
  )
}

function valueText(type: string, value: unknown): string {
  if (typeof value === 'number' && type.endsWith('duration')) return formatGoDuration(value)
  if (value instanceof Map) {
    return [...(value as ReadonlyMap<string, boolean>)].map((gate) => gate.join('=')).join(',')
  }
  if (type === 'vmodule') {
    const items = value as ProxyValues['logging.vmodule'] // by its type
    return items.map((item) => `${item.filePattern}=${item.verbosity}`).join(',')
  }
  return String(value)
}
