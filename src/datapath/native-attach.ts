import { closeSync, constants, openSync } from 'node:fs'
import { ShuntError } from '../errors.ts'
import { binding, check } from './native-binding.ts'

/** Kernel numbers (enum bpf_attach_type) of the hooks used here. */
export const attachTypes = {
  cgroupConnect4: 10,
  cgroupConnect6: 11,
  cgroupSendmsg4: 14,
  cgroupSendmsg6: 15,
  cgroupRecvmsg4: 19,
  cgroupRecvmsg6: 20,
  cgroupGetpeername4: 29,
  cgroupGetpeername6: 30,
  xdp: 37,
  tcxIngress: 46,
  tcxEgress: 47,
} as const

export type Direction = 'ingress' | 'egress'
export type XdpMode = 'auto' | 'native' | 'generic'

/** Where among the programs of a tcx hook; fds of links or of programs. */
export type TcxPlace =
  | { readonly at: 'first' | 'last' }
  | { readonly at: 'before' | 'after'; readonly linkFd: number }
  | { readonly at: 'before' | 'after'; readonly programFd: number }

/** One program on a hook; linkId is 0 where the kernel tells none. */
export interface Attached {
  readonly programId: number
  readonly linkId: number
}

export interface XdpAttached {
  readonly programId: number
  readonly mode: XdpMode | 'offloaded' | 'several' | 'none'
}

/** The one filter of a device and direction that is ours. */
export interface TcFilter {
  readonly ifindex: number
  readonly direction: Direction
  readonly handle: number
  readonly priority: number
}

const placeFlags = { before: 1 << 3, first: 1 << 3, after: 1 << 4, last: 1 << 4 }
const isLinkFlag = 1 << 13
const xdpFlags = { auto: 0, generic: 1 << 1, native: 1 << 2 }
const tcPoints = { ingress: 1, egress: 2, both: 3 }
const xdpModes = ['none', 'native', 'generic', 'offloaded', 'several'] as const
const errnoExists = -17
/* EINVAL is how the kernel says that the hook has no clsact, or no filter yet. */
const errnosMissing = [-2, -22]

/** Puts a program on a device's tcx hook; the fd of the link. */
export function attachTcx(
  programFd: number,
  ifindex: number,
  direction: Direction,
  place: TcxPlace = { at: 'last' },
): number {
  const type = tcxType(direction)
  const isLink = 'linkFd' in place
  const relative = isLink ? place.linkFd : 'programFd' in place ? place.programFd : 0
  const flags = placeFlags[place.at] | (isLink ? isLinkFlag : 0)
  const what = `attach program to tcx ${direction} of device ${ifindex}`
  return check(binding().linkCreate(programFd, ifindex, type, flags, relative), what)
}

/** Puts an XDP program on a device; the fd of the link. EEXIST: someone's program is there. */
export function attachXdp(programFd: number, ifindex: number, mode: XdpMode = 'auto'): number {
  const what = `attach program to XDP (${mode}) of device ${ifindex}`
  const flags = xdpFlags[mode]
  return check(binding().linkCreate(programFd, ifindex, attachTypes.xdp, flags, 0), what)
}

/** Puts a program on a cgroup v2 directory; the fd of the link. */
export function attachCgroup(programFd: number, cgroup: string, attachType: number): number {
  const what = `attach program to hook ${attachType} of cgroup ${cgroup}`
  const fd = openDirectory(cgroup)
  try {
    return check(binding().linkCreate(programFd, fd, attachType, 0, 0), what)
  } finally {
    closeSync(fd)
  }
}

/** Swaps the program of a link in place; with oldProgramFd only if that is the present one. */
export function updateLink(linkFd: number, programFd: number, oldProgramFd = -1): void {
  check(binding().linkUpdate(linkFd, programFd, oldProgramFd), `update program of link ${linkFd}`)
}

/** Takes a link off its hook though others hold it or a pin exists. */
export function detachLink(linkFd: number): void {
  check(binding().linkDetach(linkFd), `detach link ${linkFd}`)
}

/** Which programs run on this tcx hook, in order? */
export function queryTcx(ifindex: number, direction: Direction): Attached[] {
  const what = `query tcx ${direction} of device ${ifindex}`
  return parseAttached(check<Buffer>(binding().hookQuery(ifindex, tcxType(direction)), what))
}

/** Which programs are attached to this cgroup hook? */
export function queryCgroup(cgroup: string, attachType: number): Attached[] {
  const fd = openDirectory(cgroup)
  try {
    const what = `query hook ${attachType} of cgroup ${cgroup}`
    return parseAttached(check<Buffer>(binding().hookQuery(fd, attachType), what))
  } finally {
    closeSync(fd)
  }
}

/** Which XDP program runs on this device, and how? */
export function queryXdp(ifindex: number): XdpAttached {
  const found = check<Buffer>(binding().xdpQuery(ifindex), `query XDP of device ${ifindex}`)
  const mode = xdpModes[found.readUInt32LE(0)] ?? 'several'
  return { programId: found.readUInt32LE(4), mode }
}

/** Makes the clsact qdisc unless it is there; true: it was made now, so it is ours to remove. */
export function ensureClsact(ifindex: number): boolean {
  const result = binding().tcHookCreate(ifindex, tcPoints.both)
  if (result === errnoExists) {
    binding().logTake()
    return false
  }
  check(result, `add clsact to device ${ifindex}`)
  return true
}

/** Removes the clsact qdisc with every filter on it, whoever's it is. */
export function removeClsact(ifindex: number): void {
  check(binding().tcHookDestroy(ifindex, tcPoints.both), `remove clsact of device ${ifindex}`)
}

/** Attaches a program as a classic filter, in place of the one with the same handle and priority. */
export function attachTc(programFd: number, filter: TcFilter): void {
  const { ifindex, direction, handle, priority } = filter
  const point = tcPoints[direction]
  const result = binding().tcAttach(ifindex, point, programFd, handle, priority)
  check(result, `attach program to tc ${direction} of device ${ifindex}`)
}

/** Removes a classic filter; false: there was none. */
export function detachTc(filter: TcFilter): boolean {
  const { ifindex, direction, handle, priority } = filter
  const result = binding().tcDetach(ifindex, tcPoints[direction], handle, priority)
  if (errnosMissing.includes(result)) {
    binding().logTake()
    return false
  }
  check(result, `remove filter from tc ${direction} of device ${ifindex}`)
  return true
}

/** The id of the program of a classic filter, or undefined when there is none. */
export function queryTc(filter: TcFilter): number | undefined {
  const { ifindex, direction, handle, priority } = filter
  const result = binding().tcQuery(ifindex, tcPoints[direction], handle, priority)
  if (errnosMissing.includes(result)) {
    binding().logTake()
    return undefined
  }
  return check(result, `query tc ${direction} of device ${ifindex}`)
}

function tcxType(direction: Direction): number {
  return direction === 'ingress' ? attachTypes.tcxIngress : attachTypes.tcxEgress
}

function parseAttached(pairs: Buffer): Attached[] {
  return Array.from({ length: pairs.length / 8 }, (_, i) => ({
    programId: pairs.readUInt32LE(8 * i),
    linkId: pairs.readUInt32LE(8 * i + 4),
  }))
}

function openDirectory(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
  } catch (cause) {
    throw new ShuntError('KSH_KERNEL', `open cgroup ${path}: ${String(cause)}`, { cause })
  }
}
