import { closeSync, existsSync, readFileSync, unlinkSync } from 'node:fs'
import { basename } from 'node:path'
import { ShuntError } from '../errors.ts'
import { binding, check, refusal } from './native-binding.ts'
import type { ObjectHandle } from './native-binding.ts'
import { mapInfo } from './native-info.ts'
import type { MapShape } from './native-info.ts'

/** A pinned map that cannot be taken over because it is shaped differently. */
export interface PinMismatch {
  readonly map: string
  readonly path: string
  readonly field: keyof MapShape
  readonly pinned: number
  readonly wanted: number
}

/** A variable's new value: its bytes, or a number stored in host order at the variable's size. */
export type GlobalValue = Uint8Array | number | bigint | boolean

const errnoMissing = -2

/** Opens a compiled object (a path, or its bytes); nothing reaches the kernel before load(). */
export function openObject(source: string | Uint8Array, name?: string): BpfObject {
  const label = name ?? (typeof source === 'string' ? basename(source).split('.')[0]! : 'object')
  const elf = typeof source === 'string' ? readObject(source) : Buffer.from(source)
  const handle = check<ObjectHandle>(binding().objectOpen(elf, label), `open object ${label}`)
  return new BpfObject(handle, label)
}

function readObject(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new ShuntError('KSH_RUNTIME', `read BPF object ${path}: ${String(cause)}`, { cause })
  }
}

/** A compiled object; every fd it hands out is the caller's own, to be closed by closeFd(). */
export class BpfObject {
  readonly name: string
  readonly #handle: ObjectHandle
  readonly #pins = new Map<string, string>()

  constructor(handle: ObjectHandle, name: string) {
    this.#handle = handle
    this.name = name
  }

