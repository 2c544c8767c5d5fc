import { readFileSync } from 'node:fs'
import { messageOf, ShuntError } from '../errors.ts'
import { completeFile, completeFlags, healthzPort, metricsPort } from './complete.ts'
import { decodeProxyConfig } from './decode.ts'
import { fieldAt, type FieldPath, type GivenValues, type ProxyValues } from './fields.ts'
import { proxyFlags, type ProxyFlag } from './flags.ts'
import { notesOfFile, notesOfFlags, type FlagReader, type Note } from './notes.ts'
import { readFlagText } from './read-value.ts'
import { messageOfAll, validate } from './validate.ts'

/** kube-proxy's configuration, from a file or from flags. */
export interface ProxyConfig {
  readonly values: ProxyValues
  /** What was set, before defaults. */
  readonly given: GivenValues
  /** The configuration file; undefined: flags alone. */
  readonly file: string | undefined
  /** vX.Y.Z of --version. */
  readonly reportedVersion: string | undefined
  readonly notes: readonly Note[]
}

/** Reads kube-proxy's configuration with its precedence: a file wins over all but a few flags. */
export function loadProxyConfig(read: FlagReader): ProxyConfig {
  const file = read('config', false)
  const reportedVersion = read('reported-version', false)
  const config = file === undefined || file === '' ? fromFlags(read) : fromFile(file, read)
  return { ...config, reportedVersion }
}

type Loaded = Omit<ProxyConfig, 'reportedVersion'>

function fromFlags(read: FlagReader): Loaded {
  const given = givenBy(proxyFlags, read)
  const values = completeFlags(given, {
    healthz: portFlag('healthz-port', healthzPort, read),
    metrics: portFlag('metrics-port', metricsPort, read),
  })
  // their flags take more than kube-proxy's do, and are checked where they are used
  const elsewhere: readonly FieldPath[] = ['healthzBindAddress', 'metricsBindAddress']
  const invalid = validate(values).filter(({ path }) => !elsewhere.includes(path))
  if (invalid.length > 0) {
    const flag = fieldAt(invalid[0]!.path).flag
    const where = flag === undefined ? '' : `--${flag}: `
    throw new ShuntError('KSH_USAGE', where + messageOfAll(invalid))
  }
  return { values, given, file: undefined, notes: notesOfFlags({ given, values, read }) }
}

function fromFile(file: string, read: FlagReader): Loaded {
  const decoded = decodeProxyConfig(readConfigFile(file))
  if (decoded.kind === 'failed') throw new ShuntError('KSH_CONFIG', `${file}: ${decoded.reason}`)
  const overriding = proxyFlags.filter(({ countsWithFile }) => countsWithFile)
  const given = { ...decoded.given, ...givenBy(overriding, read) }
  const values = completeFile(given)
  const invalid = validate(values)
  if (invalid.length > 0) {
    throw new ShuntError('KSH_CONFIG', `${file}: failed validate: ${messageOfAll(invalid)}`)
  }
  const notes = notesOfFile({ given, values, read }, decoded.strictErrors)
  return { values, given, file, notes }
}

/** The text of a configuration file. */
export function readConfigFile(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new ShuntError('KSH_CONFIG', `--config: cannot read ${file}: ${messageOf(cause)}`, {
      cause,
    })
  }
}

function givenBy(flags: readonly ProxyFlag[], read: FlagReader): GivenValues {
  const given: Record<string, unknown> = {}
  for (const flag of flags) {
    const value = flag.path === undefined ? undefined : readFlag(flag, read)
    if (value !== undefined) given[flag.path!] = value
  }
  return inActiveSection(given) // by readFlagText
}

const listTypes: readonly string[] = ['list', 'gates', 'vmodule']

function readFlag({ name, type }: ProxyFlag, read: FlagReader): unknown {
  const text = read(name, listTypes.includes(type))
  if (text === undefined) return undefined
  const value = readFlagText(type, text)
  if (value.kind === 'read') return value.value
  const flag = name === 'v' ? '-v' : `--${name}`
  throw new ShuntError(
    'KSH_USAGE',
    `${flag}: ${JSON.stringify(text)} is not allowed: use ${value.expected}`,
  )
}

/* The iptables flags count for nftables as well, which has none of its own. */
function inActiveSection(given: GivenValues): GivenValues {
  if (given.mode !== 'nftables') return given
  const moved = ['syncPeriod', 'minSyncPeriod', 'masqueradeAll'] as const
  return Object.fromEntries([
    ...Object.entries(given),
    ...moved.flatMap((name) => {
      const value = given[`iptables.${name}`]
      return value === undefined ? [] : [[`nftables.${name}`, value] as const]
    }),
  ])
}

function portFlag(name: string, preset: number, read: FlagReader): number {
  const port = readFlag(
    proxyFlags.find((flag) => flag.name === name)!,
    read,
  ) as number | undefined
  if (port === undefined || (port >= 0 && port <= 65535)) return port ?? preset
  throw new ShuntError('KSH_USAGE', `--${name}: "${port}" is not allowed: use a port or 0`)
}
