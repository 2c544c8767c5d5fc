import { bpffs, indexOf, makeVeth } from './own-namespace.ts'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { attachTcx } from '../../src/datapath/native-attach.ts'
import {
  hasHelper,
  hasMapType,
  hasMmapableArrays,
  hasProgramType,
  hasTcx,
  helpers,
  mapTypes,
  programTypes,
} from '../../src/datapath/native-probe.ts'
import { isBpffs, ktimeCoarse, lockPath } from '../../src/datapath/native-system.ts'
import { closeFd, openObject } from '../../src/datapath/native.ts'
import { ShuntError } from '../../src/errors.ts'
import { compile } from './compile.ts'

const system = join(import.meta.dirname, '../../src/datapath/native-system.ts')

test('isBpffs tells a bpffs from other file systems', () => {
  assert.equal(isBpffs(bpffs), true)
  assert.equal(isBpffs(tmpdir()), false)
  assert.throws(() => isBpffs('/nonexistent'), /file system of \/nonexistent: ENOENT/)
})

test('a lock on a bpffs directory keeps other processes out until SIGKILL', async (t) => {
  const directory = join(bpffs, 'root')
  mkdirSync(directory)
  const holder = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { lockPath } from '${system}'
       console.log(lockPath('${directory}'))
       process.stdin.resume()`,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  t.after(() => holder.kill('SIGKILL'))
  const [said] = (await once(holder.stdout, 'data')) as [Buffer]
  assert.ok(Number(said.toString()) > 2)
  assert.equal(lockPath(directory), undefined)
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  const fd = lockPath(directory)
  assert.ok(fd !== undefined)
  assert.equal(lockPath(directory), undefined, 'nor twice within one process')
  closeFd(fd)
  const again = lockPath(directory)
  assert.ok(again !== undefined)
  closeFd(again)
})

test('a lock is not inherited by programs that the holder starts', async (t) => {
  const directory = join(bpffs, 'inherited')
  mkdirSync(directory)
  const fd = lockPath(directory)
  assert.ok(fd !== undefined)
  const child = spawn('sleep', ['60'])
  t.after(() => child.kill('SIGKILL'))
  await once(child, 'spawn')
  closeFd(fd)
  const again = lockPath(directory)
  assert.ok(again !== undefined)
  closeFd(again)
})

test('ktimeCoarse follows the monotonic clock', () => {
  const difference = Number(process.hrtime.bigint() - ktimeCoarse())
  assert.ok(difference >= 0 && difference < 1e9, `${difference} ns behind`)
})

test('probes answer yes for what works here and no for what cannot exist', (t) => {
  assert.equal(hasMapType(mapTypes.ringBuffer), true)
  assert.equal(hasMapType(9999), false)
  assert.equal(hasProgramType(programTypes.xdp), true)
  assert.equal(hasProgramType(9999), false)
  assert.equal(hasHelper(programTypes.tc, helpers.forEachMapElem), true)
  assert.equal(hasHelper(programTypes.tc, helpers.redirectPeer), true)
  assert.equal(hasHelper(programTypes.xdp, helpers.redirectPeer), false)
  assert.equal(hasHelper(programTypes.cgroupSockAddr, helpers.ktimeGetCoarseNs), true)
  assert.equal(hasHelper(programTypes.tc, 9999), false)
  assert.equal(hasMmapableArrays(), true)

  const { far } = makeVeth('ksn-near', 'ksn-far')
  assert.equal(far, indexOf('ksn-far'))
  const object = openObject(compile('tiny.bpf.c'), 'tiny')
  t.after(() => object.close())
  object.setAutoload('unnamed', false)
  object.load()
  const programFd = object.programFd('counting')
  let attached = true
  try {
    closeFd(attachTcx(programFd, far, 'ingress'))
  } catch {
    attached = false
  }
  closeFd(programFd)
  assert.equal(hasTcx(), attached)
})

test('a failure for lack of privilege is told apart', async () => {
  const script = `import { openObject } from '${join(import.meta.dirname, '../../src/datapath/native.ts')}'
    import { hasTcx } from '${join(import.meta.dirname, '../../src/datapath/native-probe.ts')}'
    try { hasTcx() } catch (error) { console.log(error.code, error.message) }`
  const drop = ['--bounding-set', '-all', '--inh-caps', '-all']
  const node = [process.execPath, '--input-type=module', '-e', script]
  const child = spawn('setpriv', [...drop, ...node], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  assert.match(said.toString(), /^KSH_PRIVILEGE probe tcx links: EPERM/)
  assert.equal(new ShuntError('KSH_PRIVILEGE', '').exitCode, 3)
})
