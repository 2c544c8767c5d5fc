import assert from 'node:assert/strict'
import { request } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { afterEach, describe, test } from 'node:test'
import { listen, text, type Listener } from '../../src/health/listen.ts'
import { ProxyHealth } from '../../src/health/proxy-health.ts'
import { serveHealth } from '../../src/health/server.ts'
import type { Log } from '../../src/log.ts'

const minute = 60_000
const start = Date.UTC(2026, 10, 21, 3, 0, 0)

describe('ProxyHealth', () => {
  test('is healthy while starting, with no family to tell of', () => {
    const report = new ProxyHealth().report(start)
    assert.equal(report.isHealthy, true)
    assert.deepEqual([report.lastUpdated, report.families.size], [0, 0])
  })

  test('is unhealthy once a change of either family has waited a minute', () => {
    const health = new ProxyHealth()
    health.updated(4, start + 1)
    health.updated(6, start)
    health.queued(6, start + 5)
    assert.equal(health.report(start + 5 + minute - 1).isHealthy, true)
    const late = health.report(start + 5 + minute)
    assert.equal(late.isHealthy, false)
    assert.equal(late.families.get(4)?.isHealthy, true)
    assert.equal(late.families.get(6)?.isHealthy, false)
    assert.equal(late.lastUpdated, start + 1, 'of the family that was updated last')
  })

  test('counts from the oldest change that waits', () => {
    const health = new ProxyHealth()
    health.queued(4, start)
    health.queued(4, start + minute - 1)
    assert.equal(health.report(start + minute).isHealthy, false)
  })

  test('a pass takes everything that waits', () => {
    const health = new ProxyHealth()
    health.queued(4, start)
    health.updated(4, start)
    assert.equal(health.report(start + 2 * minute).isHealthy, true)
    health.queued(4, start + 3 * minute)
    assert.equal(health.report(start + 4 * minute - 1).isHealthy, true)
    assert.equal(health.report(start + 4 * minute).isHealthy, false)
    health.updated(4, start + 5 * minute)
    assert.equal(health.report(start + 9 * minute).isHealthy, true)
  })

  test('a family that no pass ever reached is unhealthy once its first change is late', () => {
    const health = new ProxyHealth()
    health.queued(4, start)
    assert.equal(health.report(start + minute - 1).families.size, 0)
    const late = health.report(start + minute)
    assert.equal(late.isHealthy, false)
    assert.deepEqual([...late.families], [[4, { lastUpdated: 0, isHealthy: false }]])
  })

  test('a family that is not served never makes it unhealthy', () => {
    const health = new ProxyHealth([4])
    health.queued(6, start)
    assert.equal(health.report(start + 9 * minute).isHealthy, true)
  })
})

interface Said {
  readonly level: string
  readonly fields: object
  readonly message: string
}

function recorder(): { readonly log: Log; readonly said: Said[]; next: () => Promise<Said> } {
  const said: Said[] = []
  let waiting: ((said: Said) => void) | undefined
  const say = (level: string) => (fields: object, message: string) => {
    said.push({ level, fields, message })
    waiting?.(said.at(-1)!)
  }
  const log = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }
  return { log, said, next: () => new Promise((resolve) => (waiting = resolve)) }
}

const open: Listener[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((listener) => listener.close()))
})

async function serve(
  health: ProxyHealth,
  now: () => number,
  answers: string[] = [],
): Promise<string> {
  const listener = serveHealth({
    address: { host: '127.0.0.1', port: 0 },
    health,
    log: recorder().log,
    now,
    answered: (path, status) => answers.push(`${path} ${status}`),
  })
  open.push(listener)
  return `http://127.0.0.1:${(await listener.bound).port}`
}

const now = '2026-11-21T03:01:00.000Z'

