import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Agent, ClusterNode } from '../cluster/types.ts'
import { eventually, serviceFor, servingForAll, untilServed } from '../e2e/serving.ts'
import { handOvers, startStandby } from './hand-over.ts'

const serving = servingForAll({ profile: 'ptp', podsPerNode: 3 }, {}, (cluster) =>
  serviceFor(
    cluster,
    1,
    cluster.pods.filter(({ name }) => name === 'a'),
  ),
)

test('an agent that waits says when it could start, and takes the root when its owner is killed', async (t) => {
  const { node1, agents } = serving
  const file = join(serving.cluster.directory, 'ready')
  const standby = await startStandby(node1, file)
  t.after(() => standby.stop('SIGKILL'))
  await untilSaid(standby, 'another agent owns the root')
  assert.equal(readFileSync(file, 'utf8'), 'waiting\n')
  await agents[0]!.stop('SIGKILL')
  await untilSaid(standby, 'agent started')
  assert.equal(readFileSync(file, 'utf8'), 'started\n')
  await untilServed(serving.pod(1, 'c'), serving.vip(1))
  const { code } = await standby.stop()
  assert.equal(code, 0)
  assert.equal(existsSync(file), false)
})

test('an agent that waits ends with 0 when told to, and its owner does not notice', async (t) => {
  const { node1 } = serving
  await serving.agents[0]!.stop()
  const owner = await node1.startAgent()
  t.after(() => owner.stop('SIGKILL'))
  const standby = await startStandby(node1, join(serving.cluster.directory, 'ready'))
  await untilSaid(standby, 'another agent owns the root')
  const { code } = await standby.stop()
  assert.equal(code, 0, standby.log())
  assert.match(standby.log(), /agent ended while waiting/)
  const third = await refused(node1)
  assert.equal(third, 4)
})

test('three hand-overs, the new agent started before the old one ends, disturb no traffic', async () => {
  await serving.agents[0]!.stop()
  await handOvers(serving, 3)
})

async function untilSaid(agent: Agent, text: string): Promise<void> {
  await eventually(() => assert.ok(agent.log().includes(text), agent.log()), 20_000)
}

/* Without --if-owned=wait the root is still refused at once. */
async function refused(node: ClusterNode): Promise<number | null> {
  const second = await node.startAgent({ waitReady: false })
  return (await second.exited).code
}

test('an agent that waits goes on with a new root when the old one is cleaned up', async (t) => {
  const { node1, agents } = serving
  await agents[0]!.stop()
  const owner = await node1.startAgent()
  const standby = await startStandby(node1, join(serving.cluster.directory, 'ready'))
  t.after(() => Promise.all([owner.stop('SIGKILL'), standby.stop('SIGKILL')]))
  await untilSaid(standby, 'another agent owns the root')
  await node1.shunt(['cleanup', '--force'])
  await owner.stop('SIGKILL')
  await untilSaid(standby, 'agent started')
  await untilServed(serving.pod(1, 'c'), serving.vip(1))
  assert.equal(await refused(node1), 4)
})

test('an agent whose programs the kernel refuses never says that it could start', async (t) => {
  const { node1, cluster } = serving
  await serving.agents[0]!.stop()
  const owner = await node1.startAgent()
  t.after(() => owner.stop('SIGKILL'))
  const broken = join(cluster.directory, 'broken')
  const source = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url))
  cpSync(source('src'), join(broken, 'src'), { recursive: true })
  cpSync(source('package.json'), join(broken, 'package.json'))
  cpSync(source('build/loader'), join(broken, 'build/loader'), { recursive: true })
  symlinkSync(source('node_modules'), join(broken, 'node_modules'))
  mkdirSync(join(broken, 'build/bpf'))
  writeFileSync(join(broken, 'build/bpf/service_tc.bpf.o'), 'no object')
  const file = join(cluster.directory, 'ready-broken')
  const { code, stderr } = await node1.spawn([
    ...[process.execPath, join(broken, 'src/launcher.js'), 'run', '--if-owned=wait'],
    ...[`--ready-file=${file}`, '--bpffs', node1.bpffs, '--cluster-file', cluster.objects.path],
  ]).exited
  assert.equal(code, 3, stderr)
  assert.match(stderr, /open object service_tc/)
  assert.equal(existsSync(file), false)
  await untilServed(serving.pod(1, 'c'), serving.vip(1))
})
