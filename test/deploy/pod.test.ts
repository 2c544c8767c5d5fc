import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { hostPort } from '../cluster/addressing.ts'
import { eventually, untilServed, vipPort } from '../e2e/serving.ts'
import { deployedForAll, kubeadmConfigMap, untilStarted } from './deployed.ts'
import { rendered, type Rule } from './manifests.ts'
import type { RunningPod } from './pod.ts'
import { imageForAll } from './root-file-system.ts'
import { readProfile } from './seccomp.ts'
import { updateWithSurge } from './update.ts'

const image = imageForAll()
const deployed = deployedForAll(image, { profile: 'ptp', nodes: 2, podsPerNode: 2 })

test('two nodes serve, their agents in the image and under the manifest', async (t) => {
  const { cluster } = deployed
  const pods = cluster.nodes.map((node) => deployed.start(node, 'base'))
  t.after(() => killAll(pods))
  await Promise.all(pods.map(untilStarted))
  for (const node of cluster.nodes)
    for (const by of ['node1/b', 'node2/b']) await untilServed(node.pod('a'), vip(), { by })
  assert.doesNotMatch(pods[0]!.log(), /"level":"(warn|error)"/)
})

test('the agent has the three capabilities, a filter, and nothing to write to but its mounts', async (t) => {
  const pod = deployed.start(deployed.cluster.nodes[0]!, 'base')
  t.after(() => killAll([pod]))
  await untilStarted(pod)
  const status = pod.status()
  const three = '000000c000001000' // CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN
  for (const set of ['CapPrm', 'CapEff', 'CapBnd']) assert.match(status, field(set, three))
  assert.match(status, field('NoNewPrivs', '1'))
  assert.match(status, field('Seccomp', '2'))
  assert.match(status, field('Uid', '0\t0\t0\t0'))
  assert.deepEqual(await writable(pod), ['/proc', '/dev', '/sys/fs/bpf', '/run/kube-shunt'])
  const write = await pod.exec(['/usr/bin/sh', '-c', 'echo x > /usr/lib/kube-shunt/x'])
  assert.match(write.stderr, /Read-only file system/)
  const { stdout } = await pod.exec(['/usr/bin/cat', '/run/kube-shunt/ready'])
  assert.equal(stdout, 'started\n')
})

test('the API server is asked for nothing that the role does not allow', async (t) => {
  const { server, cluster } = deployed
  const role = rendered('base').find(({ kind }) => kind === 'ClusterRole')!
  const pod = deployed.start(cluster.nodes[0]!, 'base')
  t.after(() => killAll([pod]))
  await untilStarted(pod)
  await eventually(() => assert.ok(asked(server.requests).has('create events.k8s.io/events')))
  const allowed = new Set(role.rules!.flatMap(actionsOf))
  for (const action of asked(server.requests)) assert.ok(allowed.has(action), action)
})

test("with kubeadm's ConfigMap and command nodes serve, and commands answer inside the pod", async (t) => {
  const { cluster } = deployed
  const more = [kubeadmConfigMap(deployed)]
  const pods = cluster.nodes.map((node) => deployed.start(node, 'kubeadm', { more }))
  t.after(() => killAll(pods))
  await Promise.all(pods.map(untilStarted))
  for (const node of cluster.nodes) await untilServed(node.pod('a'), vip())
  const status = await pods[0]!.exec(['/usr/bin/kube-shunt', 'status'])
  assert.equal(status.code, 0, status.stderr)
  assert.match(status.stdout, /: healthy\n/)
  const services = await pods[0]!.exec(['/usr/bin/kube-shunt', 'services'])
  assert.match(services.stdout, /10\.96\.0\.1:80 +ClusterIP +default\/web1:tcp/)
})

test('an update with surge and its rollback disturb no traffic, and probes are answered', async (t) => {
  const silence = await updateWithSurge(deployed, [image(), image(), image()])
  t.diagnostic(`/livez was silent for ${silence} ms`)
})

