import './own-namespace.ts'
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { binding } from '../../src/datapath/native-binding.ts'
import { mapMemory } from '../../src/datapath/native-memory.ts'
import { markOf, skbContext, testRun, testRunAsync } from '../../src/datapath/native-run.ts'
import { closeFd, openObject } from '../../src/datapath/native.ts'
import type { BpfObject } from '../../src/datapath/native.ts'
import { compile } from './compile.ts'
import { indexKey, perCpuOf, possibleCpus } from '../../src/datapath/percpu.ts'

const tiny = compile('tiny.bpf.c')
const frame = Buffer.alloc(64)

function loadTiny(t: TestContext): BpfObject {
  const object = openObject(tiny, 'tiny')
  t.after(() => object.close())
  object.setAutoload('unnamed', false)
  object.load()
  return object
}

function programOf(t: TestContext, object: BpfObject, name: string): number {
  const fd = object.programFd(name)
  t.after(() => closeFd(fd))
  return fd
}

test('testRun gives return code, packet and context', (t) => {
  const object = loadTiny(t)
  const programFd = programOf(t, object, 'answering')
  const data = Buffer.from(frame).fill(0xab, 14)
  const ctx = skbContext({ mark: 7 })
  const result = testRun({ programFd, data, ctx, repeat: 100 })
  assert.equal(result.retval, 1)
  assert.deepEqual(result.data, data)
  assert.equal(markOf(result.ctx), 0, 'the program wrote the first word over the mark')
  assert.equal(result.ctx.length, ctx.length)
})

test('testRun says when there is no room for the packet', (t) => {
  const programFd = programOf(t, loadTiny(t), 'answering')
  assert.throws(() => testRun({ programFd, data: frame, dataOutSize: 10 }), /ENOSPC/)
})

test('testRun names what it was asked to run', () => {
  assert.throws(() => testRun({ programFd: 9999, data: frame }), /fd 9999 on 64 bytes: EBADF/)
})

test('testRunAsync does not hold up the event loop, and many may run at once', async (t) => {
  const programFd = programOf(t, loadTiny(t), 'answering')
  let turns = 0
  let done = false
  const spin = () => {
    turns++
    if (!done) setImmediate(spin)
  }
  spin()
  const runs = Array.from({ length: 8 }, () =>
    testRunAsync({ programFd, data: frame, repeat: 200_000 }),
  )
  const results = await Promise.all(runs)
  done = true
  assert.ok(results.every(({ retval }) => retval === 1))
  assert.ok(turns > 3, `${turns} turns`)
})

test('testRunAsync survives the closing of its program and reports refusals', async (t) => {
  const object = loadTiny(t)
  const programFd = object.programFd('answering')
  const running = testRunAsync({ programFd, data: frame, repeat: 100_000 })
  closeFd(programFd)
  assert.equal((await running).retval, 1)
  const fd = programOf(t, object, 'refusing')
  await assert.rejects(testRunAsync({ programFd: fd, data: frame }), /test-run program/)
})

test('a store to mapped memory is seen by the program and by lookups', (t) => {
  const object = loadTiny(t)
  const programFd = programOf(t, object, 'answering')
  const fd = object.mapFd('words')
  const mapped = mapMemory(fd)
  assert.equal(mapped.words.length, 4)
  assert.equal(mapped.wordsPerValue, 1)
  Atomics.store(mapped.words, 0, 0x1234n)
  Atomics.store(mapped.words, 3, 0xffff_ffff_ffff_fff0n)
  const { ctx } = testRun({ programFd, data: frame, ctx: skbContext({}) })
  assert.equal(markOf(ctx), 0x1234)
  const looked = binding().mapLookup(fd, indexKey(3)) as Buffer
  assert.equal(looked.readBigUInt64LE(), 0xffff_ffff_ffff_fff0n)
  closeFd(fd)
  Atomics.store(mapped.words, 0, 0x4321n)
  assert.equal(markOf(testRun({ programFd, data: frame, ctx: skbContext({}) }).ctx), 0x4321)
  mapped.close()
  mapped.close()
  assert.throws(() => Atomics.store(mapped.words, 0, 1n), TypeError)
})

test('mapMemory refuses a map that cannot be mapped', (t) => {
  const object = loadTiny(t)
  const fd = object.mapFd('table')
  t.after(() => closeFd(fd))
  assert.throws(() => mapMemory(fd), /map memory of table: EINVAL/)
})

test('PerCpuMap sums over all CPUs, by range and by key', (t) => {
  const object = loadTiny(t)
  const programFd = programOf(t, object, 'counting')
  const counts = perCpuOf(object.mapFd('counts'))
  const keyed = perCpuOf(object.mapFd('keyed_counts'))
  t.after(() => [counts, keyed].map((map) => map.close()))
  testRun({ programFd, data: frame, repeat: 10 })

  assert.equal(counts.fields, 2)
  assert.deepEqual([...counts.sumRange(3, 1)], [10, 640])
  assert.deepEqual([...counts.sumRange(2, 3)], [0, 0, 10, 640, 0, 0])
  assert.equal(counts.sumRange(0, 8).length, 16)
  assert.throws(() => counts.sumRange(4, 5), /ERANGE/)

  assert.deepEqual([...keyed.sum(indexKey(7))!], [10])
  assert.equal(keyed.sum(indexKey(8)), undefined)
  assert.deepEqual(keyed.keys(), [indexKey(7)])
})

test('PerCpuMap adds what different CPUs counted, past 32 bits', (t) => {
  const object = loadTiny(t)
  const fd = object.mapFd('counts')
  const counts = perCpuOf(fd)
  t.after(() => counts.close())
  const cpus = possibleCpus()
  const values = new BigUint64Array(2 * cpus)
  for (let cpu = 0; cpu < cpus; cpu++) values[2 * cpu] = 2n ** 33n + BigInt(cpu)
  assert.equal(binding().mapUpdate(fd, indexKey(1), Buffer.from(values.buffer), 0), 0)
  const cpuNumbers = (cpus * (cpus - 1)) / 2
  assert.deepEqual([...counts.sumRange(1, 1)], [cpus * 2 ** 33 + cpuNumbers, 0])
  counts.clearIndex(1)
  assert.deepEqual([...counts.sumRange(1, 1)], [0, 0])
})

test('the addon refuses buffers of the wrong length instead of reading past them', (t) => {
  const object = loadTiny(t)
  const fd = object.mapFd('counts')
  t.after(() => closeFd(fd))
  const errnoSize = -90
  assert.equal(binding().mapLookup(fd, Buffer.alloc(3)), errnoSize)
  assert.equal(binding().mapUpdate(fd, indexKey(0), Buffer.alloc(16), 0), errnoSize)
  assert.throws(() => binding().mapLookup(fd, 'key' as unknown as Buffer), TypeError)
  assert.throws(() => perCpuOf(object.mapFd('table')), /per-CPU/)
})
