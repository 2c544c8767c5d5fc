import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { endpointSlices } from '../../src/kube/resources.ts'
import { reflect } from '../../src/kube/reflect.ts'
import type { ReflectTuning } from '../../src/kube/reflect.ts'
import { createTransport } from '../../src/kube/transport.ts'
import type { KubeObject } from '../cluster/api-server/server.ts'
import { scratch } from './support/certificates.ts'
import { eventually } from './support/mirror.ts'
import { follow, serve, service, slice } from './support/reflecting.ts'

const program = fileURLToPath(new URL('support/reflect-then-abort.ts', import.meta.url))

for (const moment of ['synced', 'listing', 'silent', 'down'])
  test(`a process that aborts its reflector while ${moment} has nothing left to wait for`, async (t) => {
    const server = await serve(t)
    server.put(service('a'))
    if (moment === 'listing') {
      server.faults.watchListDisabled = true
      server.faults.listDelayMs = 20_000
    }
    if (moment === 'silent') server.faults.silentWatches = true
    if (moment === 'down') await server.down()
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [program, server.url, moment],
      // Killed, and so rejected, when something keeps it alive.
      { timeout: 10_000 },
    )
    assert.match(stdout, /^aborted\n$/)
    await eventually(() => server.connections === 0)
  })

test('after abort the sink hears nothing more', async (t) => {
  const server = await serve(t)
  const reflecting = follow(t, server)
  const { mirror } = reflecting
  await mirror.untilSynced()
  server.put(service('a'))
  await reflecting.stop()
  const { length } = mirror.calls
  server.put(service('b'))
  await eventually(() => server.connections === 0)
  assert.equal(mirror.calls.length, length)
})

for (const way of ['streamed', 'in pages', 'in one piece'])
  test(`20 000 slices that arrive ${way} do not hold up the event loop`, async (t) => {
    const server = await spawnServer(
      t,
      Array.from({ length: 20_000 }, (_, index) => slice(`s${index}`, 10)),
    )
    if (way !== 'streamed') await fetch(`${server}/faults/watch-list-disabled`, { method: 'POST' })
    const { longestTurn, objects, milliseconds } = await countSlices(t, server, {
      pageSize: way === 'in pages' ? 500 : 100_000,
    })
    t.diagnostic(`${milliseconds.toFixed(0)} ms, longest turn ${longestTurn.toFixed(1)} ms`)
    assert.equal(objects, 20_000)
    assert.ok(longestTurn < 100, `the longest turn took ${longestTurn} ms`)
  })

/** Reflects all EndpointSlices of a server once and measures the event loop meanwhile. */
async function countSlices(t: TestContext, server: string, tuning: Partial<ReflectTuning>) {
  const transport = createTransport({ server, insecureSkipTlsVerify: false })
  const controller = new AbortController()
  t.after(async () => {
    controller.abort()
    await transport.close()
  })
  const turns = measureTurns()
  const start = performance.now()
  let objects = 0
  const upsert = () => objects++
  await new Promise<void>((resolve) => {
    const sink = { upsert, remove: () => undefined, synced: () => resolve() }
    const log = { debug: () => undefined, info: () => undefined, warn: () => undefined }
    const { signal } = controller
    void reflect({ resource: endpointSlices, transport, sink, log, signal, tuning })
  })
  const milliseconds = performance.now() - start
  return { objects, milliseconds, longestTurn: turns() }
}

/** The longest turn of the event loop until the call, in CPU time: others may be busy here. */
function measureTurns(): () => number {
  let last = process.threadCpuUsage()
  let longest = 0
  const timer = setInterval(() => {
    const now = process.threadCpuUsage()
    longest = Math.max(longest, now.user + now.system - last.user - last.system)
    last = now
  }, 1)
  return () => {
    clearInterval(timer)
    return longest / 1000
  }
}

/** An API server in a process of its own, so that only the reflector is measured here. */
async function spawnServer(t: TestContext, objects: readonly KubeObject[]): Promise<string> {
  const file = join(scratch(t), 'objects.json')
  writeFileSync(file, JSON.stringify({ kind: 'List', items: objects }))
  const main = fileURLToPath(new URL('../cluster/api-server/main.ts', import.meta.url))
  const child = spawn(process.execPath, [main, '--load', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  t.after(async () => {
    child.kill()
    await exited
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return (JSON.parse(line.toString()) as { url: string }).url
}
