import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createCluster } from '../cluster/cluster.ts'
import type { Cluster, ClusterNode } from '../cluster/types.ts'
import { rendered, ruleGroups } from '../deploy/manifests.ts'
import { answerOn, eventually, serviceFor } from '../e2e/serving.ts'

const isThere = spawnSync('prometheus', ['--version']).error === undefined
const skip = isThere ? false : 'prometheus is not installed'

let cluster: Cluster
let node: ClusterNode
before(async () => {
  cluster = await createCluster({ profile: 'ptp', nodes: 1, podsPerNode: 2 })
  node = cluster.nodes[0]!
  await answerOn(node.pod('b'))
})
after(() => cluster.close())

test(
  'Prometheus scrapes an agent, and an alert fires while its map is full',
  { skip },
  async (t) => {
    const agent = await node.startAgent({
      flags: ['--backends-max=64', '--metrics-bind-address=0.0.0.0:10249'],
    })
    t.after(() => agent.stop())
    startPrometheus()
    await eventually(async () => assert.equal(await query('up{job="kube-shunt"}'), '1'), 30_000)
    assert.deepEqual(await firing(), [])
    const many = Array.from({ length: 14 }, (_, n) =>
      serviceFor(cluster, n + 1, [node.pod('b')]),
    ).flat()
    cluster.objects.put(...many)
    await eventually(async () => assert.deepEqual(await firing(), ['KubeShuntMapFilling']), 30_000)
    cluster.objects.remove(...many)
    await eventually(async () => assert.deepEqual(await firing(), []), 30_000)
  },
)

/* Its rules are those of the manifests, with seconds for minutes. */
function startPrometheus(): void {
  const directory = join(cluster.directory, 'prometheus')
  mkdirSync(directory)
  const groups = JSON.stringify({ groups: ruleGroups(rendered('monitoring')) })
  writeFileSync(join(directory, 'rules.json'), groups.replace(/"for":"(\d+)m"/g, '"for":"$1s"'))
  const target = { targets: [`${node.addresses.IPv4}:10249`], labels: { node: node.name } }
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: ['rules.json'],
    scrape_configs: [{ job_name: 'kube-shunt', static_configs: [target] }],
  }
  writeFileSync(join(directory, 'config.json'), JSON.stringify(config))
  node.spawn([
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
    data: { alerts: readonly { labels: { alertname: string }; state: string }[] }
  }
  const { alerts } = reply.data
  const names = alerts
    .filter(({ state }) => state === 'firing')
    .map(({ labels }) => labels.alertname)
  return [...new Set(names)]
}

async function get(path: string): Promise<unknown> {
  const { stdout } = await node.exec(['curl', '--silent', `http://127.0.0.1:9090/api/v1/${path}`])
  return JSON.parse(stdout)
}
