import { bpffs, run } from './own-namespace.ts'
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { createMapRef, RawMap } from 'bpf'
import { errnoOf } from '../../src/datapath/native-binding.ts'
import { mapInfo, objectInfo, programInfo } from '../../src/datapath/native-info.ts'
import { testRun } from '../../src/datapath/native-run.ts'
import { closeFd, getPinned, openObject, pin, unpin } from '../../src/datapath/native.ts'
import type { BpfObject } from '../../src/datapath/native.ts'
import { ShuntError } from '../../src/errors.ts'
import { compile } from './compile.ts'

const tiny = compile('tiny.bpf.c')
const frame = Buffer.alloc(64)
const tcType = 3

function openTiny(t: TestContext): BpfObject {
  const object = openObject(tiny, 'tiny')
  object.setProgramType('unnamed', tcType)
  t.after(() => object.close())
  return object
}

test('openObject refuses bytes that are no object, and says which', () => {
  assert.throws(() => openObject(Buffer.from('no ELF at all'), 'rubbish'), /open object rubbish/)
  assert.throws(() => openObject('/nonexistent/x.o'), /read BPF object \/nonexistent\/x\.o/)
})

test('BpfObject lists its maps and programs', (t) => {
  const object = openTiny(t)
  const maps = new Set(object.maps())
  for (const map of ['words', 'table', 'counts', 'events']) assert.ok(maps.has(map), map)
  assert.ok(object.programs().includes('answering'))
})

test('setGlobal reaches the program', (t) => {
  const object = openTiny(t)
  object.setGlobal('answer', 40)
  object.setGlobal('small', Buffer.from([2]))
  object.load()
  const programFd = object.programFd('answering')
  assert.equal(testRun({ programFd, data: frame }).retval, 42)
  closeFd(programFd)
})

test('setGlobal names a variable that is unknown, too large or too small', (t) => {
  const object = openTiny(t)
  assert.throws(() => object.setGlobal('answers', 1), /tiny: set variable answers: .* none/)
  assert.throws(() => object.setGlobal('small', 256), /variable small: 256 does not fit 1 bytes/)
  assert.throws(() => object.setGlobal('answer', -(2 ** 31) - 1), /does not fit 4 bytes/)
  const short = Buffer.alloc(3)
  assert.throws(() => object.setGlobal('answer', short), /it has 4 bytes, the value 3/)
})

test('a section name unknown to libbpf fails to load until the type is set', (t) => {
  const object = openObject(tiny, 'tiny')
  t.after(() => object.close())
  assert.throws(() => object.load(), /unnamed/)
  const left = openObject(tiny, 'tiny')
  t.after(() => left.close())
  left.setAutoload('unnamed', false)
  left.load()
  assert.throws(() => left.programFd('unnamed'), ShuntError)
})

test('setMapEntries sizes the map, and npm bpf reads and writes it', (t) => {
  const object = openTiny(t)
  object.setMapEntries('table', 77)
  object.load()
  const ref = createMapRef(object.mapFd('table'), { transfer: true })
  t.after(() => ref.close())
  assert.equal(ref.maxEntries, 77)
  const map = new RawMap(ref)
  map.set(Buffer.from([1, 0, 0, 0]), Buffer.from([9, 0, 0, 0]))
  object.close()
  assert.deepEqual(map.get(Buffer.from([1, 0, 0, 0])), Buffer.from([9, 0, 0, 0]))
  assert.throws(() => object.setMapEntries('table', 1), /still open/)
})

test('maps marked for pinning by name are not pinned unless a path was set', (t) => {
  openTiny(t).load()
  assert.equal(existsSync('/sys/fs/bpf/words'), false)
})

test('load reuses a pinned map, and refuses one of another shape by name', (t) => {
  const path = join(bpffs, 'words')
  const first = openTiny(t)
  first.setMapPin('words', path)
  first.load()
  const second = openTiny(t)
  second.setMapPin('words', path)
  second.load()
  const ids = [first, second].map((object) => {
    const fd = object.mapFd('words')
    const { id } = mapInfo(fd)
    closeFd(fd)
    return id
  })
  assert.equal(ids[0], ids[1])

  const third = openTiny(t)
  third.setMapPin('words', path)
  third.setMapEntries('words', 8)
  const wanted = { map: 'words', path, field: 'maxEntries', pinned: 4, wanted: 8 }
  assert.deepEqual(third.pinMismatches(), [wanted])
  const message = /reuse map words pinned at .*words: maxEntries is 4, wanted 8/
  assert.throws(() => third.load(), message)

  const fourth = openTiny(t)
  fourth.setMapPin('table', path)
  assert.deepEqual(
    fourth.pinMismatches().map(({ field }) => field),
    ['type', 'valueSize', 'maxEntries', 'flags'],
  )
})

