import { closeSync, readlinkSync } from 'node:fs'
import { ShuntError } from '../errors.ts'
import { binding, check } from './native-binding.ts'

/** What two maps must have in common for one to serve as the other. */
export interface MapShape {
  readonly type: number
  readonly keySize: number
  readonly valueSize: number
  readonly maxEntries: number
  readonly flags: number
}

export interface MapInfo extends MapShape {
  readonly kind: 'map'
  readonly id: number
  readonly name: string
}

export interface ProgramInfo {
  readonly kind: 'program'
  readonly id: number
  readonly type: number
  readonly name: string
  /** The kernel's hash of the instructions, 16 hex digits. */
  readonly tag: string
  readonly verifiedInstructions: number
  readonly translatedBytes: number
  readonly jitedBytes: number
}

export interface LinkInfo {
  readonly kind: 'link'
  readonly id: number
  readonly type: number
  readonly programId: number
  /** Of XDP and tcx links; 0 once the device is gone or the link is detached. */
  readonly ifindex: number | undefined
  /** Of tcx and cgroup links. */
  readonly attachType: number | undefined
  readonly cgroupId: bigint | undefined
}

export type ObjectInfo = MapInfo | ProgramInfo | LinkInfo

export const linkType = { cgroup: 3, xdp: 6, tcx: 11 } as const

/** What is behind this fd? */
export function objectInfo(fd: number): ObjectInfo {
  switch (kindOf(fd)) {
    case 'anon_inode:bpf-map':
      return parseMapInfo(infoBytes(fd))
    case 'anon_inode:bpf-prog':
      return parseProgramInfo(infoBytes(fd))
    case 'anon_inode:bpf_link':
    case 'anon_inode:bpf-link':
      return parseLinkInfo(infoBytes(fd))
    default:
      throw new ShuntError('KSH_KERNEL', `describe fd ${fd}: not a map, program or link`)
  }
}

export function mapInfo(fd: number): MapInfo {
  return expectKind(objectInfo(fd), 'map', fd)
}

export function programInfo(fd: number): ProgramInfo {
  return expectKind(objectInfo(fd), 'program', fd)
}

export function linkInfo(fd: number): LinkInfo {
  return expectKind(objectInfo(fd), 'link', fd)
}

/** The program of this id, or undefined when it is gone; needs CAP_SYS_ADMIN. */
export function programInfoById(id: number): ProgramInfo | undefined {
  const fd = binding().progFdById(id)
  if (fd === -2) return undefined
  check(fd, `open program ${id}`)
  try {
    return programInfo(fd)
  } finally {
    closeSync(fd)
  }
}

function kindOf(fd: number): string {
  try {
    // "anon_inode:[bpf_link]" on newer kernels
    return readlinkSync(`/proc/self/fd/${fd}`).replace(/[[\]]/g, '')
  } catch (cause) {
    throw new ShuntError('KSH_KERNEL', `describe fd ${fd}: it is not open`, { cause })
  }
}

function infoBytes(fd: number): Buffer {
  const known = check<Buffer>(binding().objInfo(fd), `describe fd ${fd}`)
  // an older kernel tells less: what it does not know reads as zero
  return known.length >= 512 ? known : Buffer.concat([known, Buffer.alloc(512 - known.length)])
}

function expectKind<Kind extends ObjectInfo['kind']>(
  info: ObjectInfo,
  kind: Kind,
  fd: number,
): Extract<ObjectInfo, { kind: Kind }> {
  if (info.kind !== kind) {
    throw new ShuntError('KSH_KERNEL', `describe fd ${fd}: a ${info.kind}, not a ${kind}`)
  }
  return info as Extract<ObjectInfo, { kind: Kind }> // the comparison above is the proof
}

/* struct bpf_map_info */
function parseMapInfo(info: Buffer): MapInfo {
  return {
    kind: 'map',
    type: info.readUInt32LE(0),
    id: info.readUInt32LE(4),
    keySize: info.readUInt32LE(8),
    valueSize: info.readUInt32LE(12),
    maxEntries: info.readUInt32LE(16),
    flags: info.readUInt32LE(20),
    name: objectName(info.subarray(24, 40)),
  }
}

/* struct bpf_prog_info */
function parseProgramInfo(info: Buffer): ProgramInfo {
  return {
    kind: 'program',
    type: info.readUInt32LE(0),
    id: info.readUInt32LE(4),
    tag: info.toString('hex', 8, 16),
    jitedBytes: info.readUInt32LE(16),
    translatedBytes: info.readUInt32LE(20),
    name: objectName(info.subarray(64, 80)),
    verifiedInstructions: info.readUInt32LE(216),
  }
}

/* struct bpf_link_info */
function parseLinkInfo(info: Buffer): LinkInfo {
  const type = info.readUInt32LE(0)
  const isCgroup = type === linkType.cgroup
  const isTcx = type === linkType.tcx
  const tcxOrCgroupType = isTcx ? info.readUInt32LE(20) : info.readUInt32LE(24)
  return {
    kind: 'link',
    type,
    id: info.readUInt32LE(4),
    programId: info.readUInt32LE(8),
    ifindex: isTcx || type === linkType.xdp ? info.readUInt32LE(16) : undefined,
    attachType: isTcx || isCgroup ? tcxOrCgroupType : undefined,
    cgroupId: isCgroup ? info.readBigUInt64LE(16) : undefined,
  }
}

function objectName(bytes: Buffer): string {
  const end = bytes.indexOf(0)
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end)
}
