import { stringify } from 'yaml'
import { activeSection, masqueradesAll } from './complete.ts'
import { fieldAt, fieldPaths, type ProxyValues } from './fields.ts'
import { formatGoDuration } from './go-duration.ts'

/** A configuration as kube-proxy's --write-config-to writes it. */
export function writeProxyConfig(values: ProxyValues): string {
  return stringify(proxyConfigObject(values), { indentSeq: false, lineWidth: 0, version: '1.1' })
}

/** The same as an object of plain values, its keys sorted at every level. */
export function proxyConfigObject(values: ProxyValues): Readonly<Record<string, unknown>> {
  const tree = new Map<string, unknown>([
    ['apiVersion', 'kubeproxy.config.k8s.io/v1alpha1'],
    ['kind', 'KubeProxyConfiguration'],
  ])
  const written = onlyActive(values)
  for (const path of fieldPaths) {
    const { type, omitsEmpty } = fieldAt(path)
    const value = plain(type, written[path])
    if (!(omitsEmpty && isEmpty(value))) place(tree, path.split('.'), value)
  }
  return sorted(tree)
}

/* kube-proxy keeps one value for all sections, and writes it in that of the mode. */
function onlyActive(values: ProxyValues): ProxyValues {
  const section = activeSection(values.mode)
  const inactive = (['iptables', 'ipvs', 'nftables'] as const).filter((name) => name !== section)
  const masquerading = masqueradesAll(values)
  return {
    ...values,
    ...Object.fromEntries(
      inactive.flatMap((name) => [
        [`${name}.syncPeriod`, 0],
        [`${name}.minSyncPeriod`, 0],
      ]),
    ),
    'iptables.masqueradeAll': values.mode !== 'nftables' && masquerading,
    'nftables.masqueradeAll': values.mode === 'nftables' && masquerading,
  }
}

function plain(type: string, value: unknown): unknown {
  if (typeof value === 'number' && type.endsWith('duration')) return formatGoDuration(value)
  if (value instanceof Map) return Object.fromEntries(value as ReadonlyMap<string, boolean>)
  return Array.isArray(value) && value.length === 0 ? null : value
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === false) return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

function place(tree: Map<string, unknown>, [first = '', ...rest]: string[], value: unknown): void {
  if (rest.length === 0) {
    tree.set(first, value)
    return
  }
  const branch = tree.get(first) ?? new Map<string, unknown>()
  tree.set(first, branch)
  place(branch as Map<string, unknown>, rest, value) // no path is a prefix of another
}

function sorted(tree: ReadonlyMap<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    [...tree]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => [
        key,
        value instanceof Map ? sorted(value as ReadonlyMap<string, unknown>) : value,
      ]),
  )
}