test('load carries the end of the verifier log', (t) => {
  const object = openObject(compile('refused.bpf.c'), 'refused')
  t.after(() => object.close())
  assert.throws(
    () => object.load(),
    (error: ShuntError) => {
      assert.equal(error.code, 'KSH_KERNEL')
      assert.match(error.message, /refused: load: E(ACCES|INVAL)/)
      assert.match(error.message, /invalid access to packet/)
      assert.match(error.message, /overreaching/)
      assert.ok(error.message.length < 9000, `${error.message.length} characters`)
      assert.ok(error.message.length > 4000, `${error.message.length} characters`)
      return true
    },
  )
  assert.throws(
    () => openObject(tiny, 'tiny').setMapEntries('nowhere', 1),
    (error: ShuntError) => !error.message.includes('invalid access'),
  )
})

test('pins outlive the object, and a rename replaces one atomically', (t) => {
  const [old, fresh] = [openTiny(t), openTiny(t)]
  fresh.setGlobal('answer', 5)
  old.load()
  fresh.load()
  const folder = join(bpffs, 'programs')
  mkdirSync(folder)
  for (const [object, name] of [
    [old, 'now'],
    [fresh, 'next'],
  ] as const) {
    const fd = object.programFd('answering')
    pin(fd, join(folder, name))
    closeFd(fd)
    object.close()
  }
  renameSync(join(folder, 'next'), join(folder, 'now'))
  const programFd = getPinned(join(folder, 'now'))
  assert.equal(testRun({ programFd, data: frame }).retval, 5)
  closeFd(programFd)
  assert.equal(unpin(join(folder, 'now')), true)
  assert.equal(unpin(join(folder, 'now')), false)
  assert.throws(
    () => getPinned(join(folder, 'now')),
    (error) => errnoOf(error) === 'ENOENT',
  )
})

test('pin says that a name is taken', (t) => {
  const object = openTiny(t)
  object.load()
  const fd = object.mapFd('table')
  const path = join(bpffs, 'taken')
  pin(fd, path)
  assert.throws(
    () => pin(fd, path),
    (error) => errnoOf(error) === 'EEXIST',
  )
  closeFd(fd)
})

test('objectInfo agrees with bpftool', (t) => {
  const object = openTiny(t)
  object.load()
  const programFd = object.programFd('answering')
  const mapFd = object.mapFd('counts')
  const program = programInfo(programFd)
  const map = mapInfo(mapFd)
  const shownProgram: unknown = JSON.parse(
    run('bpftool', '-j', 'prog', 'show', 'id', `${program.id}`),
  )
  const shownMap: unknown = JSON.parse(run('bpftool', '-j', 'map', 'show', 'id', `${map.id}`))
  assert.partialDeepStrictEqual(shownProgram, {
    name: program.name,
    tag: program.tag,
    bytes_xlated: program.translatedBytes,
    bytes_jited: program.jitedBytes,
  })
  assert.partialDeepStrictEqual(shownMap, {
    name: map.name,
    bytes_key: map.keySize,
    bytes_value: map.valueSize,
    max_entries: map.maxEntries,
    flags: map.flags,
  })
  assert.ok(program.verifiedInstructions > 5)
  closeFd(programFd)
  closeFd(mapFd)
  assert.throws(() => objectInfo(0), /not a map, program or link/)
})

test('the tag tells programs apart, and the same program from itself', (t) => {
  const object = openTiny(t)
  object.load()
  const [one, other, again] = ['answering', 'counting', 'answering'].map((name) => {
    const fd = object.programFd(name)
    const { tag } = programInfo(fd)
    closeFd(fd)
    return tag
  })
  assert.notEqual(one, other)
  assert.equal(one, again)
})
