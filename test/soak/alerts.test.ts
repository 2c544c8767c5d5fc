import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { deployedForAll, untilStarted } from '../deploy/deployed.ts'
import { rendered, ruleGroups } from '../deploy/manifests.ts'
import { imageForAll } from '../deploy/root-file-system.ts'
import { eventually, serviceFor } from '../e2e/serving.ts'

const isThere = spawnSync('prometheus', ['--version']).error === undefined
const skip = isThere ? false : 'prometheus is not installed'

const image = imageForAll()
const deployed = deployedForAll(image, { profile: 'ptp', nodes: 2, podsPerNode: 2 })

test('Prometheus scrapes the pods, and an alert fires while a map is full', { skip }, async (t) => {
  const { cluster, server } = deployed
  const flags = ['--backends-max=64']
  const pods = cluster.nodes.map((node) => deployed.start(node, 'monitoring', { flags }))
  t.after(() => Promise.all(pods.map((pod) => pod.stop('SIGKILL'))))
  await Promise.all(pods.map(untilStarted))
  startPrometheus()
  await eventually(async () => assert.equal(await query('sum(up{job="kube-shunt"})'), '2'), 30_000)
  assert.deepEqual(await firing(), [])
  const backend = [cluster.nodes[0]!.pod('b')]
  const many = Array.from({ length: 12 }, (_, n) => serviceFor(cluster, n + 2, backend)).flat()
  for (const object of many) server.put(object)
  const both = ['KubeShuntMapFilling on node1', 'KubeShuntMapFilling on node2']
  await eventually(async () => assert.deepEqual(await firing(), both), 30_000)
  for (const { kind, metadata } of many)
    server.delete({ kind, namespace: metadata.namespace!, name: metadata.name })
  await eventually(async () => assert.deepEqual(await firing(), []), 30_000)
})

/* Its rules are those of the manifests, with seconds for minutes. */
function startPrometheus(): void {
  const { cluster } = deployed
  const directory = join(cluster.directory, 'prometheus')
  mkdirSync(directory)
  const groups = JSON.stringify({ groups: ruleGroups(rendered('monitoring')) })
  writeFileSync(join(directory, 'rules.json'), groups.replace(/"for":"(\d+)m"/g, '"for":"$1s"'))
  const targets = cluster.nodes.map(({ name, addresses }) => ({
    targets: [`${addresses.IPv4}:10249`],
    labels: { node: name },
  }))
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: ['rules.json'],
    scrape_configs: [{ job_name: 'kube-shunt', static_configs: targets }],
  }
  writeFileSync(join(directory, 'config.json'), JSON.stringify(config))
  cluster.nodes[0]!.spawn([
    ...['prometheus', `--config.file=${join(directory, 'config.json')}`],
    ...[`--storage.tsdb.path=${join(directory, 'data')}`, '--web.listen-address=127.0.0.1:9090'],
  ])
}

interface Reply {
  readonly data: { readonly result: readonly { readonly value: readonly [number, string] }[] }
}

async function query(expression: string): Promise<string | undefined> {
  const reply = (await get(`query?query=${encodeURIComponent(expression)}`)) as Reply
  return reply.data.result[0]?.value[1]
}

async function firing(): Promise<string[]> {
  const reply = (await get('alerts')) as {
    data: { alerts: readonly { labels: { alertname: string; node: string }; state: string }[] }
  }
  const { alerts } = reply.data
  const names = alerts
    .filter(({ state }) => state === 'firing')
    .map(({ labels }) => `${labels.alertname} on ${labels.node}`)
  return [...new Set(names)].sort()
}

async function get(path: string): Promise<unknown> {
  const { stdout } = await deployed.cluster.nodes[0]!.exec([
    'curl',
    '--silent',
    `http://127.0.0.1:9090/api/v1/${path}`,
  ])
  return JSON.parse(stdout)
}
