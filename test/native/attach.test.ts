import { bpffs, indexOf, ip, makeVeth, run } from './own-namespace.ts'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import {
  attachCgroup,
  attachTc,
  attachTcx,
  attachTypes,
  attachXdp,
  detachLink,
  detachTc,
  ensureClsact,
  queryCgroup,
  queryTc,
  queryTcx,
  queryXdp,
  removeClsact,
  updateLink,
} from '../../src/datapath/native-attach.ts'
import { errnoOf } from '../../src/datapath/native-binding.ts'
import { linkInfo, linkType, programInfo, programInfoById } from '../../src/datapath/native-info.ts'
import { closeFd, getPinned, openObject, pin, unpin } from '../../src/datapath/native.ts'
import type { BpfObject } from '../../src/datapath/native.ts'
import { compile } from './compile.ts'

let object: BpfObject
let device: { near: number; far: number }

before(() => {
  device = makeVeth('ksn-near', 'ksn-far')
  object = openObject(compile('tiny.bpf.c'), 'tiny')
  object.setProgramType('unnamed', 3)
  object.load()
})
after(() => object.close())

function fdOf(t: TestContext, name: string): number {
  const fd = object.programFd(name)
  t.after(() => closeFd(fd))
  return fd
}

const idOf = (fd: number) => programInfo(fd).id
const idsOn = (ifindex: number) => queryTcx(ifindex, 'ingress').map(({ programId }) => programId)

test('a pinned tcx link outlives its fd, is reopened, and its program swapped', (t) => {
  const [counting, dropping] = [fdOf(t, 'counting'), fdOf(t, 'unnamed')]
  const path = join(bpffs, 'tcx')
  const made = attachTcx(counting, device.far, 'ingress')
  pin(made, path)
  const madeId = linkInfo(made).id
  closeFd(made)
  assert.deepEqual(queryTcx(device.far, 'ingress'), [{ programId: idOf(counting), linkId: madeId }])
  assert.deepEqual(queryTcx(device.far, 'egress'), [])

  const link = getPinned(path)
  assert.deepEqual(linkInfo(link), {
    kind: 'link',
    type: linkType.tcx,
    id: madeId,
    programId: idOf(counting),
    ifindex: device.far,
    attachType: attachTypes.tcxIngress,
    cgroupId: undefined,
  })
  updateLink(link, dropping, counting)
  assert.deepEqual(idsOn(device.far), [idOf(dropping)])
  assert.throws(
    () => updateLink(link, counting, counting),
    (error) => errnoOf(error) === 'EPERM',
  )
  unpin(path)
  assert.deepEqual(idsOn(device.far), [idOf(dropping)], 'the open fd still holds it')
  closeFd(link)
  assert.deepEqual(idsOn(device.far), [])
})

test('attachTcx takes its place among the others', (t) => {
  const programs = ['counting', 'unnamed', 'answering', 'reporting'].map((name) => fdOf(t, name))
  const [a, b, c, d] = programs as [number, number, number, number]
  const second = attachTcx(a, device.far, 'ingress')
  const links = [
    second,
    attachTcx(b, device.far, 'ingress', { at: 'first' }),
    attachTcx(c, device.far, 'ingress', { at: 'before', linkFd: second }),
    attachTcx(d, device.far, 'ingress', { at: 'after', programFd: b }),
  ]
  assert.deepEqual(idsOn(device.far), [b, d, c, a].map(idOf))
  links.forEach(closeFd)
})

test('a tcx link says when its device is gone, and detachLink empties a hook', (t) => {
  const counting = fdOf(t, 'counting')
  ip('link add ksn-gone type veth peer name ksn-gone2')
  const ifindex = indexOf('ksn-gone')
  const link = attachTcx(counting, ifindex, 'egress')
  detachLink(link)
  assert.deepEqual(queryTcx(ifindex, 'egress'), [])
  assert.equal(linkInfo(link).ifindex, 0)
  closeFd(link)
  ip('link del ksn-gone')
  assert.throws(
    () => attachTcx(counting, ifindex, 'egress'),
    (error: Error) => errnoOf(error) === 'ENODEV' && error.message.includes(`device ${ifindex}`),
  )
})

