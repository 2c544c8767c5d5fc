import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { LineSplitter } from '../../src/kube/lines.ts'
import type { ApiServer, KubeObject } from '../cluster/api-server/server.ts'
import { serve, service, slice } from './support/reflecting.ts'

interface List {
  metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number }
  items: KubeObject[]
}
interface Event {
  type: string
  object: KubeObject & { code?: number }
}

async function call(server: ApiServer, path: string, init: RequestInit = {}) {
  const response = await fetch(server.url + path, init)
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as never,
  }
}

async function list(server: ApiServer, query: string): Promise<List> {
  const { status, body } = await call(server, `/api/v1/services?${query}`)
  assert.equal(status, 200, JSON.stringify(body))
  return body
}

/** Events of a watch as they come; the watch ends with the test. */
async function watch(t: TestContext, server: ApiServer, query: string, plural = 'services') {
  const controller = new AbortController()
  t.after(() => controller.abort())
  const group = plural === 'endpointslices' ? '/apis/discovery.k8s.io/v1' : '/api/v1'
  const response = await fetch(`${server.url}${group}/${plural}?watch=true&${query}`, {
    signal: controller.signal,
  })
  const { body } = response
  assert.ok(body)
  const events = (async function* (): AsyncGenerator<Event> {
    const splitter = new LineSplitter(1e6)
    for await (const chunk of body)
      for (const line of splitter.push(Buffer.from(chunk as Uint8Array)))
        yield JSON.parse(line) as Event
  })()
  return { status: response.status, headers: response.headers, events }
}

async function take(events: AsyncGenerator<Event>, count: number): Promise<string[]> {
  const found: string[] = []
  while (found.length < count) {
    const next = await events.next()
    if (next.done === true) break
    found.push(`${next.value.type} ${next.value.object.metadata.name}`)
  }
  return found
}

test('lists in pages show one revision, even when objects change in between', async (t) => {
  const server = await serve(t)
  for (let index = 0; index < 5; index++) server.put(service(`s${index}`))
  const first = await list(server, 'limit=2')
  assert.equal(first.metadata.remainingItemCount, 3)
  server.delete({ kind: 'Service', name: 's3' })
  server.put(service('s9'))
  const second = await list(server, `limit=9&continue=${first.metadata.continue}`)
  assert.deepEqual(
    second.items.map(({ metadata }) => metadata.name),
    ['s2', 's3', 's4'],
  )
  assert.equal(second.metadata.resourceVersion, first.metadata.resourceVersion)
  assert.equal(second.metadata.continue, undefined)
  assert.equal((await list(server, 'limit=2&resourceVersion=0')).items.length, 5)
})

test('items of a list have no kind, single objects and events do', async (t) => {
  const server = await serve(t)
  server.put(service('a'))
  const [item] = (await list(server, '')).items
  assert.equal(item?.kind, undefined)
  const { body } = await call(server, '/api/v1/namespaces/default/services/a')
  assert.equal((body as KubeObject).kind, 'Service')
})

test('410: an old continue token, and a watch from a version that is forgotten', async (t) => {
  const server = await serve(t)
  for (const name of ['a', 'b']) server.put(service(name))
  const first = await list(server, 'limit=1')
  server.compact()
  const page = await call(server, `/api/v1/services?limit=1&continue=${first.metadata.continue}`)
  assert.equal(page.status, 410)
  assert.equal((page.body as { reason: string }).reason, 'Expired')
  const { status, events } = await watch(t, server, 'resourceVersion=1001')
  assert.equal(status, 200)
  const event = (await events.next()).value as Event
  assert.equal(event.type, 'ERROR')
  assert.equal(event.object.code, 410)
  assert.equal((await events.next()).done, true)
})

test('the log of changes is bounded', async (t) => {
  const server = await serve(t, { logSize: 3 })
  const start = server.store.revision
  for (let index = 0; index < 10; index++) server.put(service(`s${index}`))
  const old = await watch(t, server, `resourceVersion=${start}`)
  assert.equal(((await old.events.next()).value as Event).object.code, 410)
  const recent = await watch(t, server, `resourceVersion=${server.store.revision - 2}`)
  assert.deepEqual(await take(recent.events, 2), ['ADDED s8', 'ADDED s9'])
})

