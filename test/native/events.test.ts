import { makeVeth } from './own-namespace.ts'
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { join } from 'node:path'
import { before, test, type TestContext } from 'node:test'
import { attachTcx } from '../../src/datapath/native-attach.ts'
import { openRing } from '../../src/datapath/native-events.ts'
import { testRun } from '../../src/datapath/native-run.ts'
import { closeFd, openObject } from '../../src/datapath/native.ts'
import type { BpfObject } from '../../src/datapath/native.ts'
import { compile } from './compile.ts'

const tiny = compile('tiny.bpf.c')
let device: { near: number; far: number }
before(() => void (device = makeVeth('ksn-near', 'ksn-far')))

function loadTiny(t: TestContext): BpfObject {
  const object = openObject(tiny, 'tiny')
  t.after(() => object.close())
  object.setAutoload('unnamed', false)
  object.load()
  return object
}

/** Collects records, and resolves once there are enough that `wanted` accepts. */
function collect(t: TestContext, object: BpfObject, wanted: (record: Buffer) => boolean) {
  const batches: number[] = []
  const records: Buffer[] = []
  const waiters: { count: number; resolve: () => void }[] = []
  const fd = object.mapFd('events')
  const ring = openRing(fd, {
    onRecords: (batch) => {
      batches.push(batch.length)
      records.push(...batch.filter(wanted))
      for (const { count, resolve } of waiters) if (records.length >= count) resolve()
    },
    onError: (error) => {
      throw error
    },
  })
  closeFd(fd)
  t.after(() => ring.close())
  const until = (count: number) =>
    new Promise<void>((resolve) => {
      if (records.length >= count) resolve()
      else waiters.push({ count, resolve })
    })
  return { ring, records, batches, until }
}

test('records of real packets arrive without polling', { timeout: 20_000 }, async (t) => {
  const object = loadTiny(t)
  const length = 14 + 20 + 8 + 1000
  const events = collect(t, object, (record) => record.readUInt32LE(0) === length)
  const programFd = object.programFd('reporting')
  const link = attachTcx(programFd, device.far, 'ingress')
  t.after(() => [programFd, link].forEach(closeFd))
  const socket = createSocket('udp4')
  t.after(() => socket.close())
  for (let i = 0; i < 3; i++) socket.send(Buffer.alloc(1000), 9, '192.0.2.2')
  await events.until(3)
  assert.deepEqual(
    events.records.map((record) => record.length),
    [8, 8, 8],
  )
})

test('a burst comes complete, in order, in bounded batches', { timeout: 20_000 }, async (t) => {
  const object = loadTiny(t)
  const events = collect(t, object, () => true)
  const programFd = object.programFd('reporting')
  t.after(() => closeFd(programFd))
  // 16 bytes each with the kernel's header: all 12000 fit the ring
  testRun({ programFd, data: Buffer.alloc(64), repeat: 12_000 })
  await events.until(12_000)
  const order = events.records.map((record) => record.readUInt32LE(4))
  assert.deepEqual(
    order,
    Array.from({ length: 12_000 }, (_, i) => i),
  )
  assert.ok(Math.max(...events.batches) <= 4096, `batches of ${events.batches.join(', ')}`)
  assert.ok(events.batches.length >= 3)
})

test('a closed ring calls back no more, and closing twice is harmless', async (t) => {
  const object = loadTiny(t)
  const events = collect(t, object, () => true)
  const programFd = object.programFd('reporting')
  t.after(() => closeFd(programFd))
  testRun({ programFd, data: Buffer.alloc(64) })
  events.ring.close()
  events.ring.close()
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
  assert.deepEqual(events.batches, [])
})

test('openRing refuses a map that is no ring buffer', (t) => {
  const fd = loadTiny(t).mapFd('table')
  t.after(() => closeFd(fd))
  const reader = { onRecords: () => undefined, onError: () => undefined }
  assert.throws(() => openRing(fd, reader), /open ring buffer of fd \d+: EINVAL/)
})

/** Runs a script that uses the addon; its exit code and what it wrote. */
function runScript(body: string) {
  const src = join(import.meta.dirname, '../../src/datapath')
  const script = `
    import { openNetlink } from '${src}/native-events.ts'
    const reader = { groups: [1], onOverrun() {}, onError() {} }
    ${body}`
  const flags = ['--input-type=module', '-e', script]
  return spawnSync(process.execPath, flags, { encoding: 'utf8', timeout: 20_000 })
}

const linkDump = `Buffer.from('2000000012000103010000000000000000000000000000000000000000000000', 'hex')`

test('an exception in a callback ends the process as any uncaught one does', () => {
  const { status, stderr } = runScript(`
    const socket = openNetlink({ ...reader, onMessages() { throw new Error('from callback') } })
    socket.send(${linkDump})`)
  assert.equal(status, 1)
  assert.match(stderr, /from callback/)
})

test('an uncaughtException handler gets it and later events still arrive', () => {
  const { status, stdout } = runScript(`
    let calls = 0
    process.on('uncaughtException', (error) => { console.log(error.message); socket.send(${linkDump}) })
    const socket = openNetlink({ ...reader, onMessages() {
      if (calls++ === 0) throw new Error('first')
      console.log('second')
      socket.close()
    } })
    socket.send(${linkDump})`)
  assert.equal(status, 0)
  assert.equal(stdout, 'first\nsecond\n')
})

test('an open socket keeps the process running only when asked to', () => {
  const { status, signal } = runScript(
    'openNetlink({ ...reader, onMessages() {}, keepsRunning: false })',
  )
  assert.deepEqual({ status, signal }, { status: 0, signal: null })
})

test('a socket forgotten open does not crash a worker that ends', () => {
  const src = join(import.meta.dirname, '../../src/datapath')
  const body = `
    import { Worker } from 'node:worker_threads'
    const source = \`import('${src}/native-events.ts').then(({ openNetlink }) => {
      openNetlink({ groups: [1], onMessages() {}, onOverrun() {}, onError() {} })
      process.exit(0)
    })\`
    for (let i = 0; i < 3; i++) {
      const worker = new Worker(source, { eval: true })
      await new Promise((resolve) => worker.once('exit', resolve))
    }
    console.log('alive')`
  const flags = ['--input-type=module', '-e', body]
  const result = spawnSync(process.execPath, flags, { encoding: 'utf8', timeout: 20_000 })
  assert.equal(result.stdout, 'alive\n', result.stderr)
  assert.equal(result.status, 0)
})