test('an XDP link runs on a veth, and a second one is refused', (t) => {
  const wire = fdOf(t, 'wire')
  assert.deepEqual(queryXdp(device.far), { programId: 0, mode: 'none' })
  const link = attachXdp(wire, device.far, 'native')
  assert.deepEqual(queryXdp(device.far), { programId: idOf(wire), mode: 'native' })
  assert.equal(linkInfo(link).ifindex, device.far)
  assert.throws(
    () => attachXdp(wire, device.far, 'native'),
    (error) => ['EBUSY', 'EEXIST'].includes(errnoOf(error)!),
  )
  closeFd(link)
  const generic = attachXdp(wire, device.far, 'generic')
  assert.equal(queryXdp(device.far).mode, 'generic')
  closeFd(generic)
})

test('a cgroup link decides over the connections of the processes inside', async (t) => {
  const mounts = readFileSync('/proc/mounts', 'utf8')
  const root = /^\S+ (\S+) cgroup2 /m.exec(mounts)?.[1]
  assert.ok(root !== undefined, 'a cgroup v2 mount')
  const cgroup = join(root, `ksn-${process.pid}`)
  mkdirSync(cgroup)
  t.after(() => rmdirSync(cgroup))
  const refusing = fdOf(t, 'refusing')
  const link = attachCgroup(refusing, cgroup, attachTypes.cgroupConnect4)
  t.after(() => closeFd(link))
  assert.equal(linkInfo(link).attachType, attachTypes.cgroupConnect4)
  const attached = queryCgroup(cgroup, attachTypes.cgroupConnect4)
  assert.deepEqual(
    attached.map(({ programId }) => programId),
    [idOf(refusing)],
  )
  assert.equal(await connectFrom(cgroup), 'EPERM')
  detachLink(link)
  assert.equal(await connectFrom(cgroup), 'ECONNREFUSED')
})

/* What a process of this cgroup gets when it dials a port nobody listens on. */
async function connectFrom(cgroup: string): Promise<string> {
  const script = `process.stdin.once('data', () => {
    require('net').connect(9, '127.0.0.1').on('error', (e) => { console.log(e.code); process.exit() })
  })`
  const child = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] })
  writeFileSync(join(cgroup, 'cgroup.procs'), `${child.pid}`)
  child.stdin.write('go\n')
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  await once(child, 'exit')
  return said.toString().trim()
}

test('a classic filter is attached, replaced, found and removed', (t) => {
  const [one, other] = [fdOf(t, 'counting'), fdOf(t, 'answering')]
  const filter = { ifindex: device.far, direction: 'ingress', handle: 1, priority: 42 } as const
  assert.equal(ensureClsact(device.far), true)
  assert.equal(ensureClsact(device.far), false)
  assert.equal(queryTc(filter), undefined)
  attachTc(one, filter)
  assert.equal(queryTc(filter), idOf(one))
  attachTc(other, filter)
  assert.equal(queryTc(filter), idOf(other))
  assert.equal(queryTc({ ...filter, direction: 'egress' }), undefined)
  assert.match(run('tc', 'filter', 'show', 'dev', 'ksn-far', 'ingress'), /pref 42 .*direct-action/s)
  assert.equal(detachTc(filter), true)
  assert.equal(detachTc(filter), false)
  removeClsact(device.far)
  assert.doesNotMatch(run('tc', 'qdisc', 'show', 'dev', 'ksn-far'), /clsact/)
})

test('programInfoById finds a program, and nothing for an id that is gone', (t) => {
  const id = idOf(fdOf(t, 'wire'))
  assert.equal(programInfoById(id)?.name, 'wire')
  assert.equal(programInfoById(0x7fff_ffff), undefined)
})
