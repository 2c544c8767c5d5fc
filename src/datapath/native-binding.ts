import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { getSystemErrorMap } from 'node:util'
import { ShuntError } from '../errors.ts'

declare const handleKind: unique symbol
/** Something that lives in the addon and is only passed back to it. */
export interface Handle<Kind extends string> {
  readonly [handleKind]: Kind
}
export type ObjectHandle = Handle<'object'>
export type RingHandle = Handle<'ring'>
export type NetlinkHandle = Handle<'netlink'>

/** A buffer, or a negative errno. */
type Bytes = Buffer | number
/** Bytes and 0, or no bytes and a negative errno. */
export type Wakeup = (bytes: Buffer, error: number) => void

type RunArguments = [
  programFd: number,
  data: Buffer | null,
  ctx: Buffer | null,
  dataOut: number,
  ctxOut: number,
  repeat: number,
]

/** What bpf/loader/addon.c exports; every number returned may be a negative errno. */
export interface Binding {
  logTake(): Buffer
  objectOpen(elf: Buffer, name: string): ObjectHandle | number
  objectLoad(object: ObjectHandle): number
  objectClose(object: ObjectHandle): number
  objectGlobalSize(object: ObjectHandle, name: string): number
  objectSetGlobal(object: ObjectHandle, name: string, value: Buffer): number
  objectMaps(object: ObjectHandle): Bytes
  objectMapShape(object: ObjectHandle, map: string): Bytes
  objectSetMapEntries(object: ObjectHandle, map: string, entries: number): number
  objectSetMapPin(object: ObjectHandle, map: string, path: string): number
  objectMapFd(object: ObjectHandle, map: string): number
  objectPrograms(object: ObjectHandle): Bytes
  objectSetProgramType(object: ObjectHandle, name: string, type: number, attach: number): number
  objectSetAutoload(object: ObjectHandle, name: string, wanted: number): number
  objectProgramFd(object: ObjectHandle, name: string): number
  objPin(fd: number, path: string): number
  objGet(path: string): number
  objInfo(fd: number): Bytes
  progFdById(id: number): number
  mapFdById(id: number): number
  linkFdById(id: number): number
  linkCreate(prog: number, target: number, type: number, flags: number, relative: number): number
  linkUpdate(linkFd: number, programFd: number, oldProgramFd: number): number
  linkDetach(linkFd: number): number
  hookQuery(target: number, attachType: number): Bytes
  xdpQuery(ifindex: number): Bytes
  tcHookCreate(ifindex: number, point: number): number
  tcHookDestroy(ifindex: number, point: number): number
  tcAttach(ifindex: number, point: number, prog: number, handle: number, priority: number): number
  tcDetach(ifindex: number, point: number, handle: number, priority: number): number
  tcQuery(ifindex: number, point: number, handle: number, priority: number): number
  testRun(...run: RunArguments): Bytes
  testRunAsync(...run: RunArguments): Promise<Bytes> | number
  possibleCpus(): number
  mapLookup(fd: number, key: Buffer): Bytes
  mapUpdate(fd: number, key: Buffer, value: Buffer, flags: number): number
  mapNextKey(fd: number, key: Buffer | null): Bytes
  mapRange(fd: number, first: number, count: number): Bytes
  mapMemory(fd: number): ArrayBuffer | number
  mapMemoryClose(memory: ArrayBuffer): number
  probeMapType(type: number): number
  probeProgType(type: number): number
  probeHelper(programType: number, helper: number): number
  probeTcx(): number
  probeMmapable(): number
  lockPath(path: string): number
  fileSystemMagic(path: string): number
  ktimeCoarse(): bigint | number
  ringOpen(mapFd: number, wakeup: Wakeup, keepsRunning: number): RingHandle | number
  ringClose(ring: RingHandle): number
  netlinkOpen(receiveBytes: number, wakeup: Wakeup, keepsRunning: number): NetlinkHandle | number
  netlinkJoin(socket: NetlinkHandle, group: number): number
  netlinkSend(socket: NetlinkHandle, request: Buffer): number
  netlinkClose(socket: NetlinkHandle): number
}

let loaded: Binding | undefined

/** The addon, loaded at first use so that commands without a kernel side need no build. */
export function binding(): Binding {
  loaded ??= load()
  return loaded
}

function load(): Binding {
  const path = findAddon(import.meta.dirname)
  try {
    return createRequire(import.meta.url)(path) as Binding // the interface above mirrors addon.c
  } catch (cause) {
    throw new ShuntError('KSH_RUNTIME', `load native addon ${path}: ${String(cause)}`, { cause })
  }
}

/* Upwards from here: the sources and a bundle lie at different depths. */
function findAddon(start: string): string {
  for (let folder = start; ; folder = dirname(folder)) {
    const path = join(folder, 'build', 'loader', 'kube_shunt_loader.node')
    if (existsSync(path)) return path
    if (folder === dirname(folder)) break
  }
  const advice = 'build it with `make -C bpf/loader`'
  throw new ShuntError('KSH_RUNTIME', `native addon not found above ${start}: ${advice}`)
}

/** The refusal of a system call, the `cause` of the ShuntError that tells what was attempted. */
export class KernelRefusal extends Error {
  readonly errno: number
  readonly code: string
  constructor(errno: number, code: string, message: string) {
    super(message)
    this.name = 'KernelRefusal'
    this.errno = errno
    this.code = code
  }
}

/** The symbolic errno (ENOENT, EEXIST, ...) of a failed kernel operation, or undefined. */
export function errnoOf(error: unknown): string | undefined {
  const cause = error instanceof ShuntError ? error.cause : error
  return cause instanceof KernelRefusal ? cause.code : undefined
}

/** The error for a negative errno; `what` names the operation and its subject. */
export function refusal(result: number, what: string): ShuntError {
  const known = getSystemErrorMap().get(result)
  const [code, text] = known ?? [`E${-result}`, 'error unknown to this runtime']
  const said = binding().logTake().toString('utf8').trim()
  const message = `${what}: ${code}, ${text}${said === '' ? '' : `\n${said}`}`
  const isPrivilege = code === 'EPERM' || code === 'EACCES'
  const cause = new KernelRefusal(-result, code, text)
  return new ShuntError(isPrivilege ? 'KSH_PRIVILEGE' : 'KSH_KERNEL', message, { cause })
}

/** Passes a result on, or throws what its negative errno means. */
export function check(result: number, what: string): number
export function check<Result>(result: Result | number, what: string): Exclude<Result, number>
export function check(result: unknown, what: string): unknown {
  if (typeof result === 'number' && result < 0) throw refusal(result, what)
  return result
}
