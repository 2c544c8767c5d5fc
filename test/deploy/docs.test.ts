import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readingCommands } from '../../src/cli/commands.ts'
import { runOptions } from '../../src/cli/run.ts'
import { Metrics } from '../../src/metrics/metrics.ts'
import { readProfile } from './seccomp.ts'
import { renderedText } from './manifests.ts'

const project = fileURLToPath(new URL('../../', import.meta.url))
const pages = ['install', 'migrate-from-kube-proxy', 'operate', 'security'] as const
const readPage = (name: string): string => readFileSync(join(project, 'docs', `${name}.md`), 'utf8')
const all = (text: string, pattern: RegExp): string[] => [
  ...new Set([...text.matchAll(pattern)].map(([, name = '']) => name)),
]

const readers = { readCounters: () => [], readMaps: () => [], readFrontends: () => [] }
const metrics = new Metrics(readers, '0', { reportedVersion: undefined, featureGates: new Map() })

for (const page of pages) {
  describe(`docs/${page}.md`, () => {
    const text = readPage(page)

    test('names files that exist', () => {
      const named = all(text, /\b((?:deploy|test)\/[\w./-]*\w)/g)
      assert.deepEqual(
        named.filter((path) => !existsSync(join(project, path))),
        [],
      )
    })

    test('links to pages and headings that exist', () => {
      const wrong = [...text.matchAll(/\]\((?!http)([^)#]*)(#[^)]*)?\)/g)].filter(
        ([, path = '', heading = '']) => !leads(path === '' ? `${page}.md` : path, heading),
      )
      assert.deepEqual(
        wrong.map(([whole]) => whole),
        [],
      )
    })

    test('names commands and flags that exist', () => {
      const commands = [...readingCommands.map(({ command }) => String(command)), 'run']
      const missing = all(text, /(?:`|-- (?:\\\n +)?|root )kube-shunt ([a-z]+)/g).filter(
        (name) => !commands.includes(name),
      )
      assert.deepEqual(missing, [])
      const ours = new Set([...Object.keys(runOptions), ...readingFlags])
      const flags = all(text, /`--([a-z][a-z-]+)/g).filter((name) => !ours.has(name))
      assert.deepEqual(
        flags.filter((name) => !foreignFlags.includes(name)),
        [],
      )
    })

    test('names metrics and alerts that exist', async () => {
      const { body } = await metrics.scrape()
      for (const name of all(text, /\b((?:kubeshunt|process)_\w+)/g))
        assert.match(body, new RegExp(`^# TYPE ${name} `, 'm'))
      for (const name of all(text, /\b(KubeShunt\w+)/g))
        assert.ok(renderedText('monitoring').includes(`alert: ${name}\n`), name)
    })
  })
}

test('docs/security.md counts the system calls of the profile', () => {
  const allowed = readProfile().syscalls.filter(({ action }) => action === 'SCMP_ACT_ALLOW')
  const count = allowed.reduce((sum, { names }) => sum + names.length, 0)
  assert.ok(readPage('security').includes(`${count} system calls`), String(count))
})

/** Flags of the commands that read, and of other programs. */
const readingFlags = ['service', 'client', 'backend', 'state', 'count', 'output', 'force']
const foreignFlags = ['disable-kube-proxy', 'rbind']

function leads(path: string, heading: string): boolean {
  const file = join(project, 'docs', path)
  if (!existsSync(file)) return false
  if (heading === '') return true
  const headings = all(readFileSync(file, 'utf8'), /^#+ (.*)$/gm)
  return headings.some((text) => `#${slugOf(text)}` === heading) && dirname(file) !== ''
}

/* As the usual renderers make them. */
function slugOf(heading: string): string {
  const plain = heading.toLowerCase().replace(/[^\w\- ]/g, '')
  return plain.replaceAll(' ', '-')
}
