import { readFileSync, statSync } from 'node:fs'

/** A process, and the command line it was started with. */
export interface Holder {
  readonly pid: number
  readonly command: string
}

/**
 * The agent that holds a root, found without touching its lock; undefined: nobody that this
 * process may see (an agent in another pod is hidden).
 */
export function lockHolder(path: string): Holder | undefined {
  try {
    const { dev, ino } = statSync(path)
    const pid = holderOf(readFileSync('/proc/locks', 'utf8'), dev, ino)
    return pid === undefined ? undefined : { pid, command: commandOf(pid) }
  } catch {
    return undefined
  }
}

/** The process with a flock on an inode, from the text of /proc/locks. */
export function holderOf(locks: string, device: number, inode: number): number | undefined {
  const [major, minor] = deviceParts(device)
  for (const line of locks.split('\n')) {
    const match =
      /^\d+: FLOCK +ADVISORY +WRITE (\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) /.exec(line) ?? undefined
    if (match === undefined) continue
    const [, pid, lockMajor, lockMinor, lockInode] = match
    const isDevice = parseInt(lockMajor!, 16) === major && parseInt(lockMinor!, 16) === minor
    if (isDevice && Number(lockInode) === inode) return Number(pid)
  }
  return undefined
}

/* As glibc's gnu_dev_major() and gnu_dev_minor(). */
function deviceParts(device: number): [major: number, minor: number] {
  const value = BigInt(device)
  const major = ((value >> 8n) & 0xfffn) | ((value >> 32n) & ~0xfffn)
  const minor = (value & 0xffn) | ((value >> 12n) & ~0xffn & 0xffffffffn)
  return [Number(major), Number(minor)]
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim()
  } catch {
    return '?'
  }
}
