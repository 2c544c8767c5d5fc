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
  readonly cgroup: string | undefined
  readonly source: Source
  readonly nodeName: string
  readonly socketLb: 'off'
  readonly forwarding: 'stack'
  readonly xdp: 'off'
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
  readonly snatPorts: { readonly low: number; readonly high: number } | undefined
  /** Undefined: not served. */
  readonly healthz: BindAddress | undefined
  readonly metrics: BindAddress | undefined
  readonly logFormat: 'json' | 'pretty'
  /** klog-like: 0 info, 1 and up debug. */
  readonly verbosity: number
}

type Environment = Readonly<Record<string, string | undefined>>

const cgroup2Magic = 0x63677270
const entryLimits = {
  'flow-table-entries': [1024, 2 ** 24],
  'frontends-max': [64, 2 ** 20],
  // a word of frontend_words has 24 bits for a place in `backends`
  'backends-max': [64, 2 ** 24],
} as const

/** The configuration that flags ask for; a bad value is an error that names it. */
export function configOf(flags: Flags, environment: Environment = process.env): Config {
  const flowTableEntries = entries(flags, 'flow-table-entries', flowEntriesFor(usableMemory()))
  return {
    ...modesOf(flags),
    bpffs: parsePath(given(flags, 'bpffs')),
    cgroup: optional(flags, 'cgroup', parseCgroup),
    source: sourceOf(flags, environment),
    nodeName: nodeNameOf(flags),
    devices: optional(flags, 'devices', parseGlobs) ?? [],
    podDevices: optional(flags, 'pod-devices', parseGlobs) ?? [],
    flowTableEntries,
    halfOpenEntries: halfOpenEntriesFor(flowTableEntries),
    frontendsMax: entries(flags, 'frontends-max', 65_536),
    backendsMax: entries(flags, 'backends-max', 262_144),
    midflowGraceSeconds: parseDuration(given(flags, 'midflow-grace'), 24 * 3600),
    externalIpCidrs: optional(flags, 'external-ip-cidrs', parseRanges) ?? [],
    snatPorts: optional(flags, 'snat-ports', parsePorts),
    healthz: parseBindAddress(given(flags, 'healthz-bind-address'), 10256),
    metrics: parseBindAddress(given(flags, 'metrics-bind-address'), 10249),
    logFormat: parseChoice(given(flags, 'log-format'), ['json', 'pretty']),
    verbosity: parseCount(given(flags, 'v'), 0, 10),
  }
}

/** Flags that were accepted and change nothing yet. */
export function flagsWithoutEffect(config: Config): string[] {
  return [
    ...(config.externalIpCidrs.length > 0 ? ['--external-ip-cidrs'] : []),
    ...(config.snatPorts === undefined ? [] : ['--snat-ports']),
  ]
}

/** What /configz shows: kube-proxy's keys where we have them, and everything of our own. */
export function configzOf(config: Config): Readonly<Record<string, unknown>> {
  const bind = (address: BindAddress | undefined): string =>
    address === undefined ? '' : bindText(address)
  const { source } = config
  return {
    'kubeproxy.config.k8s.io': {
      clientConnection: { kubeconfig: source.kind === 'api' ? (source.kubeconfig ?? '') : '' },
      hostnameOverride: config.nodeName,
      healthzBindAddress: bind(config.healthz),
      metricsBindAddress: bind(config.metrics),
      mode: 'kube-shunt',
    },
    'kube-shunt.io': config,
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
    xdp: onlyNow(given(flags, 'xdp'), 'off', ['auto', 'native', 'generic']),
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

function sourceOf(flags: Flags, environment: Environment): Source {
  const path = optional(flags, 'cluster-file', parseFile)
  const kubeconfig = optional(flags, 'kubeconfig', parseFile)
  const master = optional(flags, 'master', parseMaster)
  if (path !== undefined) {
    const other = kubeconfig === undefined ? '--master' : '--kubeconfig'
    if (kubeconfig === undefined && master === undefined) return { kind: 'cluster-file', path }
    throw new ShuntError('KSH_USAGE', `--cluster-file and ${other}: give one of them, not both`)
  }
  const isPod = (environment['KUBERNETES_SERVICE_HOST'] ?? '') !== ''
  if (kubeconfig !== undefined || master !== undefined || isPod) {
    return { kind: 'api', kubeconfig, master }
  }
  throw new ShuntError(
    'KSH_USAGE',
    'no source of Services: give --cluster-file, --kubeconfig or --master ' +
      '(KUBERNETES_SERVICE_HOST is not set, so this is not a pod)',
  )
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
function nodeNameOf(flags: Flags): string {
  const flag = given(flags, 'hostname-override')
  const name = (flag.text === '' ? hostname() : flag.text).trim().toLowerCase()
  return /^[^\s/]{1,253}$/.test(name) ? name : refuse({ ...flag, text: name }, 'use a node name')
}
