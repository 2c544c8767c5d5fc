import { deepProperty, property, readLabel } from './parse-raw.ts'
import type { Resource } from './resources.ts'

/** Whether a resource's selectors, the few forms that `resources.ts` uses, take an object. */
export function selects(resource: Resource, raw: unknown): boolean {
  return (
    terms(resource.labelSelector).every((term) => hasLabel(raw, term)) &&
    terms(resource.fieldSelector).every((term) => hasField(raw, term))
  )
}

function terms(selector: string | undefined): readonly string[] {
  return selector === undefined ? [] : selector.split(',')
}

function hasLabel(raw: unknown, term: string): boolean {
  const [key = '', value] = term.replace(/^!/, '').split('=')
  const found = readLabel(raw, key)
  if (value !== undefined) return found === value
  const labels = deepProperty(raw, 'metadata', 'labels')
  return (property(labels, key) !== undefined) !== term.startsWith('!')
}

function hasField(raw: unknown, term: string): boolean {
  const [, path = '', operator, wanted] = /^([^!=]+)(!=|=)(.*)$/.exec(term) ?? []
  const found = deepProperty(raw, ...path.split('.'))
  return (found === wanted) === (operator === '=')
}
