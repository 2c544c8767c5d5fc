import { proxyFlags } from './flags.ts'

const booleans = new Set(
  proxyFlags.filter(({ type }) => type === 'boolean').map(({ name }) => name),
)

/**
 * Arguments as Go's flag parser takes them: underscores for dashes, a boolean flag without a
 * value, and --version with one, which does not print it.
 */
export function normalizeGoArgs(args: readonly string[]): string[] {
  const end = args.indexOf('--')
  const flags = end === -1 ? args : args.slice(0, end)
  return [...flags.map(normalized), ...args.slice(flags.length)]
}

function normalized(arg: string): string {
  const [, name, equals = '', value = ''] = /^--([a-zA-Z][\w-]*)(=?)(.*)$/s.exec(arg) ?? []
  if (name === undefined) return arg
  const dashed = name.replaceAll('_', '-')
  if (dashed === 'version') return version(value)
  if (booleans.has(dashed) && equals === '') return `--${dashed}=true`
  return `--${dashed}${equals}${value}`
}

function version(value: string): string {
  return value.startsWith('v') ? `--reported-version=${value}` : '--version'
}
