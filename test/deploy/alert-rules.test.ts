import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { alertsOf, rendered, ruleGroups } from './manifests.ts'

/** Samples, a minute apart, in promtool's notation. */
interface Case {
  readonly what: string
  readonly alert: string
  readonly series: Readonly<Record<string, string>>
  /** Minutes at which it is asked, and the labels besides the severity of what fires then. */
  readonly at: Readonly<Record<string, readonly Readonly<Record<string, string>>[]>>
}

const node = 'node1'
const full = { map: 'backends', node }
const cases: readonly Case[] = [
  {
    what: 'a map that fills, and empties again',
    alert: 'KubeShuntMapFilling',
    series: {
      'kubeshunt_map_entries{map="backends",node="node1"}': '100x5 900x14 100x10',
      'kubeshunt_map_max_entries{map="backends",node="node1"}': '1000x40',
    },
    at: { '5m': [], '12m': [full], '22m': [] },
  },
  {
    what: 'passes that fail again and again',
    alert: 'KubeShuntPassesFail',
    series: { 'kubeshunt_sync_failures_total{node="node1"}': '0x5 1+2x20 41x20' },
    at: { '4m': [], '15m': [{ node }], '40m': [] },
  },
  {
    what: 'a list that never completes',
    alert: 'KubeShuntNotSynced',
    series: {
      'kubeshunt_watch_synced{resource="services",node="node1"}': '0x20 1x20',
      'kubeshunt_watch_synced{resource="nodes",node="node1"}': '1x40',
    },
    at: { '4m': [], '10m': [{ node, resource: 'services' }], '25m': [] },
  },
  {
    what: 'a watch that is lost every minute',
    alert: 'KubeShuntWatchUnstable',
    series: { 'kubeshunt_watch_restarts_total{resource="services",node="node1"}': '0+1x60' },
    at: { '10m': [], '40m': [{ node, resource: 'services' }] },
  },
  {
    what: 'packets that are dropped for long',
    alert: 'KubeShuntDrops',
    series: {
      'kubeshunt_datapath_drops_total{reason="malformed",node="node1"}': '0+600x30',
      'kubeshunt_datapath_drops_total{reason="fragment",node="node1"}': '0+6x30',
    },
    at: { '5m': [], '20m': [{ node, reason: 'malformed' }] },
  },
  {
    what: 'an object that stays refused',
    alert: 'KubeShuntObjectsRefused',
    series: { 'kubeshunt_refused_objects{kind="Service",reason="r",node="node1"}': '1x30' },
    at: { '10m': [], '20m': [{ node, kind: 'Service', reason: 'r' }] },
  },
  {
    what: 'a node without a pod device',
    alert: 'KubeShuntNoDevices',
    series: {
      'kubeshunt_attached_devices{kind="pod",node="node1"}': '0x40',
      'kubeshunt_attached_devices{kind="uplink",node="node1"}': '0x40',
    },
    at: { '20m': [], '35m': [{ node, kind: 'pod' }] },
  },
]

const fetched = fileURLToPath(new URL('../../build/promtool', import.meta.url))
const promtool = existsSync(fetched) ? fetched : 'promtool'
const isThere = spawnSync(promtool, ['--version']).error === undefined
const skip = isThere ? false : 'promtool is not there (test/fetch-promtool.sh)'
let directory: string
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'ks-rules-'))
  const groups = ruleGroups(rendered('monitoring'))
  writeFileSync(join(directory, 'rules.json'), JSON.stringify({ groups }))
})
after(() => rmSync(directory, { recursive: true }))

test('promtool accepts the alert rules', { skip }, () => {
  run('check', 'rules', join(directory, 'rules.json'))
})

test('every alert has a case', () => {
  const alerts = alertsOf(rendered('monitoring')).map(({ alert }) => alert)
  assert.deepEqual(cases.map(({ alert }) => alert).sort(), alerts.sort())
})

for (const one of cases) {
  test(`${one.alert}: ${one.what}`, { skip }, () => {
    const file = join(directory, `${one.alert}.json`)
    writeFileSync(file, JSON.stringify(unitTest(one)))
    run('test', 'rules', file)
  })
}

function run(...args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(promtool, args)
  assert.equal(status, 0, `${stdout.toString()}${stderr.toString()}`)
}

/* Without the annotations: those hold values, which are texts for people. */
function unitTest({ alert, series, at }: Case): unknown {
  const { severity } = alertsOf(rendered('monitoring')).find((one) => one.alert === alert)!.labels
  return {
    rule_files: ['rules.json'],
    evaluation_interval: '1m',
    tests: [
      {
        interval: '1m',
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        promql_expr_test: Object.entries(at).map(([time, firing]) => ({
          expr: `ALERTS{alertname="${alert}",alertstate="firing"}`,
          eval_time: time,
          exp_samples: firing.map((labels) => ({
            labels: sampleLabels(alert, severity, labels),
            value: 1,
          })),
        })),
      },
    ],
  }
}

function sampleLabels(
  alert: string,
  severity: string,
  labels: Readonly<Record<string, string>>,
): string {
  const all = { alertname: alert, alertstate: 'firing', severity, ...labels }
  const pairs = Object.entries(all).map(([name, value]) => `${name}="${value}"`)
  return `ALERTS{${pairs.join(',')}}`
}
