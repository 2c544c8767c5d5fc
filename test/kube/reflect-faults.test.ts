import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from './support/mirror.ts'
import { follow, recordingClock, serve, serverNames, service } from './support/reflecting.ts'

test('410 on a restarted watch leads to a new list that removes what vanished', async (t) => {
  const server = await serve(t)
  for (const name of ['a', 'b', 'c']) server.put(service(name))
  const { mirror } = follow(t, server)
  await mirror.untilSynced()
  await server.down()
  server.delete({ kind: 'Service', name: 'b' })
  server.compact()
  const back = Date.now()
  await server.up()
  await mirror.until(() => !mirror.objects.has('default/b'))
  assert.ok(Date.now() - back < 2000)
  assert.deepEqual(mirror.calls.slice(4), ['-default/b', 'synced'], 'no blip for the others')
})

test('410 inside a stream leads to a new list', async (t) => {
  const server = await serve(t)
  server.put(service('a'))
  const { mirror } = follow(t, server)
  await mirror.untilSynced()
  server.compact()
  await mirror.untilSynced(2)
  assert.match(JSON.stringify(mirror.warnings), /410/)
})

test('a list whose second page has expired starts again without a limit and removes nothing', async (t) => {
  const server = await serve(t)
  server.faults.watchListDisabled = true
  for (let index = 0; index < 7; index++) server.put(service(`s${index}`))
  const { mirror } = follow(t, server)
  await mirror.untilSynced()
  server.faults.expiredPages = true
  server.compact()
  await mirror.untilSynced(2)
  assert.deepEqual(mirror.names(), serverNames(server))
  assert.equal(mirror.calls.filter((call) => call.startsWith('-')).length, 0)
  const lists = server.requests.filter(({ query }) => !query.has('watch')).slice(3)
  assert.deepEqual(
    lists.map(({ query }) => query.get('limit')),
    ['3', '3', null],
  )
})

test('an object deleted while the pages are given up is not kept', async (t) => {
  const server = await serve(t)
  server.faults.watchListDisabled = true
  server.faults.expiredPages = true
  server.faults.listDelayMs = 50
  for (let index = 0; index < 5; index++) server.put(service(`s${index}`))
  const { mirror } = follow(t, server)
  await eventually(() => server.requests.some(({ query }) => query.has('continue')))
  server.delete({ kind: 'Service', name: 's0' })
  await mirror.untilSynced()
  assert.deepEqual(mirror.names(), serverNames(server))
})

test('a stalled second page never counts as a complete list', async (t) => {
  const server = await serve(t)
  server.faults.watchListDisabled = true
  server.faults.stalledPages = true
  for (let index = 0; index < 5; index++) server.put(service(`s${index}`))
  const { mirror } = follow(t, server, { tuning: { inactivityMs: 100 } })
  await mirror.until(() => (mirror.health?.lastError ?? '').includes('nothing arrived'))
  assert.equal(mirror.syncs, 0)
  assert.equal(mirror.objects.size, 3)
  server.faults.stalledPages = false
  await mirror.untilSynced()
  assert.equal(mirror.objects.size, 5)
})

test('an object seen in a look that broke off and deleted since is removed by the next', async (t) => {
  const server = await serve(t)
  server.faults.watchListDisabled = true
  server.faults.stalledPages = true
  for (let index = 0; index < 5; index++) server.put(service(`s${index}`))
  const { mirror } = follow(t, server, { tuning: { inactivityMs: 100 } })
  await eventually(() => server.requests.some(({ query }) => query.has('continue')))
  assert.equal(mirror.objects.size, 3)
  server.delete({ kind: 'Service', name: 's0' })
  server.faults.stalledPages = false
  await mirror.untilSynced()
  assert.deepEqual(mirror.names(), serverNames(server))
})

test('any other ERROR event leads to a new list instead of the same watch again', async (t) => {
  const server = await serve(t)
  server.put(service('a'))
  const { mirror } = follow(t, server)
  await mirror.untilSynced()
  const seen = server.requests.length
  server.faults.failWatches(500)
  await mirror.untilSynced(2)
  const [next] = server.requests.slice(seen)
  assert.equal(next?.query.get('resourceVersion'), null)
})

