import { LineCounter, parseDocument, visit, type Document } from 'yaml'
import { fieldAt, fieldPaths, type FieldPath, type GivenValues } from './fields.ts'
import { readValue, type Read } from './read-value.ts'

/** A configuration file as read: what it sets, and what is wrong with it but not fatal. */
export type Decoded =
  | {
      readonly kind: 'decoded'
      readonly given: GivenValues
      /** Unknown and duplicate fields, in kube-proxy's words. */
      readonly strictErrors: readonly string[]
    }
  | { readonly kind: 'failed'; readonly reason: string }

const group = 'kubeproxy.config.k8s.io'
const maxBytes = 1024 * 1024

/** Reads a KubeProxyConfiguration v1alpha1 from YAML or JSON, as leniently as kube-proxy. */
export function decodeProxyConfig(source: string): Decoded {
  if (source.length > maxBytes) return failed(`the file is larger than ${maxBytes} bytes`)
  const lines = new LineCounter()
  const document = parseDocument(source, {
    version: '1.1',
    uniqueKeys: false,
    lineCounter: lines,
    merge: true,
  })
  const [problem] = document.errors
  if (problem !== undefined) return failed(problem.message.split('\n', 1)[0]!.replace(/:$/, ''))
  const raw = rawOf(document)
  if (typeof raw === 'string') return failed(raw)
  const wrongKind = whyWrongKind(raw)
  if (wrongKind !== undefined) return failed(wrongKind)
  const values: Reading = { given: {}, unknown: [], failure: undefined }
  readFields(raw, '', values)
  if (values.failure !== undefined) return failed(values.failure)
  const strictErrors = [...duplicateKeys(document, lines), ...values.unknown]
  return { kind: 'decoded', given: values.given, strictErrors } // by fieldAt()
}

function failed(reason: string): Decoded {
  return { kind: 'failed', reason: `failed to decode: ${reason}` }
}

type Tree = ReadonlyMap<unknown, unknown>

/* As maps, so that no key can be anything but a key. */
function rawOf(document: Document): Tree | string {
  try {
    const raw: unknown = document.toJS({ mapAsMap: true, maxAliasCount: 100 })
    return raw instanceof Map ? raw : 'the file does not hold an object'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function whyWrongKind(raw: Tree): string | undefined {
  const kind = raw.get('kind')
  const version = raw.get('apiVersion')
  if (kind === undefined) return "Object 'Kind' is missing"
  if (version === undefined) return "Object 'apiVersion' is missing"
  if (kind === 'KubeProxyConfiguration' && version === `${group}/v1alpha1`) return undefined
  return `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(version)}`
}

interface Reading {
  readonly given: Record<string, unknown>
  readonly unknown: string[]
  failure: string | undefined
}

const leaves = new Set<string>(fieldPaths)
const branches = new Set(
  fieldPaths.flatMap((path) => {
    const parts = path.split('.')
    return parts.slice(1).map((_, at) => parts.slice(0, at + 1).join('.'))
  }),
)

function readFields(tree: Tree, prefix: string, reading: Reading): void {
  for (const [key, value] of tree) {
    const path = `${prefix}${String(key)}`
    if (path === 'kind' || path === 'apiVersion') continue
    if (branches.has(path)) readBranch(value, path, reading)
    else if (leaves.has(path)) readLeaf(value, path as FieldPath, reading)
    else reading.unknown.push(`unknown field ${JSON.stringify(path)}`)
  }
}

function readBranch(value: unknown, path: string, reading: Reading): void {
  if (value instanceof Map) readFields(value, `${path}.`, reading)
  else if (value !== null) reading.failure ??= `${path}: expected an object`
}

function readLeaf(value: unknown, path: FieldPath, reading: Reading): void {
  if (value === null) return
  const read: Read = readValue(fieldAt(path).type, value)
  if (read.kind === 'read') reading.given[path] = read.value
  else reading.failure ??= `${path}: expected ${read.expected}, got ${shown(value)}`
}

function shown(value: unknown): string {
  const plain = value instanceof Map ? 'an object' : JSON.stringify(value)
  return plain.length > 100 ? `${plain.slice(0, 100)}...` : plain
}

function duplicateKeys(document: Document, lines: LineCounter): string[] {
  const found: string[] = []
  visit(document, {
    Map(_, { items }) {
      const seen = new Set<string>()
      for (const { key } of items) {
        const { value, range } = key as { value?: unknown; range?: readonly number[] } // a scalar
        const name = String(value)
        const { line } = lines.linePos(range?.[0] ?? 0)
        if (seen.has(name))
          found.push(`line ${line}: key ${JSON.stringify(name)} already set in map`)
        seen.add(name)
      }
    },
  })
  return found
}
