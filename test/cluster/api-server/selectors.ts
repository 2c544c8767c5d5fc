import { textAt } from './fields.ts'
import { badRequest } from './status.ts'
import type { Kind, KubeObject } from './types.ts'

export type Selector = (object: KubeObject) => boolean

/** The objects that a request's labelSelector, fieldSelector and namespace leave. */
export function parseSelector(kind: Kind, query: URLSearchParams, namespace: string): Selector {
  const tests = [
    ...splitTop(query.get('labelSelector') ?? '').map(parseLabelTerm),
    ...splitTop(query.get('fieldSelector') ?? '').map((term) => parseFieldTerm(kind, term)),
  ]
  if (namespace !== '') tests.push((object) => object.metadata.namespace === namespace)
  return (object) => tests.every((test) => test(object))
}

/** Terms of a selector: commas inside `in (a,b)` do not part them. */
function splitTop(text: string): string[] {
  return text
    .split(/,(?![^(]*\))/)
    .map((term) => term.trim())
    .filter((term) => term !== '')
}

function parseLabelTerm(term: string): Selector {
  const set = /^(\S+)\s+(in|notin)\s*\(([^)]*)\)$/.exec(term)
  if (set) {
    const [, key = '', operator, list = ''] = set
    const values = list.split(',').map((value) => value.trim())
    return (object) => {
      const value = object.metadata.labels?.[key]
      const inside = value !== undefined && values.includes(value)
      return operator === 'in' ? inside : !inside
    }
  }
  const comparison = /^([^=!\s]+)\s*(=|==|!=)\s*([^=!\s]*)$/.exec(term)
  if (comparison) {
    const [, key = '', operator, wanted = ''] = comparison
    return (object) => (object.metadata.labels?.[key] === wanted) === (operator !== '!=')
  }
  const existence = /^(!?)\s*([A-Za-z0-9][-A-Za-z0-9_./]*)$/.exec(term)
  if (!existence) throw badRequest(`unable to parse requirement: ${term}`)
  const [, not = '', key = ''] = existence
  return (object) => (object.metadata.labels?.[key] !== undefined) === (not === '')
}

function parseFieldTerm(kind: Kind, term: string): Selector {
  const [, field = '', operator, wanted = ''] = /^([^=!]+)(==|=|!=)(.*)$/.exec(term) ?? []
  const known = ['metadata.name', 'metadata.namespace', ...kind.selectableFields].some(
    (one) => field === one || field.startsWith(`${one}.`),
  )
  if (!known)
    throw badRequest(`field label not supported: ${field === '' ? term : field} (${kind.plural})`)
  return (object) => (textAt(object, field) === wanted) === (operator !== '!=')
}