test('a watch that the server ends goes on from the last version without a list', async (t) => {
  const server = await serve(t)
  const { mirror } = follow(t, server)
  await mirror.untilSynced()
  server.put(service('a'))
  await mirror.until(() => mirror.objects.size === 1)
  const version = server.get({ kind: 'Service', name: 'a' })?.metadata.resourceVersion
  server.faults.closeWatches()
  await eventually(() => server.requests.length === 2)
  assert.equal(server.requests[1]?.query.get('resourceVersion'), version)
  server.put(service('b'))
  await mirror.until(() => mirror.objects.size === 2)
  assert.equal(mirror.syncs, 1)
})

test('bookmarks move the version from which a watch goes on', async (t) => {
  const server = await serve(t, { bookmarkMs: 10 })
  server.put(service('a'))
  const { mirror } = follow(t, server)
  await mirror.untilSynced()
  server.put({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'other' } })
  const before = mirror.health?.lastEvent ?? 0
  await mirror.until(() => (mirror.health?.lastEvent ?? 0) > before)
  await mirror.until(() => (mirror.health?.lastEvent ?? 0) > before + 15)
  server.faults.closeWatches()
  await eventually(() => server.requests.length >= 2)
  assert.equal(server.requests[1]?.query.get('resourceVersion'), String(server.store.revision))
})

test('a cut event loses nothing', async (t) => {
  const server = await serve(t)
  server.put(service('a'))
  const { mirror } = follow(t, server)
  await mirror.untilSynced()
  server.faults.truncateWatches()
  server.put(service('b'))
  await mirror.until(() => mirror.objects.has('default/b'))
  assert.deepEqual(mirror.names(), ['default/a', 'default/b'])
  assert.equal(mirror.syncs, 1)
  assert.match(JSON.stringify(mirror.warnings), /cut inside an event/)
})

test('a silent watch is opened again, and a second silence leads to a new list', async (t) => {
  const server = await serve(t)
  server.put(service('a'))
  const { mirror } = follow(t, server, { tuning: { inactivityMs: 100, initialSilenceMs: 100 } })
  await mirror.untilSynced()
  const seen = server.requests.length
  server.faults.blackHoleOpenWatches()
  server.faults.silentWatches = true
  server.put(service('b'))
  await eventually(() => server.requests.length >= seen + 2)
  server.faults.silentWatches = false
  await mirror.until(() => mirror.objects.has('default/b'))
  const after = server.requests.slice(seen)
  assert.notEqual(after[0]?.query.get('resourceVersion'), null, 'first the same watch')
  assert.equal(after[1]?.query.get('resourceVersion'), null, 'then everything')
})

test('a server restored from a backup is believed after it has said so several times', async (t) => {
  const server = await serve(t)
  for (const name of ['a', 'b']) server.put(service(name))
  const { mirror } = follow(t, server)
  await mirror.untilSynced()
  server.delete({ kind: 'Service', name: 'b' })
  server.put(service('a', { labels: { x: 'y' } }))
  await mirror.until(() => mirror.objects.get('default/a')?.metadata.labels?.['x'] === 'y')
  server.store.rewind(500)
  server.put(service('a', { labels: { x: 'old' } }))
  server.faults.failWatches(500)
  await mirror.until(() => mirror.objects.get('default/a')?.metadata.labels?.['x'] === 'old')
  assert.equal(mirror.syncs, 2)
  const stale = mirror.warnings.filter((one) => JSON.stringify(one).includes('older state'))
  assert.ok(stale.length > 0)
})

test('a silent watch at a version of the future ends in a new list', async (t) => {
  const server = await serve(t)
  server.put(service('a'))
  const { mirror } = follow(t, server, { tuning: { inactivityMs: 60 } })
  await mirror.untilSynced()
  server.store.rewind(500)
  server.delete({ kind: 'Service', name: 'a' })
  server.faults.closeWatches()
  await mirror.until(() => mirror.objects.size === 0)
})

for (const status of [429, 503, 504])
  test(`${status} with Retry-After is waited for as long as it says`, async (t) => {
    const server = await serve(t)
    server.faults.respond({ status, retryAfter: 7, times: 1 })
    const clock = recordingClock(0)
    const { mirror } = follow(t, server, { clock })
    await mirror.untilSynced()
    assert.deepEqual(clock.sleeps, [7000])
  })

