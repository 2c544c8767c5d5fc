import { pino } from 'pino'
import { ShuntError } from './errors.ts'

/** Every name a log record may use, so that one thing is never called two names. */
export const logFields = [
  'address',
  'addresses',
  'backends',
  'changes',
  'count',
  'detail',
  'device',
  'direction',
  'duration',
  'elapsed',
  'endpoint',
  'endpoints',
  'entries',
  'err',
  'families',
  'field',
  'file',
  'flag',
  'flows',
  'frontend',
  'frontends',
  'ifindex',
  'interval',
  'kind',
  'limit',
  'map',
  'name',
  'namespace',
  'node',
  'object',
  'objects',
  'ops',
  'path',
  'pid',
  'port',
  'program',
  'reason',
  'resource',
  'retry',
  'server',
  'service',
  'services',
  'signal',
  'slice',
  'stage',
  'state',
  'status',
  'url',
  'value',
  'version',
  'warning',
] as const

export type LogFields = { readonly [Name in (typeof logFields)[number]]?: unknown }

/** Where records go: fields from the list above, then what happened, in the past tense. */
export interface Log {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

export interface LogOptions {
  readonly format: 'json' | 'pretty'
  /** klog-like: 0 info, 1 to 3 debug, 4 and up trace. */
  readonly verbosity: number
  /** Standard error unless told. */
  readonly write?: (line: string) => void
}

/** The log of a process: klog's JSON keys (ts, v, msg), or klog's text layout. */
export function createLog(options: LogOptions): Log {
  const destination = options.write ?? standardError()
  const write =
    options.format === 'json' ? destination : (line: string) => destination(formatLine(line))
  return pino(
    {
      level: levelOf(options.verbosity),
      base: null,
      timestamp: () => `,"ts":${Date.now()}`,
      formatters: {
        level: (label) => ({ level: label, v: verbosities[label] ?? 0 }),
        log: (fields) => ('err' in fields ? { ...fields, ...errorFields(fields['err']) } : fields),
      },
    },
    { write },
  )
}

/* `err` is a text, as klog has it. Where an expected error was made helps nobody. */
function errorFields(error: unknown): Readonly<Record<string, unknown>> {
  if (error instanceof ShuntError) return { err: error.message, code: error.code }
  if (!(error instanceof Error)) return { err: String(error) }
  return { err: error.message, stack: error.stack }
}

const verbosities: Readonly<Record<string, number>> = { debug: 1, trace: 4 }

function levelOf(verbosity: number): string {
  if (verbosity < 1) return 'info'
  return verbosity < 4 ? 'debug' : 'trace'
}

/* Synchronous, so that the last words before an exit are not lost. */
function standardError(): (line: string) => void {
  const destination = pino.destination({ fd: 2, sync: true })
  return (line) => void destination.write(line)
}

/**
 * A JSON record as a line of klog's: `I1121 00:50:41.172000    4711 kube-shunt:1] "msg" key="value"`.
 * Readers of klog want a file and line in it; there is neither here.
 */
export function formatLine(line: string): string {
  const record = JSON.parse(line) as Record<string, unknown> // written by pino just now
  const { level, ts, msg } = record
  const at = new Date(Number(ts)).toISOString()
  const stamp = `${at.slice(5, 7)}${at.slice(8, 10)} ${at.slice(11, 23)}000`
  const texts = Object.entries(record)
    .filter(([name]) => !klogKeys.includes(name))
    .map(([name, value]) => ` ${name}=${JSON.stringify(value)}`)
  const letter = letters[String(level)] ?? 'I'
  const pid = String(process.pid).padStart(7)
  return `${letter}${stamp} ${pid} kube-shunt:1] ${JSON.stringify(msg)}${texts.join('')}\n`
}

/* klog has no letter for details: they are information at a higher verbosity. */
const letters: Readonly<Record<string, string>> = { warn: 'W', error: 'E', fatal: 'F' }

/* What a line of klog's has elsewhere, or not at all. */
const klogKeys = ['level', 'v', 'ts', 'msg', 'code']
