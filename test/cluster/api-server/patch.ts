import { isDeepStrictEqual } from 'node:util'
import { parse } from 'yaml'
import { isObject } from './fields.ts'
import { badRequest, statusFor } from './status.ts'
import type { KubeObject } from './types.ts'

type Fields = Record<string, unknown>

/** Lists that a strategic merge patch merges by a key; all others are replaced. */
const mergeKeys: Readonly<Record<string, string>> = {
  'Service spec.ports': 'port',
  'Node status.conditions': 'type',
  'Node status.addresses': 'type',
  'Service status.conditions': 'type',
}

/** The object after a patch of one of the four types that kubectl sends. */
export function applyPatch(object: KubeObject, type: string, text: string): KubeObject {
  const patch: unknown = type === 'application/apply-patch+yaml' ? parse(text) : parseJson(text)
  switch (type) {
    case 'application/merge-patch+json':
    case 'application/apply-patch+yaml':
      return mergeFields(object, patch, undefined) as KubeObject
    case 'application/strategic-merge-patch+json':
      return mergeFields(object, patch, object.kind) as KubeObject
    case 'application/json-patch+json':
      return applyJsonPatch(object, patch) as KubeObject
    default:
      throw statusFor(415, `the patch type ${type} is not supported`)
  }
}

/** JSON merge patch (RFC 7396); with a kind, some lists are merged as strategic merge does. */
function mergeFields(target: unknown, patch: unknown, kind?: string, path = ''): unknown {
  if (!isObject(patch)) return patch
  const result: Fields = isObject(target) ? { ...target } : {}
  if (kind !== undefined && patch['$patch'] === 'replace')
    return Object.fromEntries(Object.entries(patch).filter(([name]) => name !== '$patch'))
  for (const [name, value] of Object.entries(patch)) {
    if (kind !== undefined && name.startsWith('$')) continue
    const inner = path === '' ? name : `${path}.${name}`
    const mergeKey = kind === undefined ? undefined : mergeKeys[`${kind} ${inner}`]
    if (value === null) Reflect.deleteProperty(result, name)
    else if (mergeKey !== undefined && Array.isArray(value))
      result[name] = mergeLists(result[name], value, mergeKey)
    else result[name] = mergeFields(result[name], value, kind, inner)
  }
  return result
}

function mergeLists(target: unknown, patch: readonly unknown[], key: string): unknown[] {
  if (patch.some((item) => isObject(item) && item['$patch'] === 'replace'))
    return patch.filter((item) => !(isObject(item) && '$patch' in item))
  const result: unknown[] = Array.isArray(target) ? [...(target as unknown[])] : []
  for (const item of patch) {
    if (!isObject(item)) continue
    const index = result.findIndex((one) => isObject(one) && one[key] === item[key])
    if (item['$patch'] === 'delete') {
      if (index >= 0) result.splice(index, 1)
    } else if (index >= 0) {
      result[index] = mergeFields(result[index], item)
    } else {
      result.push(item)
    }
  }
  return result
}

/** JSON patch (RFC 6902): add, replace, remove and test. */
function applyJsonPatch(object: KubeObject, operations: unknown): unknown {
  if (!Array.isArray(operations)) throw badRequest('a JSON patch is a list')
  const result = structuredClone(object)
  for (const operation of operations as readonly Fields[]) applyOperation(result, operation)
  return result
}

function applyOperation(root: unknown, operation: Fields): void {
  const names = String(operation['path'])
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
  const last = names.pop() ?? ''
  let parent = root
  for (const name of names) parent = (parent as Fields | undefined)?.[name]
  if (typeof parent !== 'object' || parent === null)
    throw statusFor(422, `the path ${String(operation['path'])} does not exist`)
  const fields = parent as Fields
  switch (operation['op']) {
    case 'add':
      if (Array.isArray(parent))
        parent.splice(last === '-' ? parent.length : Number(last), 0, operation['value'])
      else fields[last] = operation['value']
      return
    case 'replace':
      fields[last] = operation['value']
      return
    case 'remove':
      if (Array.isArray(parent)) parent.splice(Number(last), 1)
      else Reflect.deleteProperty(fields, last)
      return
    case 'test':
      if (!isDeepStrictEqual(fields[last], operation['value']))
        throw statusFor(422, `the test of ${String(operation['path'])} failed`)
      return
    default:
      throw statusFor(422, `the operation ${String(operation['op'])} is not supported`)
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw badRequest('the body is not JSON')
  }
}
