import { fieldAt, type FieldPath, type GivenValues, type ProxyValues } from './fields.ts'
import { fateText, proxyFlags, type ProxyFlag } from './flags.ts'

/** The text of a flag as given: the last one, or all joined by commas for a list. */
export type FlagReader = (name: string, isList: boolean) => string | undefined

/** Something to say once at the start. */
export interface Note {
  readonly message: string
  readonly field?: string
  readonly flag?: string
  readonly value?: unknown
  readonly reason?: string
}

interface Read {
  /** What was set, before defaults. */
  readonly given: GivenValues
  readonly values: ProxyValues
  readonly read: FlagReader
}

/** What is to be said of flags without a file. */
export function notesOfFlags({ given, values, read }: Read): Note[] {
  // without a mode NodePorts answer on primary addresses
  const nodePorts = given.mode === undefined ? [] : nodePortNotes(values)
  return [...valueNotes(given, values), ...nodePorts, ...flagNotes(read)]
}

/** What is to be said of a file, and of the flags beside it. */
export function notesOfFile(
  { given, values, read }: Read,
  strictErrors: readonly string[],
): Note[] {
  const lenient = strictErrors.length === 0 ? [] : [lenientNote(strictErrors.join(', '))]
  const notes = [...valueNotes(given, values), ...nodePortNotes(values)]
  return [...lenient, ...notes, ...flagNotes(read), ...overruledNotes(read)]
}

function lenientNote(strict: string): Note {
  const message = 'Using lenient decoding as strict decoding failed'
  return { message, reason: `strict decoding error: ${strict}` }
}

/* One note for each setting that differs from its default and does nothing. */
function valueNotes(given: GivenValues, values: ProxyValues): Note[] {
  return (Object.keys(given) as FieldPath[]).flatMap((path) => {
    const { fate, preset, isNullable } = fieldAt(path)
    const value = shown(given[path])
    const isUnset = value === shown(preset) || (!isNullable && ['', 0, false].includes(value))
    if (isUnset || value === 'null') return []
    if (isTwin(path, given, values.mode)) return []
    const hasEffect = fate.kind === 'honoured' || fate.kind === 'pending'
    const isElsewhere = hasEffect && isOfOtherMode(path, values.mode)
    if (fate.kind === 'honoured' && !isElsewhere) return []
    const reason = isElsewhere ? `the mode is ${values.mode}` : fateText(fate)
    return [{ message: 'setting has no effect', field: path, value, reason }]
  })
}

/* A flag named after iptables counts for nftables, and is a setting of both then. */
function isTwin(path: FieldPath, given: GivenValues, mode: string): boolean {
  const [section = '', name = ''] = path.split('.')
  const other = given[`${mode}.${name}` as FieldPath]
  return section === 'iptables' && mode === 'nftables' && other === given[path]
}

/* ipvs has no masquerading of its own and uses that of iptables. */
function isOfOtherMode(path: FieldPath, mode: string): boolean {
  const [section = '', name = ''] = path.split('.')
  if (!['iptables', 'ipvs', 'nftables'].includes(section) || section === mode) return false
  return !(mode === 'ipvs' && section === 'iptables' && name.startsWith('masquerade'))
}

/* As kube-proxy says it. */
function nodePortNotes({ mode, nodePortAddresses }: ProxyValues): Note[] {
  if (mode === 'nftables' || nodePortAddresses.length > 0) return []
  const reason =
    'nodePortAddresses is unset; NodePort connections will be accepted on all local IPs. ' +
    'Consider using `--nodeport-addresses primary`'
  return [{ message: 'Kube-proxy configuration may be incomplete or incorrect', reason }]
}

function shown(value: unknown): string | number | boolean {
  if (typeof value === 'number' || typeof value === 'boolean') return value
  if (Array.isArray(value)) return value.length === 0 ? '' : JSON.stringify(value)
  return typeof value === 'string' ? value : ''
}

/* Flags that set no field and do nothing, and deprecated ones. */
function flagNotes(read: FlagReader): Note[] {
  const isGiven = ({ name }: ProxyFlag): boolean => read(name, false) !== undefined
  return proxyFlags.filter(isGiven).flatMap(({ name, path, fate, isDeprecated }) => {
    const flag = `--${name}`
    if (isDeprecated) return [{ message: 'flag is deprecated', flag }]
    if (path !== undefined || fate.kind === 'honoured') return []
    return [{ message: 'flag has no effect', flag, reason: fateText(fate) }]
  })
}

function overruledNotes(read: FlagReader): Note[] {
  return proxyFlags
    .filter((flag) => !flag.countsWithFile && read(flag.name, false) !== undefined)
    .map(({ name }) => ({
      message: 'flag has no effect',
      flag: `--${name}`,
      reason: 'it is ignored when --config is given',
    }))
}