  #say(what: string): string {
    return `${this.name}: ${what}`
  }

  /* ENOENT from the object's own tables means that the name is wrong. */
  #known(result: number, what: string): number {
    if (result !== errnoMissing) return check(result, this.#say(what))
    throw new ShuntError('KSH_KERNEL', `${this.#say(what)}: the object has none of this name`)
  }

  /** Sets a `const volatile` or other global variable, before load(). */
  setGlobal(variable: string, value: GlobalValue): void {
    const what = this.#say(`set variable ${variable}`)
    const size = this.#known(
      binding().objectGlobalSize(this.#handle, variable),
      `set variable ${variable}`,
    )
    const bytes = value instanceof Uint8Array ? Buffer.from(value) : numberBytes(value, size, what)
    if (bytes.length !== size) {
      const sizes = `it has ${size} bytes, the value ${bytes.length}`
      throw new ShuntError('KSH_KERNEL', `${what}: ${sizes}`)
    }
    check(binding().objectSetGlobal(this.#handle, variable, bytes), what)
  }

  /** Sets how many entries a map has room for, before load(). */
  setMapEntries(map: string, entries: number): void {
    this.#known(
      binding().objectSetMapEntries(this.#handle, map, entries),
      `set entries of map ${map} to ${entries}`,
    )
  }

  /** Where load() finds the map to reuse, or pins the new one. Without a path it is not pinned. */
  setMapPin(map: string, path: string): void {
    this.#known(
      binding().objectSetMapPin(this.#handle, map, path),
      `set pin of map ${map} to ${path}`,
    )
    this.#pins.set(map, path)
  }

  /** Says what a program is where its section name does not. */
  setProgramType(program: string, type: number, attachType = 0): void {
    this.#known(
      binding().objectSetProgramType(this.#handle, program, type, attachType),
      `set type of program ${program}`,
    )
  }

  /** Leaves a program out of load(), or takes it in again. */
  setAutoload(program: string, wanted: boolean): void {
    this.#known(
      binding().objectSetAutoload(this.#handle, program, wanted ? 1 : 0),
      `set autoload of program ${program}`,
    )
  }

  /** Which pinned maps are shaped differently from what the object wants now? */
  pinMismatches(): PinMismatch[] {
    return [...this.#pins].flatMap(([map, path]) => comparePin(map, path, this.mapShape(map)))
  }

  /** Creates or reuses the maps and loads the programs; a refusal carries the verifier's words. */
  load(): void {
    const mismatch = this.pinMismatches()[0]
    if (mismatch !== undefined) throw mismatchError(this.name, mismatch)
    binding().logTake()
    const result = binding().objectLoad(this.#handle)
    if (result >= 0) return
    const error = refusal(result, this.#say('load'))
    // The verifier refuses with EACCES; only EPERM says that a capability is missing.
    const isPrivilege = error.code === 'KSH_PRIVILEGE' && error.message.includes('EPERM')
    if (error.code === 'KSH_KERNEL' || isPrivilege) throw error
    throw new ShuntError('KSH_KERNEL', error.message, { cause: error.cause })
  }

  maps(): string[] {
    return names(check<Buffer>(binding().objectMaps(this.#handle), this.#say('list maps')))
  }

  programs(): string[] {
    return names(check<Buffer>(binding().objectPrograms(this.#handle), this.#say('list programs')))
  }

  /** What the object asks for now, before or after load(). */
  mapShape(map: string): MapShape {
    const what = this.#say(`shape of map ${map}`)
    const bytes = check<Buffer>(binding().objectMapShape(this.#handle, map), what)
    return {
      type: bytes.readUInt32LE(0),
      keySize: bytes.readUInt32LE(4),
      valueSize: bytes.readUInt32LE(8),
      maxEntries: bytes.readUInt32LE(12),
      flags: bytes.readUInt32LE(16),
    }
  }

  /** A new fd of a loaded map; npm `bpf` takes it as createMapRef(fd, { transfer: true }). */
  mapFd(map: string): number {
    return this.#known(binding().objectMapFd(this.#handle, map), `fd of map ${map}`)
  }

  /** A new fd of a loaded program. */
  programFd(program: string): number {
    return this.#known(binding().objectProgramFd(this.#handle, program), `fd of program ${program}`)
  }

  /** Lets go of the object; pinned maps, links and fds handed out live on. */
  close(): void {
    binding().objectClose(this.#handle)
  }
}

function numberBytes(value: number | bigint | boolean, size: number, what: string): Buffer {
  const bits = size * 8
  const wide = BigInt(value)
  const fits = wide === BigInt.asUintN(bits, wide) || wide === BigInt.asIntN(bits, wide)
  if (![1, 2, 4, 8].includes(size) || !fits) {
    throw new ShuntError('KSH_KERNEL', `${what}: ${String(value)} does not fit ${size} bytes`)
  }
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt.asUintN(64, wide))
  return bytes.subarray(0, size)
}

function comparePin(map: string, path: string, wanted: MapShape): PinMismatch[] {
  if (!existsSync(path)) return []
  const fd = getPinned(path)
  try {
    const pinned = mapInfo(fd)
    const fields = ['type', 'keySize', 'valueSize', 'maxEntries', 'flags'] as const
    return fields
      .filter((field) => pinned[field] !== wanted[field])
      .map((field) => ({ map, path, field, pinned: pinned[field], wanted: wanted[field] }))
  } finally {
    closeSync(fd)
  }
}

function mismatchError(object: string, mismatch: PinMismatch): ShuntError {
  const { map, path, field, pinned, wanted } = mismatch
  const difference = `${field} is ${pinned}, wanted ${wanted}`
  return new ShuntError(
    'KSH_KERNEL',
    `${object}: reuse map ${map} pinned at ${path}: ${difference}`,
  )
}

function names(list: Buffer): string[] {
  return list.toString('utf8').split('\0').slice(0, -1)
}

/** Gives a map, program or link a path, under which it outlives this process. */
export function pin(fd: number, path: string): void {
  check(binding().objPin(fd, path), `pin ${path}`)
}

/** A new fd of what is pinned at a path. */
export function getPinned(path: string): number {
  return check(binding().objGet(path), `open pin ${path}`)
}

/** Removes a pin; false: there was none. */
export function unpin(path: string): boolean {
  if (!existsSync(path)) return false
  try {
    unlinkSync(path)
    return true
  } catch (cause) {
    throw new ShuntError('KSH_KERNEL', `remove pin ${path}: ${String(cause)}`, { cause })
  }
}

/** Closes an fd that this module gave; what is pinned or attached elsewhere stays. */
export function closeFd(fd: number): void {
  closeSync(fd)
}