test('an absurd Retry-After is not obeyed to the letter', async (t) => {
  const server = await serve(t)
  server.faults.respond({ status: 503, retryAfter: 86_400, times: 1 })
  const clock = recordingClock(0)
  const { mirror } = follow(t, server, { clock })
  await mirror.untilSynced()
  assert.deepEqual(clock.sleeps, [120_000])
})

test('errors without Retry-After are retried with a growing, jittered pause up to the limit', async (t) => {
  const server = await serve(t)
  server.faults.respond({ status: 500, times: 8 })
  const clock = recordingClock(0.5)
  const tuning = { backoffBaseMs: 800, backoffMaxMs: 30_000 }
  const { mirror } = follow(t, server, { clock, tuning })
  await mirror.untilSynced()
  assert.deepEqual(clock.sleeps, [400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000])
})

test('a server that does not answer at all is asked again within 1.5 s, however long it is away', async (t) => {
  const server = await serve(t)
  await server.down()
  const clock = recordingClock(0.5)
  const tuning = { backoffBaseMs: 800, backoffMaxMs: 30_000, unreachableMaxMs: 1_500 }
  const { mirror } = follow(t, server, { clock, tuning })
  await eventually(() => clock.sleeps.length >= 30)
  assert.deepEqual(clock.sleeps.slice(0, 5), [400, 800, 1125, 1125, 1125])
  assert.ok(clock.sleeps.every((sleep) => sleep <= 1_500))
  await server.up()
  await mirror.untilSynced()
})

test('the pause starts small again after a good event', async (t) => {
  const server = await serve(t)
  server.faults.respond({ status: 500, times: 5 })
  const clock = recordingClock(0.5)
  const tuning = { backoffBaseMs: 800, backoffMaxMs: 30_000 }
  const { mirror } = follow(t, server, { clock, tuning })
  await mirror.untilSynced()
  server.put(service('a'))
  await mirror.until(() => mirror.objects.size === 1)
  clock.sleeps.length = 0
  server.faults.respond({ status: 502, times: 1, on: 'watch' })
  server.resetConnections()
  await eventually(() => clock.sleeps.length >= 2)
  assert.deepEqual(clock.sleeps.slice(0, 2), [400, 800])
})

test('resets, refusals and every 5xx are survived without a removal', async (t) => {
  const server = await serve(t)
  for (const name of ['a', 'b', 'c']) server.put(service(name))
  const { mirror } = follow(t, server)
  await mirror.untilSynced()
  for (const status of [500, 502, 503, 403, 401, 404, 429]) {
    server.faults.respond({ status, times: 2 })
    server.resetConnections()
    const name = `after-${status}`
    server.put(service(name))
    await mirror.until(() => mirror.objects.has(`default/${name}`))
  }
  await server.down()
  await mirror.until(() => (mirror.health?.lastError ?? '').includes('ECONNREFUSED'))
  await server.up()
  server.put(service('after-down'))
  await mirror.until(() => mirror.objects.has('default/after-down'))
  assert.deepEqual(mirror.names(), serverNames(server))
  assert.ok(mirror.calls.every((call) => !call.startsWith('-')))
})

test('410 to everything is not a busy loop', async (t) => {
  const server = await serve(t)
  server.put(service('a'))
  server.faults.respond({ status: 410, times: 6 })
  const clock = recordingClock(0.5)
  const tuning = { backoffBaseMs: 800, backoffMaxMs: 30_000 }
  const { mirror } = follow(t, server, { clock, tuning })
  await mirror.untilSynced()
  assert.deepEqual(clock.sleeps, [500, 800, 1600, 3200, 6400, 12_800])
})

test('slow lists are waited for', async (t) => {
  const server = await serve(t)
  server.faults.watchListDisabled = true
  server.faults.listDelayMs = 60
  for (let index = 0; index < 5; index++) server.put(service(`s${index}`))
  const { mirror } = follow(t, server)
  await mirror.untilSynced()
  assert.equal(mirror.objects.size, 5)
  assert.equal(mirror.health?.restarts, 1, 'only the refused streaming list')
})
