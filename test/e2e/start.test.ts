import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { hostPort } from '../cluster/addressing.ts'
import { shuntCommand } from '../cluster/agent.ts'
import { createCluster } from '../cluster/cluster.ts'
import type { Cluster, ClusterNode, Output } from '../cluster/types.ts'
import { answerOn, eventually, serviceFor, untilServed, vipPort } from './serving.ts'

let cluster: Cluster
let node: ClusterNode
let vip: string
before(async () => {
  cluster = await createCluster({ profile: 'ptp', nodes: 1, podsPerNode: 2 })
  node = cluster.nodes[0]!
  vip = hostPort(cluster.clusterIp(1), vipPort)
  await answerOn(node.pod('b'))
  cluster.objects.put(...serviceFor(cluster, 1, [node.pod('b')]))
})
after(() => cluster.close())

test('a second agent on a root ends with 4, and the root is free when the first is killed', async (t) => {
  const first = await node.startAgent()
  t.after(() => first.stop('SIGKILL'))
  const second = await run(node.bpffs)
  assert.deepEqual([second.code, second.stderr.includes('another agent owns')], [4, true])
  await untilServed(node.pod('a'), vip)
  await first.stop('SIGKILL')
  const third = await node.startAgent()
  await third.stop()
})

test('directories of the root are 0700 and pins 0600', async () => {
  const agent = await node.startAgent()
  await agent.stop()
  const modes = new Set(
    (fs.readdirSync(node.bpffs, { recursive: true }) as string[]).map((name) => {
      const stat = fs.statSync(join(node.bpffs, name))
      return `${stat.isDirectory() ? 'directory' : 'pin'} ${(stat.mode & 0o7777).toString(8)}`
    }),
  )
  assert.deepEqual([...modes].sort(), ['directory 700', 'pin 600'])
  assert.equal(fs.statSync(node.bpffs).mode & 0o7777, 0o700)
})

test('a start with smaller sizes goes on with the maps there are', async (t) => {
  const agent = await node.startAgent({ flags: ['--frontends-max=64', '--backends-max=64'] })
  t.after(() => agent.stop())
  assert.match(agent.log(), /map frontends keeps its 4096 entries/)
  /* More frontends than asked for now: every map that goes with them has to be as large. */
  cluster.objects.put(...manyServices(40))
  await untilServed(node.pod('a'), hostPort(cluster.clusterIp(140), vipPort), { within: 2_000 })
  const { status } = await agent.get('http://127.0.0.1:10249/metrics')
  assert.equal(status, 200)
  const sizes = await Promise.all(['frontends', 'frontend_names', 'frontend_stats'].map(sizeOf))
  assert.deepEqual(sizes, [4096, 4096, 4096])
  cluster.objects.remove(...manyServices(40))
  assert.doesNotMatch(agent.log(), /"msg":"pass failed"/)
})

test('a root of somebody else, or one that is open to others, is refused with 4', async () => {
  const foreign = otherRoot('foreign')
  fs.mkdirSync(foreign, { mode: 0o700 })
  fs.chownSync(foreign, 65534, 65534)
  const open = otherRoot('open')
  fs.mkdirSync(open)
  fs.chmodSync(open, 0o755)
  const inside = otherRoot('inside')
  fs.mkdirSync(join(inside, 'v1'), { recursive: true, mode: 0o700 })
  fs.chownSync(join(inside, 'v1'), 65534, 65534)
  for (const [root, reason] of [
    [foreign, /belongs to uid 65534/],
    [open, /open to others \(mode 755/],
    [inside, /v1 belongs to uid 65534/],
  ] as const) {
    const before = fs.readdirSync(root, { recursive: true })
    const { code, stderr } = await run(root)
    assert.equal(code, 4, stderr)
    assert.match(stderr, reason)
    assert.deepEqual(fs.readdirSync(root, { recursive: true }), before)
  }
})

test('a root that is not on a bpf file system is refused with 2', async () => {
  const { code, stderr } = await run(join(cluster.directory, 'root'))
  assert.equal(code, 2)
  assert.match(stderr, /--bpffs .*not on a bpf file system/)
  assert.ok(!fs.existsSync(join(cluster.directory, 'root')))
})

test('without the right to load programs the agent ends with 3 and leaves nothing', async () => {
  for (const [lacking, capabilities] of [
    ['CAP_BPF', '+net_admin,+perfmon'],
    ['CAP_NET_ADMIN', '+bpf,+perfmon'],
    ['CAP_PERFMON', '+bpf,+net_admin'],
  ] as const) {
    const root = otherRoot(`lacking${lacking}`)
    const { code, stderr } = await run(root, { capabilities })
    assert.equal(code, 3, `${capabilities}: ${stderr}`)
    assert.match(stderr, new RegExp(`lacks ${lacking}\n`))
    assert.ok(!fs.existsSync(root))
  }
})

test('CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are all that the agent needs', async (t) => {
  const root = otherRoot('least')
  const agent = node.spawn(command(root, { capabilities: '+bpf,+net_admin,+perfmon' }))
  t.after(() => agent.stop('SIGKILL'))
  await eventually(() => assert.match(agent.stderr(), /"agent started"/), 20_000)
  assert.doesNotMatch(agent.stderr(), /"level":"(warn|error)"/)
  await untilServed(node.pod('a'), vip)
  const { code } = await agent.stop()
  assert.equal(code, 0)
})

test('a malformed cluster file ends the start with 2, its name and its line', async () => {
  const file = join(cluster.directory, 'malformed.yaml')
  fs.writeFileSync(file, 'apiVersion: v1\nkind: List\nitems:\n- kind: Service\n   name: x\n')
  const root = otherRoot('malformed')
  const { code, stderr } = await run(root, { clusterFile: file })
  assert.equal(code, 2)
  assert.match(stderr, /malformed\.yaml: line 4/)
  assert.deepEqual(fs.readdirSync(join(root, 'v1/links')), [])
})

async function sizeOf(map: string): Promise<number> {
  const path = join(node.bpffs, 'v1/maps', map)
  const { stdout } = await node.exec(['bpftool', '-j', 'map', 'show', 'pinned', path])
  return (JSON.parse(stdout) as { max_entries: number }).max_entries
}

/** So many Services, from number 101 on. */
function manyServices(count: number): ReturnType<typeof serviceFor> {
  const numbers = Array.from({ length: count }, (_, index) => 101 + index)
  return numbers.flatMap((n) => serviceFor(cluster, n, [node.pod('b')]))
}

interface Variant {
  readonly clusterFile?: string
  /** What is left of root's capabilities, as setpriv takes it. */
  readonly capabilities?: string
}

function command(bpffs: string, variant: Variant = {}): string[] {
  const { clusterFile = cluster.objects.path, capabilities } = variant
  const shunt = shuntCommand([
    ...['run', '--bpffs', bpffs, '--cgroup', node.cgroup, '--hostname-override', node.name],
    ...['--cluster-file', clusterFile, '--flow-table-entries', '4096'],
    ...['--frontends-max', '256', '--backends-max', '256'],
  ])
  if (capabilities === undefined) return shunt
  return ['setpriv', '--bounding-set', `-all,${capabilities}`, '--', ...shunt]
}

function run(bpffs: string, variant: Variant = {}): Promise<Output> {
  return node.exec(command(bpffs, variant), { mayFail: true })
}

/** A root beside the node's own; the cluster removes all of them at its end. */
function otherRoot(name: string): string {
  return `${node.bpffs}-${name}`
}
