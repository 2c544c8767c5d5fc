import type { Refusal } from '../model/types.ts'

/** An object from outside, of which only own properties may be read. */
export type Raw = Readonly<Record<string, unknown>>

/** A property of a raw object; undefined for anything inherited, so that no prototype can answer. */
export function property(raw: unknown, name: string): unknown {
  if (typeof raw !== 'object' || raw === null || !Object.hasOwn(raw, name)) return undefined
  return (raw as Raw)[name]
}

/** A property reached through several objects. */
export function deepProperty(raw: unknown, ...names: readonly string[]): unknown {
  let value = raw
  for (const name of names) value = property(value, name)
  return value
}

/** The text of a property, '' when it is missing or something else. */
export function textProperty(raw: unknown, name: string): string {
  const value = property(raw, name)
  return typeof value === 'string' ? value : ''
}

/** The items of a list property, none when it is missing or something else. */
export function listProperty(raw: unknown, name: string): readonly unknown[] {
  const value = property(raw, name)
  return Array.isArray(value) ? (value as readonly unknown[]) : []
}

/** A value in a refusal: one line, escaped and short, because it comes from a stranger. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? '[]' : 'a list'
  if (typeof value === 'object' && value !== null) return 'an object'
  if (typeof value !== 'string') return String(value)
  const start = JSON.stringify(value.slice(0, 100)).replace(/[^\x20-\x7e]/g, '?')
  return value.length > 100 ? `${start} (${value.length} characters)` : start
}

const maxRefusals = 20

/** Collects refusals of one object, at most as many as someone would read. */
export class Refusals {
  readonly list: Refusal[] = []
  #more = 0

  add(field: string, value: unknown, reason: string): void {
    if (this.list.length < maxRefusals) this.list.push({ field, value: shown(value), reason })
    else {
      this.#more++
      this.list[maxRefusals] = {
        field: '',
        value: '',
        reason: `${this.#more} more pieces are refused`,
      }
    }
  }
}

/** The first `limit` items of a list; the rest is refused as one piece. */
export function limited(
  list: readonly unknown[],
  limit: number,
  field: string,
  refusals: Refusals,
): readonly unknown[] {
  if (list.length <= limit) return list
  refusals.add(field, list.length, `more than ${limit} entries; the rest is ignored`)
  return list.slice(0, limit)
}

/** A port number, or undefined. */
export function readPort(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535
    ? value
    : undefined
}

const namePattern = /^[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$/

/** Whether a text can be a name of an object; anything else could not be printed safely. */
export function isName(text: string, maxLength: number): boolean {
  return text.length <= maxLength && namePattern.test(text)
}

/** namespace/name of an object, or undefined. */
export function readIdentity(
  raw: unknown,
  maxLength: number,
): { readonly namespace: string; readonly name: string } | undefined {
  const metadata = property(raw, 'metadata')
  const name = textProperty(metadata, 'name')
  const namespace = textProperty(metadata, 'namespace') || 'default'
  return isName(name, maxLength) && isName(namespace, 63) ? { namespace, name } : undefined
}

/** A label of an object, undefined when it is not set. */
export function readLabel(raw: unknown, label: string): string | undefined {
  const value = property(deepProperty(raw, 'metadata', 'labels'), label)
  return typeof value === 'string' ? value : undefined
}

/** Milliseconds since the epoch of an API time, 0 when unreadable. */
export function readTime(value: unknown): number {
  const time = value instanceof Date ? value.getTime() : Date.parse(String(value))
  return Number.isFinite(time) ? time : 0
}
