import assert from 'node:assert/strict'
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { stringify } from 'yaml'
import { ShuntError } from '../../src/errors.ts'
import { followClusterFile } from '../../src/kube/cluster-file.ts'
import { readClusterObjects } from '../../src/kube/cluster-objects.ts'
import { endpointSlices, nodeResource, services } from '../../src/kube/resources.ts'
import type { KubeObject } from '../cluster/api-server/server.ts'
import { scratch } from './support/certificates.ts'
import { Mirror } from './support/mirror.ts'
import { service, slice } from './support/reflecting.ts'

const node: KubeObject = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } }
const configMap: KubeObject = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' } }

/** Follows a file until the test ends, with one mirror per kind. */
function follow(t: TestContext, path: string, pollMs = 60_000) {
  const mirrors = { services: new Mirror(), slices: new Mirror(), nodes: new Mirror() }
  const controller = new AbortController()
  const ended = followClusterFile({
    path,
    targets: [
      { resource: services, sink: mirrors.services },
      { resource: endpointSlices, sink: mirrors.slices },
      { resource: nodeResource('n1'), sink: mirrors.nodes },
    ],
    signal: controller.signal,
    log: mirrors.services.log,
    onHealth: mirrors.services.onHealth,
    debounceMs: 10,
    pollMs,
  })
  const stop = () => {
    controller.abort()
    return ended
  }
  t.after(() => stop().catch(() => undefined))
  return { ...mirrors, ended, stop }
}

function yaml(...objects: unknown[]): string {
  return objects.map((one) => `---\n${stringify(one)}`).join('')
}

const forms: Readonly<Record<string, (objects: readonly KubeObject[]) => string>> = {
  'a YAML stream': (objects) => yaml(...objects),
  'a YAML List': (items) => yaml({ apiVersion: 'v1', kind: 'List', items }),
  'a YAML array': (objects) => stringify(objects),
  'a JSON List': (items) => JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
  'a JSON array': (objects) => JSON.stringify(objects, undefined, 2),
  'a YAML stream of lists': (objects) => yaml(objects.slice(0, 1), null, objects.slice(1)),
}

for (const [form, write] of Object.entries(forms))
  test(`followClusterFile reads ${form} and gives each kind to its sink`, async (t) => {
    const path = join(scratch(t), 'cluster')
    writeFileSync(path, write([service('a'), slice('a-1'), node, configMap]))
    const mirrors = follow(t, path)
    await mirrors.nodes.untilSynced()
    assert.deepEqual(mirrors.services.calls, ['+default/a', 'synced'])
    assert.deepEqual(mirrors.slices.calls, ['+default/a-1', 'synced'])
    assert.deepEqual(mirrors.nodes.calls, ['+/n1', 'synced'])
  })

test('followClusterFile reads a single object and a typed list without kinds', async (t) => {
  const directory = scratch(t)
  writeFileSync(join(directory, 'one'), JSON.stringify(service('a')))
  const single = follow(t, join(directory, 'one'))
  await single.services.untilSynced()
  assert.deepEqual(single.services.names(), ['default/a'])
  const items = ['a', 'b'].map((name) => ({ metadata: { name }, spec: {} }))
  writeFileSync(join(directory, 'typed'), yaml({ apiVersion: 'v1', kind: 'ServiceList', items }))
  const typed = follow(t, join(directory, 'typed'))
  await typed.services.untilSynced()
  assert.deepEqual(typed.services.names(), ['default/a', 'default/b'])
})

test('followClusterFile applies the selectors the API server would', async (t) => {
  const path = join(scratch(t), 'cluster')
  const other = { 'service.kubernetes.io/service-proxy-name': 'x' }
  const headless = slice('headless')
  headless.metadata.labels = { 'service.kubernetes.io/headless': '' }
  writeFileSync(
    path,
    yaml(
      service('a'),
      service('other', { labels: other }),
      { ...service('none'), spec: { clusterIP: 'None' } },
      headless,
      node,
      { ...node, metadata: { name: 'n2' } },
    ),
  )
  const mirrors = follow(t, path)
  await mirrors.nodes.untilSynced()
  assert.deepEqual(mirrors.services.names(), ['default/a'])
  assert.deepEqual(mirrors.slices.names(), [])
  assert.deepEqual(mirrors.nodes.names(), ['/n1'])
})

test('a changed file tells of changed, new and removed objects only', async (t) => {
  const path = join(scratch(t), 'cluster')
  writeFileSync(path, yaml(service('same'), service('changed'), service('gone')))
  const { services: mirror } = follow(t, path)
  await mirror.untilSynced()
  const before = mirror.calls.length
  writeFileSync(
    path,
    yaml(service('same'), service('changed', { labels: { x: 'y' } }), service('new')),
  )
  await mirror.untilSynced(2)
  const calls = mirror.calls.slice(before)
  assert.deepEqual(calls, ['+default/changed', '+default/new', '-default/gone', 'synced'])
})

test('a file renamed over the old one is noticed, again and again', async (t) => {
  const path = join(scratch(t), 'cluster')
  writeFileSync(path, yaml(service('s0')))
  const { services: mirror } = follow(t, path)
  await mirror.untilSynced()
  for (const name of ['s1', 's2', 's3']) {
    writeFileSync(`${path}.new`, yaml(service(name)))
    renameSync(`${path}.new`, path)
    await mirror.until(() => mirror.objects.has(`default/${name}`))
    await mirror.until(() => mirror.objects.size === 1)
  }
})

