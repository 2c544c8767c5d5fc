import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { hostPort } from '../cluster/addressing.ts'
import { shuntCommand } from '../cluster/agent.ts'
import { startApiServer } from '../cluster/api-server/server.ts'
import { connectApiServer } from '../cluster/api-source.ts'
import { createCluster } from '../cluster/cluster.ts'
import { startDial } from '../cluster/traffic.ts'
import type { Cluster, ClusterNode, Output, Running } from '../cluster/types.ts'
import { answerOn, serviceFor, untilServed, vipPort } from './serving.ts'

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

/** A module that says when the agent is loaded; before that, the process is Node getting up. */
const telling = `data:text/javascript,${encodeURIComponent(
  "import { registerHooks } from 'node:module'; registerHooks({ load(url, context, next) {" +
    "if (url.endsWith('/src/main.ts')) console.error('loading main.ts');" +
    'return next(url, context) } })',
)}`

/** Moments of a start, in the order in which they come. */
const moments: readonly {
  readonly when: string
  readonly signal: NodeJS.Signals
  readonly isHere: (start: Start) => boolean
}[] = [
  { when: 'it is being loaded', signal: 'SIGTERM', isHere: said('loading main.ts') },
  { when: 'it is being loaded (SIGINT)', signal: 'SIGINT', isHere: said('loading main.ts') },
  { when: 'its root exists', signal: 'SIGTERM', isHere: ({ root }) => existsSync(root) },
  { when: 'its first map is pinned', signal: 'SIGTERM', isHere: hasPins('maps') },
  { when: 'its programs are pinned', signal: 'SIGINT', isHere: hasPins('programs') },
  { when: 'it serves metrics', signal: 'SIGTERM', isHere: said('"server":"metrics"') },
  { when: 'it has read its objects', signal: 'SIGTERM', isHere: said('cluster file loaded') },
  { when: 'it attaches programs', signal: 'SIGTERM', isHere: hasPins('links') },
]

for (const [at, { when, signal, isHere }] of moments.entries()) {
  test(`told to end when ${when}, it ends with 0, and the next start goes on from there`, async (t) => {
    const root = `${node.bpffs}-moment${at}`
    const start = launch(t, root)
    await moment(start, isHere)
    assertEndedWell(await start.process.stop(signal))
    const next = launch(t, root)
    await moment(next, said('"agent started"'))
    await untilServed(node.pod('a'), vip)
    assertEndedWell(await next.process.stop())
    assert.doesNotMatch(next.process.stderr(), /"level":"(warn|error)"/)
    await node.exec(shuntCommand(['cleanup', '--bpffs', root]))
  })
}

test('told to end at any moment of a restart, it does not touch what serves', async (t) => {
  const first = launch(t, node.bpffs)
  await moment(first, said('"agent started"'))
  await untilServed(node.pod('a'), vip)
  await first.process.stop()
  const links = (): string[] => readdirSync(join(node.bpffs, 'v1/links')).sort()
  const before = links()
  assert.ok(before.length > 0)
  const canary = startDial(node.pod('a'), vip, { rate: 50 })
  await canary.until(({ ok }) => ok > 0)
  for (const after of ['"server":"healthz"', '"server":"metrics"', 'cluster file loaded']) {
    const start = launch(t, node.bpffs)
    await moment(start, said(after))
    assertEndedWell(await start.process.stop())
    assert.deepEqual(links(), before)
  }
  const { dialled, failed } = await canary.stop()
  assert.ok(dialled > 50)
  assert.deepEqual(failed, {})
})

test('told to end while an API server keeps it waiting, it ends with 0 at once', async (t) => {
  const server = await startApiServer()
  t.after(() => server.close())
  server.faults.listDelayMs = 60_000
  server.faults.watchListDisabled = true
  const { kubeconfig } = await connectApiServer(cluster, server)
  const start = launch(t, `${node.bpffs}-waiting`, ['--kubeconfig', kubeconfig])
  await moment(start, () => server.requests.length > 2)
  const asked = performance.now()
  assertEndedWell(await start.process.stop())
  assert.ok(performance.now() - asked < 5_000, 'no request is waited for')
})

interface Start {
  readonly process: Running
  readonly root: string
}

function launch(t: TestContext, root: string, source?: readonly string[]): Start {
  const command = shuntCommand([
    ...['run', '--bpffs', root, '--cgroup', node.cgroup, '--hostname-override', node.name],
    ...(source ?? ['--cluster-file', cluster.objects.path]),
    ...['--flow-table-entries=4096', '--frontends-max=256', '--backends-max=256'],
  ])
  const process = node.spawn(command, { env: { NODE_OPTIONS: `--import=${telling}` } })
  t.after(() => process.stop('SIGKILL'))
  return { process, root }
}

/** Waits for a moment of a start as closely as can be, since it may last a few milliseconds. */
async function moment(start: Start, isHere: (start: Start) => boolean): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!isHere(start)) {
    const { process } = start
    assert.ok(!process.hasEnded(), `ended before: ${process.stderr()}`)
    assert.ok(performance.now() < deadline, `did not come: ${process.stderr()}`)
    await pause(1)
  }
}

function assertEndedWell({ code, signal, stderr }: Output): void {
  assert.deepEqual([code, signal], [0, null], stderr)
  assert.doesNotMatch(stderr, /kube-shunt: /)
}

function hasPins(folder: string): (start: Start) => boolean {
  return ({ root }) => {
    const path = join(root, 'v1', folder)
    return existsSync(path) && readdirSync(path).length > 0
  }
}

function said(text: string): (start: Start) => boolean {
  return ({ process }) => process.stderr().includes(text)
}
