import type { FieldType, VmoduleItem } from './field.ts'
import { parseGoDuration } from './go-duration.ts'

/** A value of a field's type, or what was expected instead. */
export type Read =
  | { readonly kind: 'read'; readonly value: unknown }
  | { readonly kind: 'refused'; readonly expected: string }

type Reader = (raw: unknown) => unknown

const maxInt32 = 2 ** 31 - 1
const int32 = (raw: unknown): number | undefined =>
  typeof raw === 'number' && Number.isInteger(raw) && raw >= -maxInt32 - 1 && raw <= maxInt32
    ? raw
    : undefined

/** How each type is read from a YAML value; undefined is a refusal. */
const fromYaml: Readonly<Record<FieldType, readonly [expected: string, read: Reader]>> = {
  text: ['a text', (raw) => (typeof raw === 'string' ? raw : undefined)],
  boolean: ['true or false', (raw) => (typeof raw === 'boolean' ? raw : undefined)],
  integer: ['a whole number', int32],
  number: [
    'a number',
    (raw) => (typeof raw === 'number' && Number.isFinite(raw) ? raw : undefined),
  ],
  duration: ['a duration such as 30s', readDuration],
  'loose duration': [
    'a duration such as 30s',
    (raw) => (typeof raw === 'number' && Number.isInteger(raw) ? raw : readDuration(raw)),
  ],
  quantity: ['a quantity such as 4Ki', (raw) => readQuantity(String(raw))],
  list: ['a list of texts', (raw) => (isTextList(raw) ? raw : undefined)],
  gates: ['names with true or false', readGates],
  vmodule: ['a list of filePattern and verbosity', readVmodule],
}

/** Reads what a YAML or JSON file has for a field. */
export function readValue(type: FieldType, raw: unknown): Read {
  const [expected, read] = fromYaml[type]
  return answer(expected, read(raw))
}

/** How each type is read from the text of a flag, where that differs from the file. */
const fromText: Readonly<
  Record<FieldType, readonly [expected: string, read: (text: string) => unknown]>
> = {
  text: ['a text', (text) => text],
  boolean: ['true or false', readGoBoolean],
  integer: [
    'a whole number',
    (text) => (/^[+-]?\d{1,10}$/.test(text) ? int32(Number(text)) : undefined),
  ],
  number: [
    'a number',
    (text) => (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : undefined),
  ],
  duration: ['a duration such as 30s', readDuration],
  'loose duration': ['a duration such as 30s', readDuration],
  quantity: ['a quantity such as 4Ki', readQuantity],
  list: ['texts separated by commas', (text) => (text === '' ? [] : text.split(','))],
  gates: ['NAME=true or NAME=false, separated by commas', readGatesText],
  vmodule: ['PATTERN=N, separated by commas', readVmoduleText],
}

/** Reads what a flag has for a field. */
export function readFlagText(type: FieldType, text: string): Read {
  const [expected, read] = fromText[type]
  return answer(expected, read(text))
}

function answer(expected: string, value: unknown): Read {
  return value === undefined ? { kind: 'refused', expected } : { kind: 'read', value }
}

function readDuration(raw: unknown): number | undefined {
  return typeof raw === 'string' ? parseGoDuration(raw) : undefined
}

function readQuantity(text: string): string | undefined {
  return /^[+-]?\d+(\.\d*)?([eE][+-]?\d+|[KMGTPE]i|[numkMGTPE])?$/.test(text) ? text : undefined
}

function isTextList(raw: unknown): raw is readonly string[] {
  return Array.isArray(raw) && raw.every((item) => typeof item === 'string')
}

function readGates(raw: unknown): ReadonlyMap<string, boolean> | undefined {
  if (!(raw instanceof Map)) return undefined
  const gates = new Map<string, boolean>()
  for (const [name, isOn] of raw as ReadonlyMap<unknown, unknown>) {
    if (typeof name !== 'string' || typeof isOn !== 'boolean') return undefined
    gates.set(name, isOn)
  }
  return gates
}

function readGatesText(text: string): ReadonlyMap<string, boolean> | undefined {
  const gates = new Map<string, boolean>()
  for (const item of text.split(',').filter((part) => part.trim() !== '')) {
    const [name = '', value = '', ...rest] = item.split('=')
    const isOn = readGoBoolean(value.trim())
    if (isOn === undefined || rest.length > 0 || name.trim() === '') return undefined
    gates.set(name.trim(), isOn)
  }
  return gates
}

function readVmodule(raw: unknown): readonly VmoduleItem[] | undefined {
  if (!Array.isArray(raw)) return undefined
  const items = (raw as readonly unknown[]).map((item) => {
    const map: ReadonlyMap<unknown, unknown> = item instanceof Map ? item : new Map()
    return { filePattern: map.get('filePattern'), verbosity: map.get('verbosity') }
  })
  const isItem = (item: { filePattern: unknown; verbosity: unknown }): item is VmoduleItem =>
    typeof item.filePattern === 'string' && int32(item.verbosity) !== undefined
  return items.every(isItem) ? items : undefined
}

function readVmoduleText(text: string): readonly VmoduleItem[] | undefined {
  const items: VmoduleItem[] = []
  for (const item of text.split(',').filter((part) => part !== '')) {
    const [, filePattern = '', level] = /^([^=]+)=(\d{1,10})$/.exec(item) ?? []
    if (level === undefined) return undefined
    items.push({ filePattern, verbosity: Number(level) })
  }
  return items
}

/** What Go takes for true and false; undefined for anything else. */
export function readGoBoolean(text: string): boolean | undefined {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true
  return ['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text) ? false : undefined
}
