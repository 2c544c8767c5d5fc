import { canonicalAddress, familyOf } from '../model/address.ts'
import { fieldAt, fieldPaths, type GivenValues, type ProxyValues } from './fields.ts'

export const healthzPort = 10256
export const metricsPort = 10249

/** A file's values with kube-proxy's defaults; a zero means unset wherever it does in Go. */
export function completeFile(given: GivenValues): ProxyValues {
  const values = Object.fromEntries(
    fieldPaths.map((path) => {
      const { preset, isNullable } = fieldAt(path)
      const value = given[path]
      const isUnset = value === undefined || (!isNullable && isZero(value))
      return [path, isUnset ? preset : value]
    }),
  ) as unknown as ProxyValues // one entry for every path, of its type
  const isIPv6 = isIPv6Address(values.bindAddress)
  return completeModes({
    ...values,
    healthzBindAddress: withPort(
      values.healthzBindAddress || (isIPv6 ? '::' : '0.0.0.0'),
      healthzPort,
    ),
    metricsBindAddress: withPort(
      values.metricsBindAddress || (isIPv6 ? '::1' : '127.0.0.1'),
      metricsPort,
    ),
  })
}

/** The ports of --healthz-port and --metrics-port: appended to a bare address; 0 switches off. */
export interface DeprecatedPorts {
  readonly healthz: number
  readonly metrics: number
}

/** Flags' values over kube-proxy's defaults; a zero that was given counts. */
export function completeFlags(given: GivenValues, ports: DeprecatedPorts): ProxyValues {
  const values = { ...completeFile({}), ...given }
  const address = (text: string, port: number): string => (port === 0 ? '' : withPort(text, port))
  return completeModes({
    ...values,
    healthzBindAddress: address(values.healthzBindAddress, ports.healthz),
    metricsBindAddress: address(values.metricsBindAddress, ports.metrics),
  })
}

function completeModes(values: ProxyValues): ProxyValues {
  return {
    ...values,
    mode: values.mode || 'iptables',
    detectLocalMode: values.detectLocalMode || 'ClusterCIDR',
  }
}

function isZero(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0
  if (value instanceof Map) return value.size === 0
  return value === '' || value === 0 || value === false
}

/* A bare address gets the port; anything else is left to validation. */
function withPort(text: string, port: number): string {
  const address = canonicalAddress(text)
  if (address === undefined) return text
  return familyOf(address) === 6 ? `[${text}]:${port}` : `${text}:${port}`
}

function isIPv6Address(text: string): boolean {
  const address = canonicalAddress(text)
  return address !== undefined && familyOf(address) === 6
}

/** The section whose periods and masqueradeAll count. */
export type Section = 'iptables' | 'ipvs' | 'nftables'

/** The section of the mode; iptables for a mode that validation will refuse. */
export function activeSection(mode: string): Section {
  return mode === 'ipvs' || mode === 'nftables' ? mode : 'iptables'
}

/** Whether all Service traffic is to be masqueraded; ipvs has no field of its own for it. */
export function masqueradesAll(values: ProxyValues): boolean {
  return values[values.mode === 'nftables' ? 'nftables.masqueradeAll' : 'iptables.masqueradeAll']
}
