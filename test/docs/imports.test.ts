import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

/** What each folder of src/ may import besides itself, errors.ts and log.ts. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  model: [],
  plan: ['model'],
  'proxy-config': ['model'],
  kube: ['model'],
  datapath: ['plan', 'model'],
  devices: ['datapath', 'model'],
  health: ['model'],
  metrics: ['datapath', 'health', 'model'],
  reconcile: ['kube', 'datapath', 'devices', 'plan', 'model', 'metrics', 'health'],
  cli: [
    ...['health', 'metrics', 'datapath', 'devices', 'plan', 'model', 'reconcile', 'kube'],
    ...['proxy-config', 'config.ts'],
  ],
}

const root = fileURLToPath(new URL('../../', import.meta.url))
const files = globSync('{src,test,bench}/**/*.ts', { cwd: root })

/** Files that a file imports, by path from the project's root; types alone bind nothing at run time. */
function importsOf(file: string, pattern = /^(?:import|export)\b[^'"]*?from '(\.[^']+)'/gm): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  const names = [...text.matchAll(pattern)]
  return names.map(([, name = '']) => normalize(join(dirname(file), name)))
}

const imports = new Map(files.map((file) => [file, importsOf(file)]))

test('imports: each folder of src imports only what it may', () => {
  const wrong = [...imports].flatMap(([file, targets]) => {
    const [, folder = ''] = /^src\/([^/]+)\//.exec(file) ?? []
    if (folder === '') return []
    const allowed = [folder, ...(mayImport[folder] ?? []), 'errors.ts', 'log.ts']
    const isAllowed = (target: string): boolean =>
      allowed.some((name) => target === `src/${name}` || target.startsWith(`src/${name}/`))
    return targets.filter((target) => !isAllowed(target)).map((target) => `${file} -> ${target}`)
  })
  assert.deepEqual(wrong, [])
})

test('imports: no folder of src is unknown to the rules', () => {
  const folders = new Set(files.flatMap((file) => /^src\/([^/]+)\//.exec(file)?.[1] ?? []))
  assert.deepEqual(
    [...folders].filter((folder) => mayImport[folder] === undefined),
    [],
  )
})

test('imports: nothing imports itself in a circle', () => {
  const values = /^(?:import|export)\b(?! type)[^'"]*?from '(\.[^']+)'/gm
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    assert.ok(!path.includes(file), [...path, file].join(' -> '))
    if (done.has(file)) return
    for (const target of importsOf(file, values)) visit(target, [...path, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
})

test('imports: the product imports nothing of tests and benchmarks', () => {
  const wrong = [...imports].filter(
    ([file, targets]) =>
      file.startsWith('src/') && targets.some((target) => /^(test|bench)\//.test(target)),
  )
  assert.deepEqual(wrong, [])
})
