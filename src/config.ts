import { statfsSync } from 'node:fs'
import { hostname } from 'node:os'
import { listOf, textOf, type Flags } from './cli/flags.ts'
import { flowEntriesFor, halfOpenEntriesFor, usableMemory } from './cli/memory.ts'
import {
  parseBindAddress,
  parseChoice,
  parseCount,
  parseDuration,
  parseFile,
  parseGlobs,
  parsePath,
  parsePorts,
  parseRanges,
  refuse,
  type Given,
} from './cli/values.ts'
import { ShuntError } from './errors.ts'
import type { SourceRangeKinds } from './model/source-ranges.ts'
import { healthzPort, metricsPort } from './proxy-config/complete.ts'
import type { ProxyValues } from './proxy-config/fields.ts'
import { loadProxyConfig, type ProxyConfig } from './proxy-config/load.ts'
import type { Note } from './proxy-config/notes.ts'
import { proxySettings, type ProxySettings } from './proxy-config/settings.ts'
import { proxyConfigObject } from './proxy-config/write.ts'

export interface BindAddress {
  readonly host: string
  readonly port: number
}

/** Where Services and EndpointSlices come from. */
export type Source =
  | { readonly kind: 'cluster-file'; readonly path: string }
  | {
      readonly kind: 'api'
      readonly kubeconfig: string | undefined
      readonly master: string | undefined
    }

/** Everything `kube-shunt run` can be told, after parsing and validation. */
export interface Config {
  readonly bpffs: string
  /** What a start does when another agent owns the root. */
  readonly ifOwned: 'fail' | 'wait'
  /** Written when the agent has started, or waits for the root and could start. */
  readonly readyFile: string | undefined
  readonly cgroup: string | undefined
  readonly source: Source
  readonly nodeName: string
  readonly socketLb: 'off'
  readonly forwarding: 'stack'
  readonly xdp: 'off' | 'auto' | 'native' | 'generic'
  /** Globs; empty means detected. */
  readonly devices: readonly string[]
  readonly podDevices: readonly string[]
  readonly flowTableEntries: number
  readonly halfOpenEntries: number
  readonly frontendsMax: number
  readonly backendsMax: number
  /** Seconds after the first start during which unknown mid-flow TCP is left to the host stack. */
  readonly midflowGraceSeconds: number
  readonly externalIpCidrs: readonly string[]
  readonly sourceRangeKinds: SourceRangeKinds
  /** Undefined: those of the cluster's ServiceCIDR objects. */
  readonly serviceCidrs: readonly string[] | undefined
  readonly snatPorts: { readonly low: number; readonly high: number } | undefined
  /** Undefined: not served. */
  readonly healthz: BindAddress | undefined
  readonly metrics: BindAddress | undefined
  readonly logFormat: 'json' | 'pretty'
  /** klog-like: 0 info, 1 and up debug. */
  readonly verbosity: number
  /** What kube-proxy's configuration asks for besides. */
  readonly proxy: ProxySettings
  /** kube-proxy's configuration itself, to be shown. */
  readonly proxyValues: ProxyValues
}

/** A configuration, and what is to be said about it once. */
export interface ReadConfig {
  readonly config: Config
  readonly notes: readonly Note[]
}

type Environment = Readonly<Record<string, string | undefined>>

const cgroup2Magic = 0x63677270
const entryLimits = {
  'flow-table-entries': [1024, 2 ** 24],
  'frontends-max': [64, 2 ** 20],
  // a word of frontend_words has 24 bits for a place in `backends`
  'backends-max': [64, 2 ** 24],
} as const

/** The configuration that flags, and the file that --config names, ask for. */
export function readConfig(flags: Flags, environment: Environment = process.env): ReadConfig {
  const proxyConfig = readProxyConfig(flags)
  const proxy = proxySettings(proxyConfig)
  const healthz = setting(proxy, 'healthz-bind-address', proxy.healthzBindAddress)
  const metrics = setting(proxy, 'metrics-bind-address', proxy.metricsBindAddress)
  const flowTableEntries = entries(flags, 'flow-table-entries', flowEntriesFor(usableMemory()))
  const config: Config = {
    ...modesOf(flags),
    bpffs: parsePath(given(flags, 'bpffs')),
    ifOwned: parseChoice(given(flags, 'if-owned'), ['fail', 'wait']),
    readyFile: optional(flags, 'ready-file', parsePath),
    cgroup: optional(flags, 'cgroup', parseCgroup),
    source: sourceOf(flags, proxy, environment),
    nodeName: nodeNameOf(proxy),
    devices: optional(flags, 'devices', parseGlobs) ?? [],
    podDevices: optional(flags, 'pod-devices', parseGlobs) ?? [],
    flowTableEntries,
    halfOpenEntries: halfOpenEntriesFor(flowTableEntries),
    frontendsMax: entries(flags, 'frontends-max', 65_536),
    backendsMax: entries(flags, 'backends-max', 262_144),
    midflowGraceSeconds: parseDuration(given(flags, 'midflow-grace'), 24 * 3600),
    externalIpCidrs: externalIpCidrsOf(flags, proxy),
    sourceRangeKinds: parseChoice(given(flags, 'source-ranges-for'), ['load-balancer', 'external']),
    serviceCidrs: optional(flags, 'service-cidrs', parseServiceCidrs),
    snatPorts: optional(flags, 'snat-ports', parsePorts),
    healthz: parseBindAddress(healthz, healthzPort),
    metrics: parseBindAddress(metrics, metricsPort),
    logFormat: optional(flags, 'log-format', parseLogFormat) ?? proxy.logFormat ?? 'json',
    verbosity: proxy.verbosity,
    proxy,
    proxyValues: proxyConfig.values,
  }
  return { config, notes: proxyConfig.notes }
}