describe('the health server', () => {
  test('answers /healthz and /livez as kube-proxy 1.36 does', async () => {
    const health = new ProxyHealth()
    health.updated(4, start)
    const answers: string[] = []
    const url = await serve(health, () => start + minute, answers)
    const healthz = await fetch(`${url}/healthz`)
    const status = '"status":{"IPv4":{"lastUpdated":"2026-11-21T03:00:00.000Z","healthy":true}}'
    const times = `"lastUpdated":"${now}","currentTime":"${now}"`
    assert.equal(await healthz.text(), `{${times},"nodeEligible":true,"healthy":true,${status}}`)
    assert.equal(healthz.status, 200)
    assert.equal(healthz.headers.get('content-type'), 'application/json')
    assert.equal(healthz.headers.get('x-content-type-options'), 'nosniff')
    const livez = await fetch(`${url}/livez?verbose`)
    assert.equal(await livez.text(), `{${times},"healthy":true,${status}}`)
    assert.deepEqual(answers, ['healthz 200', 'livez 200'])
  })

  test('before the first pass there is no status of families', async () => {
    const url = await serve(new ProxyHealth(), () => start + minute)
    const times = `"lastUpdated":"${now}","currentTime":"${now}"`
    const healthz = await fetch(`${url}/healthz`)
    assert.equal(await healthz.text(), `{${times},"nodeEligible":true,"healthy":true}`)
    assert.equal(healthz.status, 200)
  })

  test('a node about to go is 503 on /healthz, with the time of its last update, and 200 on /livez', async () => {
    const health = new ProxyHealth()
    health.updated(4, start)
    health.setNodeEligible(false)
    const url = await serve(health, () => start + minute)
    const healthz = await fetch(`${url}/healthz`)
    const body = (await healthz.json()) as Record<string, unknown>
    assert.equal(healthz.status, 503)
    assert.deepEqual([body['nodeEligible'], body['healthy']], [false, true])
    assert.equal(body['lastUpdated'], '2026-11-21T03:00:00.000Z')
    const livez = await fetch(`${url}/livez`)
    assert.equal(livez.status, 200)
    assert.equal(((await livez.json()) as Record<string, unknown>)['lastUpdated'], now)
  })

  test('a change that waits too long is 503 on both, with the body of kube-proxy 1.36', async () => {
    const health = new ProxyHealth()
    health.updated(4, start)
    health.updated(6, start)
    health.queued(4, start)
    const url = await serve(health, () => start + minute)
    const before = '"2026-11-21T03:00:00.000Z"'
    const times = `"lastUpdated":${before},"currentTime":"${now}"`
    const status = [4, 6].map(
      (family) => `"IPv${family}":{"lastUpdated":${before},"healthy":${family === 6}}`,
    )
    const verdict = `"healthy":false,"status":{${status.join(',')}}`
    const healthz = await fetch(`${url}/healthz`)
    const livez = await fetch(`${url}/livez`)
    assert.deepEqual([healthz.status, livez.status], [503, 503])
    assert.equal(await healthz.text(), `{${times},"nodeEligible":true,${verdict}}`)
    assert.equal(await livez.text(), `{${times},${verdict}}`)
  })

  test('other paths are 404, other methods 405, and HEAD has no body', async () => {
    const url = await serve(new ProxyHealth(), () => start)
    assert.equal((await fetch(`${url}/`)).status, 404)
    const post = await fetch(`${url}/healthz`, { method: 'POST' })
    assert.equal(post.status, 405)
    assert.equal(post.headers.get('allow'), 'GET, HEAD')
    const head = await fetch(`${url}/healthz`, { method: 'HEAD' })
    assert.equal(head.status, 200)
    assert.equal(await head.text(), '')
    assert.ok(Number(head.headers.get('content-length')) > 0)
  })
})

describe('listen', () => {
  test('an address that is taken is named in the log and tried again until it is free', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as AddressInfo
    const { log, next } = recorder()
    const failed = next()
    const routes = new Map([['/', () => text(200, 'here')]])
    const address = { host: '127.0.0.1', port }
    const listener = listen({ name: 'x', address, routes, log, retryMilliseconds: 5 })
    open.push(listener)
    const { level, fields, message } = await failed
    assert.deepEqual([level, message], ['error', 'server failed'])
    const { err } = fields as { err: Error }
    assert.match(err.message, new RegExp(`serve x on 127\\.0\\.0\\.1:${port}: .*EADDRINUSE`))
    await new Promise((resolve) => other.close(resolve))
    await listener.bound
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'here')
  })

  test('any address of one family means both families', async () => {
    const routes = new Map([['/', () => text(200, 'here')]])
    const address = { host: '0.0.0.0', port: 0 }
    const listener = listen({ name: 'x', address, routes, log: recorder().log })
    open.push(listener)
    const { port } = await listener.bound
    for (const host of ['127.0.0.1', '[::1]']) {
      assert.equal((await fetch(`http://${host}:${port}/`)).status, 200)
    }
  })

  test('an answer that fails is a 500 and a log line, not the end', async () => {
    const { log, said } = recorder()
    const routes = new Map([['/', () => Promise.reject(new Error('broken'))]])
    const listener = listen({ name: 'x', address: { host: '127.0.0.1', port: 0 }, routes, log })
    open.push(listener)
    const { port } = await listener.bound
    assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 500)
    assert.equal(said.at(-1)?.message, 'request failed')
  })

  test('close does not wait for a client that keeps its connection', async () => {
    const routes = new Map([['/', () => text(200, 'here')]])
    const address = { host: '127.0.0.1', port: 0 }
    const listener = listen({ name: 'x', address, routes, log: recorder().log })
    const { port } = await listener.bound
    const ended = new Promise((resolve) => {
      const sent = request({ port, host: '127.0.0.1', headers: { Connection: 'keep-alive' } })
      sent.on('response', (answer) => answer.socket.on('close', resolve)).end()
      sent.on('response', (answer) => answer.resume())
      sent.on('response', () => void listener.close())
    })
    await ended
  })
})

test('listen: a server that is told to end after a failure does not try again', async () => {
  const holder = createServer()
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve))
  const { port } = holder.address() as AddressInfo
  const messages: string[] = []
  const told = Promise.withResolvers<undefined>()
  const listener = listen({
    ...{ name: 'healthz', address: { host: '127.0.0.1', port }, routes: new Map() },
    log: { debug: () => 0, info: () => 0, warn: () => 0, error: () => 0 },
    retryMilliseconds: 1,
    bindFailed(error) {
      messages.push(error.message)
      told.resolve(undefined)
      return 'end'
    },
  })
  await told.promise
  await new Promise((resolve) => holder.close(resolve))
  await new Promise((resolve) => setTimeout(resolve, 30))
  await assert.rejects(fetch(`http://127.0.0.1:${port}/`))
  assert.equal(messages.length, 1)
  assert.match(messages[0]!, /^serve healthz on 127\.0\.0\.1:\d+: .*EADDRINUSE/)
  await listener.close()
})
