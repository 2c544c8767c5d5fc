import { apiVersionOf, kinds } from './kinds.ts'
import type { Kind } from './types.ts'

const verbs = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch']

/** What clients ask to learn what the server has; undefined for any other path. */
export function discoveryAnswer(path: string): unknown {
  const parts = path.split('/').filter((part) => part !== '')
  const [root, first, second, ...rest] = parts
  if (root === 'version' && parts.length === 1) return version
  if (root === 'api' && parts.length === 1)
    return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }
  if (root === 'api' && first === 'v1' && parts.length === 2) return resourceList('v1')
  if (root === 'apis' && parts.length === 1)
    return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups().map(groupInfo) }
  if (root === 'apis' && first !== undefined && groups().includes(first)) {
    if (parts.length === 2) return { kind: 'APIGroup', apiVersion: 'v1', ...groupInfo(first) }
    if (parts.length === 3) return resourceList(`${first}/${second ?? ''}`)
  }
  if (root === 'openapi' && first === 'v3') return openApi([second, ...rest])
  return undefined
}

const version = {
  major: '1',
  minor: '32',
  gitVersion: 'v1.32.0+kube-shunt.test',
  gitCommit: '',
  gitTreeState: '',
  buildDate: '2025-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: 'linux/amd64',
}

function groups(): string[] {
  return [...new Set(kinds.map((kind) => kind.group))].filter((group) => group !== '')
}

function groupInfo(name: string) {
  const one = kinds.find((kind) => kind.group === name)!
  const preferred = { groupVersion: apiVersionOf(one), version: one.version }
  return { name, versions: [preferred], preferredVersion: preferred }
}

function resourceList(groupVersion: string): unknown {
  const resources = kinds
    .filter((kind) => apiVersionOf(kind) === groupVersion)
    .map((kind) => ({
      name: kind.plural,
      singularName: kind.kind.toLowerCase(),
      namespaced: kind.namespaced,
      kind: kind.kind,
      shortNames: kind.shortNames,
      verbs,
    }))
  if (resources.length === 0) return undefined
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources }
}

/** A description just large enough that kubectl validates on the server instead of by itself. */
function openApi(parts: readonly (string | undefined)[]): unknown {
  const wanted = parts.filter((part) => part !== undefined).join('/')
  const prefixes = [...new Set(kinds.map(prefixOf))]
  if (wanted === '') {
    const paths = prefixes.map((prefix) => [
      prefix,
      { serverRelativeURL: `/openapi/v3/${prefix}?hash=1` },
    ])
    return { paths: Object.fromEntries(paths) as unknown }
  }
  if (!prefixes.includes(wanted)) return undefined
  const own = kinds.filter((kind) => prefixOf(kind) === wanted)
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: version.gitVersion },
    paths: Object.fromEntries(own.map((kind) => [objectPath(kind), operations(kind)])),
    components: { schemas: Object.fromEntries(own.map(schemaEntry)) },
  }
}

function prefixOf(kind: Kind): string {
  return kind.group === '' ? 'api/v1' : `apis/${apiVersionOf(kind)}`
}

function objectPath(kind: Kind): string {
  const namespace = kind.namespaced ? 'namespaces/{namespace}/' : ''
  return `/${prefixOf(kind)}/${namespace}${kind.plural}/{name}`
}

function operations(kind: Kind): unknown {
  const fieldValidation = { name: 'fieldValidation', in: 'query', schema: { type: 'string' } }
  return {
    patch: {
      'x-kubernetes-action': 'patch',
      'x-kubernetes-group-version-kind': groupVersionKind(kind),
      parameters: [fieldValidation],
      responses: { 200: { description: 'OK' } },
    },
  }
}

function schemaEntry(kind: Kind): [string, unknown] {
  const group = kind.group === '' ? 'core' : kind.group
  const gvk = { 'x-kubernetes-group-version-kind': [groupVersionKind(kind)] }
  return [`${group}.${kind.version}.${kind.kind}`, { type: 'object', ...gvk }]
}

function groupVersionKind({ group, version, kind }: Kind) {
  return { group, version, kind }
}