/** The configuration alone. */
export function configOf(flags: Flags, environment: Environment = process.env): Config {
  return readConfig(flags, environment).config
}

/** kube-proxy's part of what flags ask for. */
export function readProxyConfig(flags: Flags): ProxyConfig {
  return loadProxyConfig((name, isList) => (isList ? listOf(flags, name) : textOf(flags, name)))
}

/** What /configz shows: kube-proxy's configuration, and everything of our own. */
export function configzOf(config: Config): Readonly<Record<string, unknown>> {
  const { proxyValues, ...own } = config
  return {
    'kubeproxy.config.k8s.io': {
      ...proxyConfigObject({ ...proxyValues, hostnameOverride: config.nodeName }),
      mode: 'kube-shunt',
    },
    'kube-shunt.io': own,
  }
}

/** An address and port as a flag or URL has them. */
export function bindText({ host, port }: BindAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function given(flags: Flags, name: string): Given {
  return { flag: `--${name}`, text: textOf(flags, name) ?? '' }
}

function optional<Value>(
  flags: Flags,
  name: string,
  parse: (given: Given) => Value,
): Value | undefined {
  const value = listOf(flags, name)
  if (value === undefined) return undefined
  const flag = { flag: `--${name}`, text: value }
  return value.trim() === '' ? refuse(flag, 'a value is needed') : parse(flag)
}

function modesOf(flags: Flags): Pick<Config, 'socketLb' | 'forwarding' | 'xdp'> {
  return {
    socketLb: onlyNow(given(flags, 'socket-lb'), 'off', ['host', 'tcp', 'all']),
    forwarding: onlyNow(given(flags, 'forwarding'), 'stack', ['fast']),
    xdp: parseChoice(given(flags, 'xdp'), ['auto', 'off', 'native', 'generic']),
  }
}

function onlyNow<Now extends string>(flag: Given, now: Now, later: readonly string[]): Now {
  if (flag.text === now) return now
  return refuse(
    flag,
    later.includes(flag.text)
      ? `it is not supported yet, use ${now}`
      : `use ${now} (not supported yet: ${later.join(', ')})`,
  )
}

function entries(flags: Flags, name: keyof typeof entryLimits, fallback: number): number {
  const [least, most] = entryLimits[name]
  return optional(flags, name, (flag) => parseCount(flag, least, most)) ?? fallback
}

/* A cluster file is asked for by a flag of ours, so it wins over what a kube-proxy file says. */
function sourceOf(flags: Flags, proxy: ProxySettings, environment: Environment): Source {
  const path = optional(flags, 'cluster-file', parseFile)
  const named = setting(proxy, 'kubeconfig', proxy.kubeconfig)
  const kubeconfig = proxy.kubeconfig === '' ? undefined : named
  const master = optional(flags, 'master', parseMaster)
  if (path !== undefined) {
    const isMixed = proxy.file === undefined && kubeconfig !== undefined
    if (!isMixed && master === undefined) return { kind: 'cluster-file', path }
    const other = isMixed ? '--kubeconfig' : '--master'
    throw new ShuntError('KSH_USAGE', `--cluster-file and ${other}: give one of them, not both`)
  }
  const isPod = (environment['KUBERNETES_SERVICE_HOST'] ?? '') !== ''
  if (kubeconfig !== undefined || master !== undefined || isPod) {
    return { kind: 'api', kubeconfig: kubeconfig && parseFile(kubeconfig), master }
  }
  throw new ShuntError(
    'KSH_USAGE',
    'no source of Services: give --cluster-file, --kubeconfig or --master ' +
      '(KUBERNETES_SERVICE_HOST is not set, so this is not a pod)',
  )
}

/* A value of kube-proxy's, under the name by which it was given. */
function setting(proxy: ProxySettings, flag: string, text: string): Given {
  return { flag: proxy.file === undefined ? `--${flag}` : `${proxy.file}: ${flag}`, text }
}

function externalIpCidrsOf(flags: Flags, proxy: ProxySettings): readonly string[] {
  const everything = ['0.0.0.0/0', '::/0']
  const fallback = proxy.allowsExternalIPs ? everything : []
  return optional(flags, 'external-ip-cidrs', parseRanges) ?? fallback
}

/* As ServiceCIDR objects say, if there are any; 'none' leaves unallocated cluster IPs alone. */
function parseServiceCidrs(flag: Given): readonly string[] {
  return flag.text === 'none' ? [] : parseRanges(flag)
}

function parseLogFormat(flag: Given): 'json' | 'pretty' {
  return parseChoice(flag, ['json', 'pretty'])
}

function parseMaster(flag: Given): string {
  const url = flag.text.includes('://') ? flag.text : `http://${flag.text}`
  const isUrl = URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)
  return isUrl ? flag.text : refuse(flag, 'use the URL of an API server, https://HOST:PORT')
}

function parseCgroup(flag: Given): string {
  const path = parsePath(flag)
  try {
    if (statfsSync(path).type === cgroup2Magic) return path
  } catch {
    return refuse(flag, 'an existing directory of a cgroup v2 mount is needed')
  }
  return refuse(flag, 'it is not in a cgroup v2 mount')
}

/* As kube-proxy: lower case, without blanks around it. */
function nodeNameOf(proxy: ProxySettings): string {
  const given = proxy.hostnameOverride
  const name = (given === '' ? hostname() : given).trim().toLowerCase()
  const isName = /^[^\s/]{1,253}$/.test(name)
  return isName ? name : refuse(setting(proxy, 'hostname-override', name), 'use a node name')
}
