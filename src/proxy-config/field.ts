/** What becomes of a setting of kube-proxy's. */
export type Fate =
  | { readonly kind: 'honoured'; readonly how: string }
  /** It will mean something; for now it is carried and has no effect. */
  | { readonly kind: 'pending'; readonly what: string }
  | { readonly kind: 'ignored'; readonly why: string }
  /** It cannot mean anything on this system. */
  | { readonly kind: 'inapplicable'; readonly why: string }

export type FieldType =
  | 'text'
  | 'boolean'
  | 'integer'
  | 'number'
  | 'duration'
  /** A duration, or a number of nanoseconds. */
  | 'loose duration'
  | 'quantity'
  | 'list'
  | 'gates'
  | 'vmodule'

/** Log levels of source files by pattern; kept only to be written out again. */
export interface VmoduleItem {
  readonly filePattern: string
  readonly verbosity: number
}

export type Gates = ReadonlyMap<string, boolean>

/** One field of KubeProxyConfiguration: its type, kube-proxy's default, its flag and its fate. */
export interface Field<Value> {
  readonly type: FieldType
  readonly preset: Value
  readonly flag: string | undefined
  /** Unset means null or missing; otherwise the zero value of its type means unset, as in Go. */
  readonly isNullable: boolean
  /** Not written when empty. */
  readonly omitsEmpty: boolean
  readonly fate: Fate
}

interface Extra {
  readonly flag?: string
  readonly isNullable?: boolean
  readonly omitsEmpty?: boolean
}

function field<Value>(
  type: FieldType,
  preset: Value,
  fate: Fate,
  { flag, isNullable = false, omitsEmpty = false }: Extra,
): Field<Value> {
  return { type, preset, fate, flag, isNullable, omitsEmpty }
}

type Make<Value> = (preset: Value, fate: Fate, extra?: Extra) => Field<Value>

export const text: Make<string> = (preset, fate, extra = {}) => field('text', preset, fate, extra)
export const boolean: Make<boolean> = (preset, fate, extra = {}) =>
  field('boolean', preset, fate, extra)
export const integer: Make<number> = (preset, fate, extra = {}) =>
  field('integer', preset, fate, extra)
export const number: Make<number> = (preset, fate, extra = {}) =>
  field('number', preset, fate, extra)
export const quantity: Make<string> = (preset, fate, extra = {}) =>
  field('quantity', preset, fate, extra)
export const list: Make<readonly string[]> = (preset, fate, extra = {}) =>
  field('list', preset, fate, extra)
export const gates: Make<Gates> = (preset, fate, extra = {}) => field('gates', preset, fate, extra)
export const vmodule: Make<readonly VmoduleItem[]> = (preset, fate, extra = {}) =>
  field('vmodule', preset, fate, extra)

/** A duration in nanoseconds; the preset is given in seconds. */
export const duration: Make<number> = (seconds, fate, extra = {}) =>
  field('duration', seconds * 1e9, fate, extra)
export const looseDuration: Make<number> = (seconds, fate, extra = {}) =>
  field('loose duration', seconds * 1e9, fate, extra)

export function honoured(how: string): Fate {
  return { kind: 'honoured', how }
}
export function pending(what: string): Fate {
  return { kind: 'pending', what }
}
export function ignored(why: string): Fate {
  return { kind: 'ignored', why }
}
export function inapplicable(why: string): Fate {
  return { kind: 'inapplicable', why }
}
