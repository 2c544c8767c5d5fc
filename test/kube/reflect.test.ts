import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointSlices, nodeResource } from '../../src/kube/resources.ts'
import { eventually, Mirror } from './support/mirror.ts'
import { follow, recordingClock, serve, serverNames, service, slice } from './support/reflecting.ts'

test('reflect follows creation, change and deletion after a streaming list', async (t) => {
  const server = await serve(t)
  server.put(service('a'))
  server.put(service('b'))
  const { mirror } = follow(t, server)
  await mirror.untilSynced()
  assert.deepEqual(mirror.calls, ['+default/a', '+default/b', 'synced'])
  server.put(service('a', { labels: { x: 'y' } }))
  server.delete({ kind: 'Service', name: 'b' })
  server.put(service('c'))
  await mirror.until(() => mirror.objects.has('default/c'))
  assert.deepEqual(mirror.calls.slice(3), ['+default/a', '-default/b', '+default/c'])
  assert.equal(mirror.objects.get('default/a')?.metadata.labels?.['x'], 'y')
  assert.equal(server.requests.length, 1, 'one request does it all')
  const first = server.requests.at(0)
  assert.equal(first?.query.get('sendInitialEvents'), 'true')
  assert.equal(first.query.get('resourceVersion'), null)
  const timeout = Number(first.query.get('timeoutSeconds'))
  assert.ok(timeout >= 300 && timeout <= 600, `timeoutSeconds is ${timeout}`)
})

test('reflect of an empty collection is synced and empty', async (t) => {
  const server = await serve(t)
  const { mirror } = follow(t, server)
  await mirror.untilSynced()
  assert.deepEqual(mirror.calls, ['synced'])
})

test('reflect lists in pages where the server refuses sendInitialEvents', async (t) => {
  const server = await serve(t)
  server.faults.watchListDisabled = true
  for (let index = 0; index < 8; index++) server.put(service(`s${index}`))
  const { mirror } = follow(t, server)
  await mirror.untilSynced()
  assert.deepEqual(mirror.names(), serverNames(server))
  server.put(service('late'))
  await mirror.until(() => mirror.objects.has('default/late'))
  const lists = server.requests.filter(({ query }) => !query.has('watch'))
  assert.deepEqual(
    lists.map(({ query }) => query.get('limit')),
    ['3', '3', '3'],
  )
  assert.ok(lists.every(({ query }) => !query.has('resourceVersion')))
  assert.ok(lists.every(({ headers }) => headers['accept-encoding'] === 'gzip'))
})

test('reflect lists in pages where the server does not know sendInitialEvents', async (t) => {
  const server = await serve(t, { bookmarkMs: 20 })
  server.faults.watchListUnknown = true
  server.put(service('a'))
  const { mirror } = follow(t, server)
  await mirror.untilSynced()
  assert.deepEqual(mirror.names(), ['default/a'])
  server.compact()
  await mirror.untilSynced(2)
  const streaming = server.requests.filter(({ query }) => query.has('sendInitialEvents'))
  assert.equal(streaming.length, 1, 'the server is not asked again')
})

test('reflect takes a streaming list that falls silent for one that never ends', async (t) => {
  const server = await serve(t)
  server.faults.watchListUnknown = true
  server.put(service('a'))
  const { mirror } = follow(t, server, { tuning: { initialSilenceMs: 50 } })
  await mirror.untilSynced()
  assert.deepEqual(mirror.names(), ['default/a'])
})

test('reflect sends the selectors of its resource with lists and watches', async (t) => {
  const server = await serve(t)
  server.faults.watchListDisabled = true
  server.put(service('seen'))
  server.put(service('other', { labels: { 'service.kubernetes.io/service-proxy-name': 'x' } }))
  server.put({ ...service('headless'), spec: { clusterIP: 'None', ports: [{ port: 80 }] } })
  const { mirror } = follow(t, server)
  await mirror.untilSynced()
  assert.deepEqual(mirror.names(), ['default/seen'])
  await eventually(() => server.faults.watches.size === 1)
  for (const { query } of server.requests) {
    assert.equal(query.get('labelSelector'), '!service.kubernetes.io/service-proxy-name')
    assert.equal(query.get('fieldSelector'), 'spec.clusterIP!=None')
  }
  server.put(service('seen', { labels: { 'service.kubernetes.io/service-proxy-name': 'x' } }))
  await mirror.until(() => mirror.objects.size === 0)
  server.put(service('other'))
  await mirror.until(() => mirror.objects.has('default/other'))
})