test('watches replay from a version, from zero, and as a streaming list', async (t) => {
  const server = await serve(t)
  server.put(service('a'))
  const { revision } = server.store
  server.put(service('b'))
  server.put(service('b', { labels: { x: 'y' } }))
  server.delete({ kind: 'Service', name: 'a' })
  const from = await watch(t, server, `resourceVersion=${revision}`)
  assert.deepEqual(await take(from.events, 3), ['ADDED b', 'MODIFIED b', 'DELETED a'])
  const zero = await watch(t, server, 'resourceVersion=0')
  assert.deepEqual(await take(zero.events, 1), ['ADDED b'])
  const streaming = await watch(
    t,
    server,
    'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true',
  )
  assert.deepEqual(await take(streaming.events, 1), ['ADDED b'])
  const bookmark = (await streaming.events.next()).value as Event
  assert.equal(bookmark.type, 'BOOKMARK')
  assert.equal(bookmark.object.metadata.annotations?.['k8s.io/initial-events-end'], 'true')
  assert.equal(bookmark.object.metadata.resourceVersion, String(server.store.revision))
  server.put(service('c'))
  assert.deepEqual(await take(streaming.events, 1), ['ADDED c'])
})

test('selectors turn changes into ADDED and DELETED as objects enter and leave', async (t) => {
  const server = await serve(t)
  const labels = { 'service.kubernetes.io/headless': '' }
  const { events } = await watch(
    t,
    server,
    'resourceVersion=0&labelSelector=!service.kubernetes.io/headless',
    'endpointslices',
  )
  server.put(slice('a'))
  server.put({ ...slice('a'), metadata: { name: 'a', labels } })
  server.put({ ...slice('b'), metadata: { name: 'b', labels } })
  server.put(slice('a'))
  server.put({ ...slice('a', 3) })
  server.delete({ kind: 'EndpointSlice', name: 'b' })
  server.delete({ kind: 'EndpointSlice', name: 'a' })
  assert.deepEqual(await take(events, 5), [
    'ADDED a',
    'DELETED a',
    'ADDED a',
    'MODIFIED a',
    'DELETED a',
  ])
})

test('label and field selectors in lists', async (t) => {
  const server = await serve(t)
  server.put(service('a', { labels: { app: 'x', tier: '1' } }))
  server.put(service('b', { labels: { app: 'y' } }))
  server.put({ ...service('c'), spec: { clusterIP: 'None' } })
  const cases: Readonly<Record<string, string[]>> = {
    'labelSelector=app': ['a', 'b'],
    'labelSelector=!app': ['c'],
    'labelSelector=app=x': ['a'],
    'labelSelector=app!=x': ['b', 'c'],
    'labelSelector=app in (x,y),!tier': ['b'],
    'labelSelector=app notin (x)': ['b', 'c'],
    'fieldSelector=spec.clusterIP!=None': ['a', 'b'],
    'fieldSelector=metadata.name=b': ['b'],
  }
  for (const [query, names] of Object.entries(cases))
    assert.deepEqual(
      (await list(server, query)).items.map(({ metadata }) => metadata.name),
      names,
      query,
    )
  const { status } = await call(server, '/api/v1/services?fieldSelector=spec.none=1')
  assert.equal(status, 400)
})

test('quiet watches get bookmarks, and every watch ends at its time', async (t) => {
  const server = await serve(t, { bookmarkMs: 20 })
  const { events } = await watch(
    t,
    server,
    `resourceVersion=${server.store.revision}&allowWatchBookmarks=true&timeoutSeconds=1`,
  )
  const types: string[] = []
  for await (const { type } of events) types.push(type)
  assert.ok(types.length > 5)
  assert.ok(types.every((type) => type === 'BOOKMARK'))
})

test('large lists are compressed for those who ask, watches never', async (t) => {
  const server = await serve(t)
  const annotations = { filler: 'x'.repeat(1000) }
  server.bulkLoad(Array.from({ length: 300 }, (_, index) => service(`s${index}`, { annotations })))
  const gzip = { headers: { 'accept-encoding': 'gzip' } }
  const plain = { headers: { 'accept-encoding': 'identity' } }
  const path = '/api/v1/services'
  assert.equal((await call(server, path, gzip)).headers.get('content-encoding'), 'gzip')
  assert.equal((await call(server, path, plain)).headers.get('content-encoding'), null)
  const small = await call(server, `${path}?limit=5`, gzip)
  assert.equal(small.headers.get('content-encoding'), null)
  assert.equal((await watch(t, server, '')).headers.get('content-encoding'), null)
})

test('a bearer token is demanded and can be changed', async (t) => {
  const server = await serve(t, { token: 'one' })
  const status = async (token: string) =>
    (await call(server, '/version', { headers: { authorization: `Bearer ${token}` } })).status
  assert.deepEqual([await status('one'), await status('two')], [200, 401])
  server.setToken('two')
  assert.deepEqual([await status('one'), await status('two')], [401, 200])
})

