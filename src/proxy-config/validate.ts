import { canonicalAddress, canonicalRange, familyOf } from '../model/address.ts'
import { activeSection } from './complete.ts'
import type { FieldPath, ProxyValues } from './fields.ts'
import { formatGoDuration } from './go-duration.ts'

/** A value that kube-proxy would refuse, with its message. */
export interface Invalid {
  readonly path: FieldPath
  readonly message: string
}

const root = 'KubeProxyConfiguration'
const conntrack = `${root}.KubeProxyLinuxConfiguration.KubeProxyConntrackConfiguration`

/** What is wrong with a configuration, named and worded as kube-proxy does. */
export function validate(values: ProxyValues): Invalid[] {
  return [
    ...masqueradeBits(values),
    ...ipvs(values),
    ...conntrackLimits(values),
    ...within(values, 'oomScoreAdj', `${root}.KubeProxyLinuxConfiguration.OOMScoreAdj`, 1000),
    ...mode(values),
    ...notNegative(values, 'clientConnection.burst', `${root}.ClientConnection.Burst`),
    ...periods(values),
    ...bindAddress(values),
    ...hostPort(values, 'healthzBindAddress', `${root}.HealthzBindAddress`),
    ...hostPort(values, 'metricsBindAddress', `${root}.MetricsBindAddress`),
    ...portRange(values),
    ...nodePortAddresses(values),
    ...detectLocal(values),
    ...logging(values),
  ]
}

/** Several messages as one, as kube-proxy puts them together. */
export function messageOfAll(invalid: readonly Invalid[]): string {
  const messages = [...new Set(invalid.map(({ message }) => message))]
  return messages.length === 1 ? messages[0]! : `[${messages.join(', ')}]`
}

function refusal(path: FieldPath, name: string, shown: string, detail: string): Invalid[] {
  return [{ path, message: `${name}: Invalid value: ${shown}: ${detail}` }]
}

const quoted = JSON.stringify

function masqueradeBits(values: ProxyValues): Invalid[] {
  const allowed = 'must be within the range [0, 31]'
  const check = (path: 'iptables.masqueradeBit' | 'nftables.masqueradeBit', name: string) =>
    values[path] < 0 || values[path] > 31
      ? refusal(path, `${root}.${name}.MasqueradeBit`, String(values[path]), allowed)
      : []
  return [
    ...check('iptables.masqueradeBit', 'KubeProxyIPTablesConfiguration'),
    ...(values.mode === 'nftables'
      ? check('nftables.masqueradeBit', 'KubeProxyNFTablesConfiguration')
      : []),
  ]
}

function ipvs(values: ProxyValues): Invalid[] {
  if (values.mode !== 'ipvs') return []
  const name = `${root}.KubeProxyIPVSConfiguration`
  return [
    ...durationNotNegative(values, 'ipvs.tcpTimeout', `${name}.TCPTimeout`),
    ...durationNotNegative(values, 'ipvs.tcpFinTimeout', `${name}.TCPFinTimeout`),
    ...durationNotNegative(values, 'ipvs.udpTimeout', `${name}.UDPTimeout`),
    ...ranges(values, 'ipvs.excludeCIDRs', `${name}.ExcludeCidrs`),
  ]
}

function conntrackLimits(values: ProxyValues): Invalid[] {
  const timeouts = [
    ['conntrack.tcpEstablishedTimeout', 'TCPEstablishedTimeout'],
    ['conntrack.tcpCloseWaitTimeout', 'TCPCloseWaitTimeout'],
    ['conntrack.udpTimeout', 'UDPTimeout'],
    ['conntrack.udpStreamTimeout', 'UDPStreamTimeout'],
  ] as const
  return [
    ...notNegative(values, 'conntrack.maxPerCore', `${conntrack}.MaxPerCore`),
    ...notNegative(values, 'conntrack.min', `${conntrack}.Min`),
    ...timeouts.flatMap(([path, name]) =>
      durationNotNegative(values, path, `${conntrack}.${name}`),
    ),
  ]
}

type PathOf<Wanted> = {
  [Path in FieldPath]: ProxyValues[Path] extends Wanted ? Path : never
}[FieldPath]

function notNegative(values: ProxyValues, path: PathOf<number>, name: string): Invalid[] {
  const value = values[path]
  return value < 0 ? refusal(path, name, String(value), 'must be greater than or equal to 0') : []
}

function durationNotNegative(values: ProxyValues, path: PathOf<number>, name: string): Invalid[] {
  const shown = formatGoDuration(values[path])
  return values[path] < 0 ? refusal(path, name, shown, 'must be greater than or equal to 0') : []
}

function within(values: ProxyValues, path: PathOf<number>, name: string, limit: number): Invalid[] {
  const value = values[path]
  const allowed = `must be within the range [-${limit}, ${limit}]`
  return Math.abs(value) > limit ? refusal(path, name, String(value), allowed) : []
}

function mode(values: ProxyValues): Invalid[] {
  if (['iptables', 'ipvs', 'nftables'].includes(values.mode)) return []
  const allowed =
    'must be iptables, ipvs, nftables or blank ' +
    '(blank means the best-available proxy [currently iptables])'
  return refusal('mode', `${root}.Mode.ProxyMode`, quoted(values.mode), allowed)
}

