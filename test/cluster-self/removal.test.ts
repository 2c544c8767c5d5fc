import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createCluster } from '../cluster/cluster.ts'
import { startProcess } from '../cluster/process.ts'
import { cgroupMount } from '../cluster/record.ts'
import { cleanupLeftovers } from '../cluster/removal.ts'
import { startEchoServer } from '../cluster/traffic.ts'
import type { Running } from '../cluster/types.ts'

const owner = fileURLToPath(new URL('owner.ts', import.meta.url))

/** Everything on this machine that carries the cluster's id. */
function traces(id: string): string[] {
  const places = ['/run/netns', '/run/kube-shunt-clusters', '/sys/fs/bpf', cgroupMount(), tmpdir()]
  return places
    .filter((place) => existsSync(place))
    .flatMap((place) => readdirSync(place).map((name) => join(place, name)))
    .filter((path) => path.includes(id))
}

function isAlive(pid: number): boolean {
  const stat = `/proc/${pid}/stat`
  return existsSync(stat) && !/\) [ZX] /.test(readFileSync(stat, 'utf8'))
}

interface Owned {
  readonly process: Running
  readonly id: string
  readonly pids: readonly number[]
}

/** Another process that creates a cluster with traffic and then does as `mode` says. */
async function startOwner(mode: string): Promise<Owned> {
  const process = startProcess([globalThis.process.execPath, owner, mode])
  after(() => process.stop('SIGKILL').then(() => cleanupLeftovers()))
  const line = await process.waitForLine((text) => text.startsWith('{'))
  return { process, ...(JSON.parse(line) as Omit<Owned, 'process'>) }
}

test('close() leaves no namespace, process, pin, cgroup or file, and may be called twice', async () => {
  const cluster = await createCluster({ profile: 'bridge', podsPerNode: 2 })
  const servers = await Promise.all(cluster.pods.map((pod) => startEchoServer(pod, [8080])))
  const ignoring = cluster.nodes[0]!.spawn(['sh', '-c', 'trap "" TERM; sleep 1000 & wait'])
  assert.ok(traces(cluster.id).length >= 8, 'the cluster has traces while it lives')
  await cluster.close()
  await cluster.close()
  assert.deepEqual(traces(cluster.id), [])
  for (const { process } of servers) assert.equal((await process.exited).signal, 'SIGKILL')
  await ignoring.exited
})

test('two clusters live side by side, and closing one leaves the other alone', async () => {
  await using first = await createCluster({ profile: 'bridge', podsPerNode: 1 })
  const second = await createCluster({ profile: 'ptp', podsPerNode: 1 })
  await second.close()
  assert.deepEqual(traces(second.id), [])
  assert.equal((await first.pods[0]!.exec(['ip', 'link', 'show', 'eth0'])).code, 0)
})

test('a cluster that cannot be built leaves nothing', async () => {
  await assert.rejects(createCluster({ profile: 'bridge', podsPerNode: 300 }), /no address left/)
  const records = readdirSync('/run/kube-shunt-clusters').map((name) =>
    readFileSync(join('/run/kube-shunt-clusters', name), 'utf8'),
  )
  assert.ok(!records.some((record) => record.includes(`"pid":${process.pid},`)), records.join())
  assert.equal(process.listenerCount('SIGTERM'), 0)
})

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
  test(`an owner ended by ${signal} removes its cluster and dies of that signal`, async () => {
    const { process, id, pids } = await startOwner('wait')
    assert.notDeepEqual(traces(id), [])
    const { signal: died } = await process.stop(signal)
    assert.equal(died, signal)
    assert.deepEqual(traces(id), [])
    assert.deepEqual(pids.filter(isAlive), [])
  })

for (const mode of ['throw', 'exit'])
  test(`an owner that ends by ${mode} removes its cluster`, async () => {
    const { process, id } = await startOwner(mode)
    await process.exited
    assert.deepEqual(traces(id), [])
  })

test('what a killed owner left is removed when the next cluster is created', async () => {
  const { process, id, pids } = await startOwner('wait')
  await process.stop('SIGKILL')
  assert.deepEqual(pids.filter(isAlive), [...pids], 'its servers outlive it')
  await using cluster = await createCluster({ profile: 'bridge', nodes: 1 })
  assert.deepEqual(traces(id), [])
  assert.deepEqual(pids.filter(isAlive), [])
  assert.notDeepEqual(traces(cluster.id), [])
})

test('an owner killed half-way through creation is cleaned up after too', async () => {
  const owner = startProcess([process.execPath, fileURLToPath(import.meta.resolve('./owner.ts'))])
  after(() => owner.stop('SIGKILL'))
  const born = await firstNamespaceOf(owner)
  await owner.stop('SIGKILL')
  assert.equal(owner.stdout(), '', 'it was still creating')
  cleanupLeftovers()
  assert.deepEqual(traces(born), [])
})

test('the cluster of a living owner is never taken for a leftover', async () => {
  const { process, id } = await startOwner('wait')
  const before = traces(id)
  assert.ok(!cleanupLeftovers().includes(id))
  assert.deepEqual(traces(id), before)
  await process.stop('SIGTERM')
})

/** The id of the cluster a process has just begun: its record names the process. */
async function firstNamespaceOf(owner: Running): Promise<string> {
  const { watch } = await import('node:fs')
  const watcher = watch('/run/netns')
  try {
    for (;;) {
      await Promise.race([once(watcher, 'change'), owner.exited])
      assert.ok(!owner.hasEnded(), owner.stderr())
      for (const name of readdirSync('/run/kube-shunt-clusters')) {
        const text = readFileSync(join('/run/kube-shunt-clusters', name), 'utf8')
        if (text.includes(`"pid":${owner.pid},`)) return name.slice(0, 8)
      }
    }
  } finally {
    watcher.close()
  }
}
