import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Metrics } from '../../src/metrics/metrics.ts'
import { compatibilityPage } from './kube-proxy-compatibility.ts'
import { metricFamilies, type Family } from './metric-families.ts'

test('compatibility: the page is what the tables say (node test/docs/kube-proxy-compatibility.ts)', () => {
  const page = new URL('../../docs/kube-proxy-compatibility.md', import.meta.url)
  assert.equal(readFileSync(page, 'utf8'), compatibilityPage())
})

interface Seen {
  readonly type: string
  readonly help: string
  readonly labels: readonly string[]
}

/** Families of a scrape with the labels of their samples, `le` aside. */
function familiesOf(text: string): Map<string, Seen> {
  const families = new Map<string, Seen>()
  let name = ''
  let help = ''
  for (const line of text.split('\n')) {
    const [, mark, about = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    if (mark === 'HELP') help = rest
    if (mark === 'TYPE') families.set(about, { type: rest, help, labels: [] })
    if (mark !== undefined) name = about
    const labels = [...line.matchAll(/(\w+)="/g)].map(([, label = '']) => label)
    const family = families.get(name)
    if (mark !== undefined || family === undefined || !line.startsWith(name)) continue
    const known = new Set([...family.labels, ...labels].filter((label) => label !== 'le'))
    families.set(name, { ...family, labels: [...known].sort() })
  }
  return families
}

async function ourFamilies(): Promise<Map<string, Seen>> {
  const metrics = new Metrics(
    { readCounters: () => [], readMaps: () => [], readFrontends: () => [] },
    '0.0.0',
    { reportedVersion: 'v1.36.2', featureGates: new Map([['SomeGate', true]]) },
  )
  const pass = { families: [4, 6] as const, seconds: 1, finishedAt: 1, stages: {}, ops: 1 }
  metrics.observeSync({ ...pass, isFull: true })
  metrics.observeSync({ ...pass, isFull: false })
  metrics.syncQueued(4, 1)
  metrics.observeProgramming(4, 1)
  metrics.noLocalEndpoints(4, 'internal', 1)
  metrics.healthAnswered('healthz', 200)
  metrics.healthAnswered('livez', 200)
  metrics.requested({ method: 'GET', host: 'h', status: 200, seconds: 1 })
  return familiesOf((await metrics.scrape()).body)
}

function tabled(fate: (family: Family) => boolean): Map<string, Omit<Seen, 'help'>> {
  const rows = metricFamilies.filter(fate)
  return new Map(rows.map(({ name, type, labels }) => [name, { type, labels }]))
}

test('compatibility: the families of kube-proxy that exist here are those the table names', async () => {
  const ours = await ourFamilies()
  const known = new Set(metricFamilies.map(({ name }) => name))
  const shared = [...ours].filter(
    ([name]) => known.has(name) || /^(kubeproxy|rest_client|kubernetes)_/.test(name),
  )
  const found = new Map(shared.map(([name, { type, labels }]) => [name, { type, labels }]))
  const wanted = tabled(({ fate }) => fate !== 'not applicable')
  assert.deepEqual([...found].sort(), [...wanted].sort())
})

const reference = '../shared/reference/kube-proxy-1.36.2-metrics.txt'
test(
  'compatibility: every family of a running kube-proxy is in the table, with its type and labels',
  { skip: existsSync(reference) ? false : 'the reference is not here' },
  async () => {
    const theirs = familiesOf(readFileSync(reference, 'utf8'))
    const table = tabled(() => true)
    const found = new Map([...theirs].map(([name, { type, labels }]) => [name, { type, labels }]))
    for (const [name, family] of found) assert.deepEqual([name, table.get(name)], [name, family])
    const ours = await ourFamilies()
    for (const [name, { help }] of ours) {
      const known = theirs.get(name)
      const isShared = known !== undefined && !name.startsWith('process_')
      if (isShared) assert.equal(help, known.help, name)
    }
  },
)