function periods(values: ProxyValues): Invalid[] {
  const section = activeSection(values.mode)
  const [sync, least] = [`${section}.syncPeriod`, `${section}.minSyncPeriod`] as const
  const above = (path: PathOf<number>, name: string): Invalid[] =>
    values[path] <= 0
      ? refusal(path, `${root}.${name}`, formatGoDuration(values[path]), 'must be greater than 0')
      : []
  return [
    ...above('configSyncPeriod', 'ConfigSyncPeriod'),
    ...above(sync, 'SyncPeriod'),
    ...durationNotNegative(values, least, `${root}.MinSyncPeriod`),
    ...(values[least] > values[sync]
      ? refusal(
          sync,
          `${root}.SyncPeriod`,
          formatGoDuration(values[least]),
          `must be greater than or equal to ${root}.MinSyncPeriod`,
        )
      : []),
  ]
}

function bindAddress({ bindAddress: value }: ProxyValues): Invalid[] {
  if (canonicalAddress(value) !== undefined) return []
  const allowed = 'not a valid textual representation of an IP address'
  return refusal('bindAddress', `${root}.BindAddress`, quoted(value), allowed)
}

function hostPort(values: ProxyValues, path: PathOf<string>, name: string): Invalid[] {
  const value = values[path]
  if (value === '') return []
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:[\]]*)):([^:]*)$/.exec(value) ?? []
  if (port === undefined) return refusal(path, name, quoted(value), 'must be IP:port')
  const host = bracketed ?? plain ?? ''
  const number = /^[0-9]{1,5}$/.test(port) ? Number(port) : 0
  return [
    ...(canonicalAddress(host) === undefined
      ? refusal(path, name, quoted(host), 'must be a valid IP')
      : []),
    ...(number < 1 || number > 65535
      ? refusal(path, name, quoted(port), 'must be a valid port')
      : []),
  ]
}

function portRange({ portRange: value }: ProxyValues): Invalid[] {
  const [, low = '0', sign, high] = /^\s*([0-9]{1,5})(?:([-+])([0-9]{1,5}))?\s*$/.exec(value) ?? []
  const end = high === undefined ? Number(low) : Number(high) + (sign === '+' ? Number(low) : 0)
  const isRange = value === '' || (/^\s*[0-9]/.test(value) && end >= Number(low) && end <= 65535)
  const allowed = 'must be a valid port range (e.g. 300-2000)'
  return isRange ? [] : refusal('portRange', `${root}.PortRange`, quoted(value), allowed)
}

function nodePortAddresses(values: ProxyValues): Invalid[] {
  const list = values.nodePortAddresses
  const name = `${root}.NodePortAddresses`
  const primary = list.indexOf('primary')
  if (primary === -1) return ranges(values, 'nodePortAddresses', name)
  if (list.length === 1) return []
  const shown = quoted('primary')
  const allowed = "can't use both 'primary' and CIDRs"
  return refusal('nodePortAddresses', `${name}[${primary}]`, shown, allowed)
}

function ranges(values: ProxyValues, path: PathOf<readonly string[]>, name: string): Invalid[] {
  return values[path].flatMap((item, at) =>
    isRange(item) ? [] : refusal(path, `${name}[${at}]`, quoted(item), 'must be a valid CIDR'),
  )
}

function isRange(text: string): boolean {
  return text.includes('/') && canonicalRange(text) !== undefined
}

function detectLocal(values: ProxyValues): Invalid[] {
  const name = `${root}.DetectLocalConfiguration`
  const empty = (path: PathOf<string>, end: string): Invalid[] =>
    values[path] === '' ? refusal(path, `${name}.${end}`, '""', 'must not be empty') : []
  const modes = ['ClusterCIDR', 'NodeCIDR', 'BridgeInterface', 'InterfaceNamePrefix']
  switch (values.detectLocalMode) {
    case 'ClusterCIDR':
      return values.clusterCIDR === '' ? [] : clusterRanges(values.clusterCIDR, name)
    case 'NodeCIDR':
      return []
    case 'BridgeInterface':
      return empty('detectLocal.bridgeInterface', 'InterfaceName')
    case 'InterfaceNamePrefix':
      return empty('detectLocal.interfaceNamePrefix', 'InterfacePrefix')
    default: {
      const supported = [...modes, ''].map((item) => quoted(item)).join(', ')
      const value = `Unsupported value: ${quoted(values.detectLocalMode)}`
      const message = `${root}.DetectLocalMode: ${value}: supported values: ${supported}`
      return [{ path: 'detectLocalMode', message }]
    }
  }
}

function clusterRanges(text: string, parent: string): Invalid[] {
  const list = text.split(',')
  const name = `${parent}.ClusterCIDRs`
  const pair =
    'must be a either a single CIDR or dual-stack pair of CIDRs ' +
    '(e.g. [10.100.0.0/16, fde4:8dba:82e1::/48]'
  if (list.length > 2) return refusal('clusterCIDR', name, quoted(list), pair)
  const allowed = 'must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)'
  const bad = list.flatMap((item, at) =>
    isRange(item) ? [] : refusal('clusterCIDR', `${name}[${at}]`, quoted(item), allowed),
  )
  const isPair = list.length === 1 || new Set(list.map(familyOf)).size === 2
  return bad.length > 0 || isPair ? bad : refusal('clusterCIDR', name, quoted(list), pair)
}

function logging(values: ProxyValues): Invalid[] {
  const format = values['logging.format']
  return [
    ...(['text', 'json'].includes(format)
      ? []
      : refusal('logging.format', 'logging.format', quoted(format), 'Unsupported log format')),
    ...notNegative(values, 'logging.verbosity', 'logging.verbosity'),
  ]
}
