import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createCluster } from '../cluster/cluster.ts'
import { endpointSlice, service } from '../cluster/objects.ts'
import type { Agent, Cluster, ClusterNode } from '../cluster/types.ts'
import { eventually } from './serving.ts'

const promtool = fileURLToPath(new URL('../../build/promtool', import.meta.url))
const serviceCount = 10_000

let cluster: Cluster
let node: ClusterNode
let agent: Agent
before(async () => {
  cluster = await createCluster({ profile: 'ptp', nodes: 1 })
  node = cluster.nodes[0]!
  const clusterFile = join(cluster.directory, 'many.json')
  writeFileSync(clusterFile, JSON.stringify({ kind: 'List', apiVersion: 'v1', items: objects() }))
  const flags = ['--frontends-max=32768', '--backends-max=32768']
  agent = await node.startAgent({ source: { clusterFile }, flags })
  await eventually(async () => {
    const page = await scrape()
    assert.equal(sample(page, 'kubeshunt_map_entries{map="frontend_words"}'), serviceCount)
  }, 20_000)
})
after(() => cluster.close())

test(
  'promtool finds nothing on the page but one name that kube-proxy gave',
  { skip: existsSync(promtool) ? false : 'no promtool; test/fetch-promtool.sh gets it' },
  async () => {
    const check = await node.exec([promtool, 'check', 'metrics'], {
      input: await scrape(),
      mayFail: true,
    })
    const findings = `${check.stdout}${check.stderr}`.trim().split('\n')
    const suffix = 'non-counter metrics should not have "_total" suffix'
    assert.deepEqual(findings, [`kubeproxy_sync_proxy_rules_no_local_endpoints_total ${suffix}`])
  },
)

test('with 10 000 Services the page has a bounded number of series', async () => {
  const lines = (await scrape()).split('\n').filter((line) => /^[a-z]/.test(line))
  const names = lines.map((line) => line.split(/[{ ]/, 1)[0]!)
  const counts = Map.groupBy(names, (name) => name)
  for (const [name, { length }] of counts) assert.ok(length <= 1_000, `${name}: ${length}`)
  assert.equal(counts.get('kubeshunt_frontend_flows_total')?.length, 1_000)
  assert.ok(lines.length < 2_500, `${lines.length} series`)
})

test('with 10 000 Services a scrape takes less than 100 ms of the agent, CPU time', async (t) => {
  const scrapes = 20
  const before = sample(await scrape(), 'process_cpu_seconds_total')
  for (let n = 1; n < scrapes; n++) await scrape()
  const after = sample(await scrape(), 'process_cpu_seconds_total')
  const milliseconds = ((after - before) / scrapes) * 1000
  t.diagnostic(`${milliseconds.toFixed(1)} ms of CPU a scrape`)
  assert.ok(milliseconds < 100, `${milliseconds} ms`)
})

test('what is refused is told by reason, not by object', async () => {
  const page = await scrape()
  const refused = page.split('\n').filter((line) => line.startsWith('kubeshunt_refused_objects{'))
  const reason = 'is not in a range allowed for external addresses'
  assert.deepEqual(refused, [`kubeshunt_refused_objects{kind="Service",reason="${reason}"} 1000`])
})

test('the file is called a file, whatever its path', async () => {
  const series = 'kubeshunt_watch_objects{resource="cluster_file"}'
  assert.equal(sample(await scrape(), series), 2 * serviceCount)
})

/* A tenth of the Services ask for an address that is refused. */
function objects(): unknown[] {
  const ports = [{ name: 'http', port: 80, targetPort: 8080 }]
  return Array.from({ length: serviceCount }, (_, n) => {
    const name = `web-${String(n).padStart(5, '0')}`
    const externalIPs = n % 10 === 0 ? [`192.0.2.${(n / 10) % 250}`] : []
    const endpoints = [1, 2].map((pod) => ({ address: `10.244.${(n >> 6) & 255}.${pod}` }))
    return [
      service({ name, ports, clusterIps: [cluster.clusterIp(n + 1)], spec: { externalIPs } }),
      endpointSlice({ service: name, family: 'IPv4', ports, endpoints }),
    ]
  }).flat()
}

async function scrape(): Promise<string> {
  const { status, body } = await agent.get('http://127.0.0.1:10249/metrics')
  assert.equal(status, 200)
  return `${body}\n`
}

function sample(page: string, series: string): number {
  const line = page.split('\n').find((one) => one.startsWith(`${series} `))
  assert.ok(line !== undefined, `no ${series}`)
  return Number(line.split(' ').at(-1))
}
