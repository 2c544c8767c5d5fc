import { isMap, isSeq, LineCounter, parseAllDocuments } from 'yaml'
import type { Document, Node } from 'yaml'
import { ShuntError } from '../errors.ts'
import { property, textProperty } from './parse-raw.ts'
import type { Raw } from './parse-raw.ts'

/** One object of a cluster file; line is 0 where the file is plain JSON without a fault. */
export interface ClusterObject {
  readonly kind: string
  readonly apiVersion: string
  readonly namespace: string
  readonly name: string
  readonly raw: Raw
  readonly line: number
}

/** The objects in a YAML stream, a list or a single object; errors name file and line. */
export function readClusterObjects(path: string, text: string): readonly ClusterObject[] {
  const objects = readJson(text) ?? readYaml(path, text)
  refuseTwins(path, objects)
  return objects
}

/** The quick way for JSON; anything odd is left to the YAML reader, which knows lines. */
function readJson(text: string): readonly ClusterObject[] | undefined {
  if (!/^\s*[[{]/.test(text)) return undefined
  try {
    const fail = (): never => {
      throw new Error('see readYaml')
    }
    return flatten(JSON.parse(text)).map((raw) => readObject(raw, 0, fail))
  } catch {
    return undefined
  }
}

function flatten(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value as readonly unknown[]
  const items = listItems(value)
  return items ? items.map((item) => withListKind(value, item)) : [value]
}

function readYaml(path: string, text: string): readonly ClusterObject[] {
  const lines = new LineCounter()
  const documents = parseAllDocuments(text, { lineCounter: lines })
  const objects: ClusterObject[] = []
  for (const document of documents as readonly Document.Parsed[]) {
    const [problem] = document.errors
    if (problem) {
      const { line, col } = lines.linePos(problem.pos[0])
      fail(path, line, `column ${col}: ${firstLine(problem.message)}`)
    }
    if (document.contents === null || document.toJS() === null) continue
    for (const { node, raw } of objectNodes(document)) {
      const { line } = lines.linePos(node.range?.[0] ?? 0)
      objects.push(readObject(raw, line, (what) => fail(path, line, what)))
    }
  }
  return objects
}

/** The nodes of a document that stand for objects, with their values. */
function objectNodes(document: Document.Parsed): { node: Node; raw: unknown }[] {
  const { contents } = document
  const value: unknown = document.toJS()
  const values = flatten(value)
  const list = isSeq(contents)
    ? contents
    : isMap(contents) && listItems(value)
      ? contents.get('items')
      : undefined
  if (!isSeq(list)) return [{ node: contents as Node, raw: values[0] }]
  return list.items.map((item, index) => ({ node: item, raw: values[index] }))
}

function listItems(value: unknown): readonly unknown[] | undefined {
  const items = property(value, 'items')
  return textProperty(value, 'kind').endsWith('List') && Array.isArray(items)
    ? (items as readonly unknown[])
    : undefined
}

/** Items of a ServiceList carry no kind; items of a List do. */
function withListKind(list: unknown, item: unknown): unknown {
  const kind = textProperty(list, 'kind').replace(/List$/, '')
  if (kind === '' || typeof item !== 'object' || item === null) return item
  return { kind, apiVersion: textProperty(list, 'apiVersion'), ...item }
}

function readObject(raw: unknown, line: number, fail: (what: string) => never): ClusterObject {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) fail('is not an object')
  const kind = textProperty(raw, 'kind')
  const apiVersion = textProperty(raw, 'apiVersion')
  const metadata = property(raw, 'metadata')
  const name = textProperty(metadata, 'name')
  if (kind === '') fail('kind is missing')
  if (apiVersion === '') fail(`${kind}: apiVersion is missing`)
  if (name === '') fail(`${kind}: metadata.name is missing`)
  const namespace = textProperty(metadata, 'namespace')
  return { kind, apiVersion, namespace, name, raw: raw as Raw, line }
}

function refuseTwins(path: string, objects: readonly ClusterObject[]): void {
  const seen = new Map<string, ClusterObject>()
  for (const object of objects) {
    const key = `${object.kind} ${object.namespace || 'default'}/${object.name}`
    const twin = seen.get(key)
    if (twin)
      fail(
        path,
        object.line,
        `${key} is there twice${twin.line > 0 ? `, first in line ${twin.line}` : ''}`,
      )
    seen.set(key, object)
  }
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:?$/, '')
}

function fail(path: string, line: number, what: string): never {
  throw new ShuntError('KSH_CONFIG', `${path}${line > 0 ? `: line ${line}` : ''}: ${what}`)
}
