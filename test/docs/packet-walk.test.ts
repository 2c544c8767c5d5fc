import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

const bpf = new URL('../../bpf/', import.meta.url)
const code = readdirSync(bpf)
  .filter((name) => /\.[ch]$/.test(name))
  .map((name) => readFileSync(new URL(name, bpf), 'utf8'))
  .join('\n')
const walk = readFileSync(new URL('../../docs/packet-walk.md', import.meta.url), 'utf8')
const diagrams = [...walk.matchAll(/```mermaid\n([\s\S]*?)```/g)].map(([, body = '']) => body)

function labels(pattern: RegExp): string[] {
  return [...new Set(diagrams.flatMap((body) => [...body.matchAll(pattern)].map(([, name = '']) => name)))]
}

test('packet-walk: every box is a function of the packet programs', () => {
  const boxes = labels(/\b\w+\[(\w+)\]/g)
  assert.ok(boxes.length > 30, `only ${boxes.length} boxes`)
  const missing = boxes.filter((name) => !new RegExp(`\\b${name}\\([^;]*?\\)\\s*\\{`).test(code))
  assert.deepEqual(missing, [])
})

test('packet-walk: every verdict and counter exists', () => {
  const ends = [...labels(/\(\[(\w+)\]\)/g), ...labels(/\{\{(\w+)\}\}/g)]
  assert.ok(ends.length > 15, `only ${ends.length} ends`)
  assert.deepEqual(
    ends.filter((name) => !new RegExp(`\\b${name}\\b[,\\s]`).test(code)),
    [],
  )
})

test('packet-walk: every drop reason has its place in a diagram', () => {
  const reasons = [...code.matchAll(/\b(COUNT_DROP_\w+)[,\s]+(?:\/\*|COUNT|$)/gm)].map(([, name]) => name!)
  const shown = new Set(labels(/\{\{(\w+)\}\}/g))
  assert.deepEqual([...new Set(reasons)].filter((name) => !shown.has(name)), [])
})
