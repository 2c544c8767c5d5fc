import { ShuntError } from '../errors.ts'
import { proxyFlags } from './flags.ts'

const types = new Map(proxyFlags.map(({ name, type }) => [name, type]))

/**
 * Arguments as Go's flag parser takes them: underscores for dashes, a boolean flag without a
 * value, a value that may be empty, and --version with one, which does not print it.
 */
export function normalizeGoArgs(args: readonly string[]): string[] {
  const normalized: string[] = []
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!
    if (arg === '--') return [...normalized, ...args.slice(at)]
    const [, name, equals = '', value = ''] = /^--([a-zA-Z][\w-]*)(=?)(.*)$/s.exec(arg) ?? []
    const flag = name?.replaceAll('_', '-')
    if (flag === undefined) normalized.push(arg)
    else if (flag === 'version') normalized.push(versionArg(value))
    else if (equals === '=') normalized.push(`--${flag}=${value}`)
    else if (types.get(flag) === 'boolean') normalized.push(`--${flag}=true`)
    else if (types.has(flag)) normalized.push(`--${flag}=${valueOf(flag, args[++at])}`)
    else normalized.push(`--${flag}`)
  }
  return normalized
}

function valueOf(flag: string, next: string | undefined): string {
  if (next !== undefined && !next.startsWith('--')) return next
  throw new ShuntError('KSH_USAGE', `--${flag}: a value is needed; see kube-shunt --help`)
}

/** --version and --version=raw print it; --version=vX.Y.Z tells kube-proxy what to report. */
function versionArg(value: string): string {
  return value.startsWith('v') ? `--reported-version=${value}` : '--version'
}