test('writes: 409 for what exists or is stale, 404 for what does not, no change without one', async (t) => {
  const server = await serve(t)
  const path = '/api/v1/namespaces/default/services'
  const send = (method: string, where: string, body: unknown) =>
    call(server, where, { method, body: JSON.stringify(body) })
  assert.equal((await send('POST', path, service('a'))).status, 201)
  const twice = await send('POST', path, service('a'))
  assert.equal(twice.status, 409)
  assert.equal((twice.body as { reason: string }).reason, 'AlreadyExists')
  const stored = server.get({ kind: 'Service', name: 'a' })
  assert.ok(stored)
  const changed = { ...stored, metadata: { ...stored.metadata, labels: { x: 'y' } } }
  assert.equal((await send('PUT', `${path}/a`, changed)).status, 200)
  const stale = await send('PUT', `${path}/a`, changed)
  assert.equal((stale.body as { reason: string }).reason, 'Conflict')
  const { revision } = server.store
  const same = await send('PUT', `${path}/a`, server.get({ kind: 'Service', name: 'a' }))
  assert.equal(same.status, 200)
  assert.equal(server.store.revision, revision)
  assert.equal((await call(server, `${path}/none`)).status, 404)
  assert.equal((await call(server, `${path}/none`, { method: 'DELETE' })).status, 404)
  assert.equal((await call(server, `${path}/a`, { method: 'DELETE' })).status, 200)
})

test('Services get addresses of the asked families, node ports and defaults', async (t) => {
  const server = await serve(t, { serviceCidrs: ['10.1.0.0/16', 'fd01::/112'] })
  const spec = (more: object) => ({ ports: [{ port: 80 }], ...more })
  const put = (name: string, more: object) =>
    server.put({ ...service(name), spec: spec(more) })['spec'] as Record<string, unknown>
  const single = put('single', {})
  assert.equal(single['type'], 'ClusterIP')
  assert.deepEqual(single['clusterIPs'], ['10.1.0.10'])
  assert.deepEqual(single['ports'], [{ port: 80, protocol: 'TCP', targetPort: 80 }])
  assert.deepEqual(put('single', {})['clusterIPs'], ['10.1.0.10'], 'kept')
  const dual = put('dual', { ipFamilyPolicy: 'PreferDualStack', type: 'NodePort' })
  assert.deepEqual(dual['clusterIPs'], ['10.1.0.11', 'fd01::a'])
  const [port] = dual['ports'] as { nodePort: number }[]
  assert.ok(port && port.nodePort >= 30_000 && port.nodePort <= 32_767)
  assert.deepEqual(put('six', { ipFamilies: ['IPv6'] })['clusterIPs'], ['fd01::b'])
  const local = put('local', { type: 'LoadBalancer', externalTrafficPolicy: 'Local' })
  assert.equal(typeof local['healthCheckNodePort'], 'number')
  assert.throws(() => put('thief', { clusterIP: '10.1.0.10' }), /already allocated/)
  server.delete({ kind: 'Service', name: 'single' })
  assert.deepEqual(put('thief', { clusterIP: '10.1.0.10' })['clusterIPs'], ['10.1.0.10'])
  assert.deepEqual(put('headless', { clusterIP: 'None' })['clusterIPs'], ['None'])
})

test('an Event created in one API group is seen in the other', async (t) => {
  const server = await serve(t)
  const body = JSON.stringify({ metadata: { name: 'e' }, note: 'n', regarding: { name: 'r' } })
  const path = '/apis/events.k8s.io/v1/namespaces/default/events'
  assert.equal((await call(server, path, { method: 'POST', body })).status, 201)
  const seen = (await call(server, '/api/v1/namespaces/default/events/e')).body as KubeObject
  assert.equal(seen.apiVersion, 'v1')
  assert.equal(seen['message'], 'n')
  assert.deepEqual(seen['involvedObject'], { name: 'r' })
})

test('faults can be called over HTTP, on the control port also while the server is down', async (t) => {
  const server = await serve(t, { controlPort: 0 })
  const fault = async (base: string, verb: string) =>
    (await fetch(`${base}/faults/${verb}`, { method: 'POST' })).status
  assert.equal(await fault(server.url, 'status?code=503&times=1&retryAfter=2'), 200)
  const refused = await call(server, '/version')
  assert.equal(refused.status, 503)
  assert.equal(refused.headers.get('retry-after'), '2')
  assert.equal((await call(server, '/version')).status, 200)
  assert.equal(await fault(server.controlUrl, 'nonsense'), 404)
  const { url } = server
  await server.down()
  await assert.rejects(fetch(`${url}/version`))
  assert.equal(await fault(server.controlUrl, 'up'), 200)
  assert.equal(server.url, url)
  assert.equal((await call(server, '/version')).status, 200)
})