test('a file behind a symbolic link is noticed when the link moves, as in a ConfigMap', async (t) => {
  const directory = scratch(t)
  for (const name of ['v1', 'v2']) {
    mkdirSync(join(directory, name))
    writeFileSync(join(directory, name, 'cluster'), yaml(service(name)))
  }
  symlinkSync('v1', join(directory, '..data'))
  symlinkSync('..data/cluster', join(directory, 'cluster'))
  const { services: mirror } = follow(t, join(directory, 'cluster'))
  await mirror.untilSynced()
  symlinkSync('v2', join(directory, '..tmp'))
  renameSync(join(directory, '..tmp'), join(directory, '..data'))
  await mirror.until(() => mirror.objects.has('default/v2'))
})

test('a bad reload keeps what was there, reports file and line, and heals', async (t) => {
  const path = join(scratch(t), 'cluster')
  writeFileSync(path, yaml(service('a')))
  const { services: mirror } = follow(t, path)
  await mirror.untilSynced()
  writeFileSync(path, `${yaml(service('b'))}\n---\nkind: [\n`)
  await mirror.until(() => mirror.health?.lastError !== undefined)
  assert.match(mirror.health?.lastError ?? '', /cluster: line \d+: /)
  assert.deepEqual(mirror.names(), ['default/a'])
  assert.equal(mirror.syncs, 1)
  writeFileSync(path, yaml(service('c')))
  await mirror.until(() => mirror.health?.lastError === undefined)
  assert.deepEqual(mirror.names(), ['default/c'])
  rmSync(path)
  await mirror.until(() => (mirror.health?.lastError ?? '').includes('ENOENT'))
  assert.deepEqual(mirror.names(), ['default/c'])
  assert.equal(mirror.health?.restarts, 2)
})

test('a file that is emptied keeps what was there; an empty list does not', async (t) => {
  const path = join(scratch(t), 'cluster')
  writeFileSync(path, yaml(service('a')))
  const { services: mirror } = follow(t, path)
  await mirror.untilSynced()
  writeFileSync(path, '\n')
  await mirror.until(() => (mirror.health?.lastError ?? '').includes('is empty'))
  assert.deepEqual(mirror.names(), ['default/a'])
  writeFileSync(path, '[]')
  await mirror.until(() => mirror.objects.size === 0)
})

test('writing the same content again tells nobody', async (t) => {
  const path = join(scratch(t), 'cluster')
  writeFileSync(path, yaml(service('a')))
  const { services: mirror } = follow(t, path)
  await mirror.untilSynced()
  const loaded = mirror.health?.lastEvent ?? 0
  writeFileSync(path, yaml(service('a')))
  await mirror.until(() => (mirror.health?.lastEvent ?? 0) > loaded)
  assert.equal(mirror.syncs, 1)
})

test('followClusterFile ends when its signal aborts', async (t) => {
  const path = join(scratch(t), 'cluster')
  writeFileSync(path, yaml(service('a')))
  const mirrors = follow(t, path)
  await mirrors.services.untilSynced()
  await mirrors.stop()
})

test('a bad first load rejects with KSH_CONFIG and names the place', async (t) => {
  const directory = scratch(t)
  const path = join(directory, 'cluster')
  await assert.rejects(follow(t, path).ended, { code: 'KSH_CONFIG', message: /cluster: ENOENT/ })
  const cases: [string, RegExp][] = [
    ['a: b: c\n', /cluster: line 1: column 4: /],
    [`${yaml(service('a'))}---\nkind: Service\n`, /line 11: Service: apiVersion is missing/],
    ['apiVersion: v1\nkind: Service\nmetadata: {}\n', /line 1: Service: metadata.name is missing/],
    ['- 1\n', /line 1: is not an object/],
    ['[{"kind": "Service",\n "apiVersion": "v1"}]', /line 1: Service: metadata.name is missing/],
    ['{"kind": "Service",\n "apiVersion" "v1"}', /line 2: column \d+: /],
    ['- {apiVersion: v1}\n', /line 1: kind is missing/],
    [
      yaml(service('a'), service('a')),
      /line 11: Service default\/a is there twice, first in line 2/,
    ],
    [
      yaml({ ...slice('a'), apiVersion: 'discovery.k8s.io/v1beta1' }),
      /line 2: EndpointSlice a: apiVersion is discovery.k8s.io\/v1beta1, only discovery.k8s.io\/v1/,
    ],
  ]
  for (const [text, pattern] of cases) {
    writeFileSync(path, text)
    await assert.rejects(follow(t, path).ended, (error) => {
      assert.ok(error instanceof ShuntError, String(error))
      assert.equal(error.code, 'KSH_CONFIG')
      assert.match(error.message, pattern)
      return true
    })
  }
})

test('readClusterObjects takes an empty file as no objects', () => {
  assert.deepEqual(readClusterObjects('f', ''), [])
  assert.deepEqual(readClusterObjects('f', '---\n# nothing\n'), [])
  assert.deepEqual(readClusterObjects('f', '[]'), [])
})