test('beside a kube-proxy the canary serves, on ports of its own', async (t) => {
  const { cluster } = deployed
  const node = cluster.nodes[0]!
  const holder = node.spawn([process.execPath, '-e', holdPorts])
  await holder.waitForLine((line) => line === 'holding')
  const pod = deployed.start(node, 'canary')
  t.after(() => Promise.all([holder.stop(), killAll([pod])]))
  await untilStarted(pod)
  await untilServed(node.pod('a'), vip())
  assert.doesNotMatch(pod.log(), /EADDRINUSE/)
  const answer = await node.exec(['curl', '--silent', '--fail', 'http://127.0.0.1:10356/livez'])
  assert.match(answer.stdout, /"healthy":true/)
})

test('the cleanup waits for nothing, takes everything away and says so', async (t) => {
  const node = deployed.cluster.nodes[0]!
  const agent = deployed.start(node, 'base')
  await untilStarted(agent)
  const early = await deployed.start(node, 'cleanup').process.exited
  assert.equal(early.code, 4, early.stderr)
  await agent.stop()
  assert.ok(existsSync(`${node.bpffs}/kube-shunt`))
  const pod = deployed.start(node, 'cleanup')
  t.after(() => killAll([agent, pod]))
  await untilStarted(pod)
  assert.equal(existsSync(`${node.bpffs}/kube-shunt`), false)
  assert.match(pod.log(), /hooks freed/)
  const { code } = await pod.stop()
  assert.equal(code, 0)
})

test('where a filter denies bpf(2) the agent ends with 3 and names it', async () => {
  const ours = readProfile()
  const syscalls = ours.syscalls.map((entry) => ({
    ...entry,
    names: entry.names.filter((name) => name !== 'bpf'),
  }))
  const node = deployed.cluster.nodes[1]!
  const pod = deployed.start(node, 'base', { profile: { ...ours, syscalls } })
  const { code, stderr } = await pod.process.exited
  assert.equal(code, 3, stderr)
  assert.match(stderr, /the system call bpf is denied .* seccomp profile/)
})

const holdPorts = `let left = 2
for (const port of [10256, 10249])
  require('net').createServer().listen(port, () => --left || console.log('holding'))`

function vip(): string {
  return hostPort(deployed.cluster.clusterIp(1), vipPort)
}

function field(name: string, value: string): RegExp {
  return new RegExp(`^${name}:\\s*${value}$`, 'm')
}

async function killAll(pods: readonly RunningPod[]): Promise<void> {
  await Promise.all(pods.map((pod) => pod.stop('SIGKILL')))
}

/* As the container sees them: the root it cannot leave begins at "/". */
async function writable(pod: RunningPod): Promise<string[]> {
  const { stdout } = await pod.exec(['/usr/bin/cat', '/proc/1/mountinfo'])
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' '))
    .filter((fields) => fields[5]!.split(',').includes('rw'))
    .filter((fields) => !fields[fields.indexOf('-') + 3]!.split(',').includes('ro'))
    .map((fields) => fields[4]!)
    .filter((path) => !path.startsWith('/dev/'))
}

/** Verb, group and resource of each request, as a role has them. */
function asked(requests: typeof deployed.server.requests): Set<string> {
  const verbs = new Map([
    ['POST', 'create'],
    ['PATCH', 'patch'],
    ['PUT', 'update'],
    ['DELETE', 'delete'],
  ])
  return new Set(
    requests.map(({ method, path, query }) => {
      const match = /^\/(?:api|apis\/([^/]+))\/v1\/(?:namespaces\/[^/]+\/)?([^/]+)(\/.*)?$/.exec(
        path,
      )
      const [, group = '', resource = path, name] = match ?? []
      const reading = query.get('watch') === null ? (name ? 'get' : 'list') : 'watch'
      return `${verbs.get(method) ?? reading} ${group}/${resource}`
    }),
  )
}

function actionsOf({ apiGroups, resources, verbs }: Rule): string[] {
  return apiGroups.flatMap((group) =>
    resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`)),
  )
}
