import { canonicalAddress, canonicalRange } from '../model/address.ts'
import { activeSection, masqueradesAll } from './complete.ts'
import { fields, type FieldPath } from './fields.ts'
import type { ProxyConfig } from './load.ts'

/** How long idle flows are kept, in seconds; undefined means the datapath's own default. */
export interface FlowLifetimes {
  readonly tcpEstablished: number | undefined
  readonly tcpHalfClosed: number | undefined
  readonly udpUnreplied: number | undefined
  readonly udpReplied: number | undefined
}

/** The local addresses that NodePorts answer on. */
export type NodePortAddresses =
  | { readonly kind: 'primary' }
  | { readonly kind: 'all' }
  | { readonly kind: 'ranges'; readonly ranges: readonly string[] }

/** How traffic of this node's pods is told from other traffic. */
export interface DetectLocal {
  readonly mode: string
  readonly clusterRanges: readonly string[]
  readonly bridgeInterface: string
  readonly interfaceNamePrefix: string
}

/** What kube-proxy's configuration means for the agent. */
export interface ProxySettings {
  /** The file; the agent ends when it changes. */
  readonly file: string | undefined
  /** vX.Y.Z that the agent is to call itself. */
  readonly reportedVersion: string | undefined
  readonly kubeconfig: string
  readonly hostnameOverride: string
  readonly healthzBindAddress: string
  readonly metricsBindAddress: string
  readonly bindAddressHardFail: boolean
  /** Undefined: nothing says what format logs have. */
  readonly logFormat: 'json' | 'pretty' | undefined
  readonly verbosity: number
  readonly lifetimes: FlowLifetimes
  /** Between two passes. */
  readonly leastSyncMilliseconds: number
  /** How long a change may wait before the proxy is unhealthy. */
  readonly lateMilliseconds: number
  readonly oomScoreAdj: number | undefined
  readonly nodePortAddresses: NodePortAddresses
  readonly detectLocal: DetectLocal
  readonly masqueradeAll: boolean
  readonly localhostNodePorts: boolean
  /** Overrides the node's primary address; undefined: it does not. */
  readonly nodeAddress: string | undefined
  readonly eventRate: { readonly perSecond: number; readonly burst: number }
  readonly allowsExternalIPs: boolean
}

/** What the agent is to do, from kube-proxy's configuration. */
export function proxySettings(config: ProxyConfig): ProxySettings {
  const { values, file, reportedVersion } = config
  return {
    file,
    reportedVersion,
    kubeconfig: values['clientConnection.kubeconfig'],
    hostnameOverride: values.hostnameOverride,
    healthzBindAddress: values.healthzBindAddress,
    metricsBindAddress: values.metricsBindAddress,
    bindAddressHardFail: values.bindAddressHardFail,
    ...logSettings(config),
    ...timeSettings(config),
    oomScoreAdj: isSaid(config, 'oomScoreAdj') ? values.oomScoreAdj : undefined,
    nodePortAddresses: nodePortAddressesOf(config),
    detectLocal: detectLocalOf(config),
    masqueradeAll: masqueradesAll(values),
    localhostNodePorts: values['iptables.localhostNodePorts'],
    nodeAddress: nodeAddressOf(values.bindAddress),
    eventRate: {
      perSecond: values['clientConnection.qps'],
      burst: values['clientConnection.burst'],
    },
    allowsExternalIPs: values.featureGates.get('AllowServiceExternalIPs') === true,
  }
}

/* With a file kube-proxy's defaults are part of what it says. */
function isSaid({ file, given }: ProxyConfig, path: FieldPath): boolean {
  return file !== undefined || given[path] !== undefined
}

function logSettings(config: ProxyConfig): Pick<ProxySettings, 'logFormat' | 'verbosity'> {
  const { values } = config
  const format = values['logging.format'] === 'json' ? 'json' : 'pretty'
  return {
    logFormat: isSaid(config, 'logging.format') ? format : undefined,
    verbosity: values['logging.verbosity'],
  }
}

function timeSettings(
  config: ProxyConfig,
): Pick<ProxySettings, 'lifetimes' | 'leastSyncMilliseconds' | 'lateMilliseconds'> {
  const { values, given } = config
  const lifetime = (path: LifetimePath): number | undefined =>
    isSaid(config, path) && values[path] > 0 ? values[path] / 1e9 : undefined
  const section = activeSection(values.mode)
  return {
    lifetimes: {
      tcpEstablished: lifetime('conntrack.tcpEstablishedTimeout'),
      tcpHalfClosed: lifetime('conntrack.tcpCloseWaitTimeout'),
      udpUnreplied: lifetime('conntrack.udpTimeout'),
      udpReplied: lifetime('conntrack.udpStreamTimeout'),
    },
    leastSyncMilliseconds: leastSyncOf(given[`${section}.minSyncPeriod`] ?? 0) / 1e6,
    lateMilliseconds: (2 * values[`${section}.syncPeriod`]) / 1e6,
  }
}

/* kube-proxy's own 1 s spares iptables; a pass here costs next to nothing. */
function leastSyncOf(nanoseconds: number): number {
  return nanoseconds === fields['iptables.minSyncPeriod'].preset ? 0 : nanoseconds
}

type LifetimePath =
  | 'conntrack.tcpEstablishedTimeout'
  | 'conntrack.tcpCloseWaitTimeout'
  | 'conntrack.udpTimeout'
  | 'conntrack.udpStreamTimeout'

/* Unset means all addresses where kube-proxy was told to be one of the modes for which it does. */
function nodePortAddressesOf(config: ProxyConfig): NodePortAddresses {
  const { nodePortAddresses: list, mode } = config.values
  if (list.includes('primary')) return { kind: 'primary' }
  if (list.length > 0) return { kind: 'ranges', ranges: list.map(rangeOf) }
  return isSaid(config, 'mode') && mode !== 'nftables' ? { kind: 'all' } : { kind: 'primary' }
}

function rangeOf(text: string): string {
  return canonicalRange(text) ?? text // validated
}

function detectLocalOf({ values }: ProxyConfig): DetectLocal {
  return {
    mode: values.detectLocalMode,
    clusterRanges: values.clusterCIDR === '' ? [] : values.clusterCIDR.split(',').map(rangeOf),
    bridgeInterface: values['detectLocal.bridgeInterface'],
    interfaceNamePrefix: values['detectLocal.interfaceNamePrefix'],
  }
}

function nodeAddressOf(bindAddress: string): string | undefined {
  const address = canonicalAddress(bindAddress)
  return address === '0.0.0.0' || address === '::' ? undefined : address
}