test('reflect of a node sees that node only, with an empty namespace', async (t) => {
  const server = await serve(t)
  for (const name of ['n1', 'n2'])
    server.put({ apiVersion: 'v1', kind: 'Node', metadata: { name } })
  const { mirror } = follow(t, server, { resource: nodeResource('n2') })
  await mirror.untilSynced()
  assert.deepEqual(mirror.calls, ['+/n2', 'synced'])
})

test('reflect tells of an object recreated under another uid as remove and upsert', async (t) => {
  const server = await serve(t)
  server.put(service('a', { uid: 'one' }))
  const { mirror } = follow(t, server)
  await mirror.untilSynced()
  await server.down()
  server.delete({ kind: 'Service', name: 'a' })
  server.put(service('a', { uid: 'two' }))
  server.compact()
  await server.up()
  await mirror.untilSynced(2)
  assert.deepEqual(mirror.calls.slice(2), ['-default/a', '+default/a', 'synced'])
})

test('reflect skips unchanged objects when it lists again', async (t) => {
  const server = await serve(t)
  for (const name of ['a', 'b', 'gone']) server.put(service(name))
  const { mirror } = follow(t, server)
  await mirror.untilSynced()
  await server.down()
  server.put(service('b', { labels: { x: 'y' } }))
  server.delete({ kind: 'Service', name: 'gone' })
  server.compact()
  await server.up()
  await mirror.untilSynced(2)
  assert.deepEqual(mirror.calls.slice(4), ['+default/b', '-default/gone', 'synced'])
})

test('reflect survives a sink that throws and tries the object again at the next list', async (t) => {
  const server = await serve(t)
  for (const name of ['bad', 'good']) server.put(service(name))
  const mirror = new Mirror()
  const upsert = mirror.upsert.bind(mirror)
  let broken = true
  mirror.upsert = (raw) => {
    const { metadata } = raw as { metadata: { name: string } }
    if (broken && metadata.name === 'bad') throw new Error('cannot take it')
    upsert(raw)
  }
  follow(t, server, { mirror })
  await mirror.until(() => mirror.health?.synced === true)
  assert.equal(mirror.health?.sinkErrors, 1)
  assert.match(JSON.stringify(mirror.warnings), /default\/bad.*cannot take it/)
  broken = false
  server.compact()
  await mirror.untilSynced(2)
  assert.deepEqual(mirror.names(), ['default/bad', 'default/good'])
})

test('reflect reports health: objects, last event, last error and restarts', async (t) => {
  const server = await serve(t)
  server.put(slice('a'))
  const before = Date.now()
  const { mirror } = follow(t, server, { resource: endpointSlices })
  await mirror.until(() => mirror.health?.synced === true)
  assert.equal(mirror.health?.resource, 'EndpointSlice')
  assert.equal(mirror.health.objects, 1)
  assert.ok(mirror.health.lastEvent >= before)
  assert.equal(mirror.health.lastError, undefined)
  await server.down()
  await mirror.until(() => (mirror.health?.lastError ?? '').includes('ECONNREFUSED'))
  assert.ok(mirror.health.restarts > 0)
  assert.equal(mirror.health.synced, true, 'what is known stays known')
  await server.up()
  server.put(slice('b'))
  await mirror.until(() => mirror.objects.size === 2)
  await mirror.until(() => mirror.health?.lastError === undefined)
})

test('reflect ends a burst of 20 000 changes in the last state', async (t) => {
  const server = await serve(t)
  const { mirror } = follow(t, server)
  await mirror.untilSynced()
  for (let count = 0; count < 20_000; count++)
    server.put(service(`s${count % 50}`, { labels: { count: String(count) } }))
  const last = () => mirror.objects.get('default/s49')?.metadata.labels?.['count'] === '19999'
  await mirror.until(last, 20_000)
  assert.equal(mirror.objects.size, 50)
})

test('reflect does not hurry when the server ends every watch at once', async (t) => {
  const server = await serve(t)
  server.faults.closingWatches = true
  const clock = recordingClock()
  const { mirror } = follow(t, server, {
    clock,
    tuning: { backoffBaseMs: 800, backoffMaxMs: 30_000 },
  })
  await mirror.untilSynced()
  await eventually(() => clock.sleeps.length >= 8)
  assert.deepEqual(clock.sleeps.slice(0, 7), [400, 800, 1600, 3200, 6400, 12_800, 15_000])
})
