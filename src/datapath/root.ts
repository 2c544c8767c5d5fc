import { existsSync, fstatSync, lstatSync, mkdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { messageOf, ShuntError } from '../errors.ts'
import { closeFd } from './native.ts'
import { isBpffs, lockPath } from './native-system.ts'

/** The pin root: everything of ours that outlives the agent. `v1` is the layout of bpf/abi.h. */
export interface Root {
  readonly path: string
  readonly maps: string
  readonly links: string
  readonly programs: string
}

export const layoutVersion = 'v1'

/** Where things are pinned under a root; touches nothing. */
export function rootPaths(bpffs: string): Root {
  const version = join(bpffs, layoutVersion)
  return {
    path: bpffs,
    maps: join(version, 'maps'),
    links: join(version, 'links'),
    programs: join(version, 'programs'),
  }
}

/** Makes the root's directories, after making sure that nobody else could have prepared them. */
export function openRoot(bpffs: string): Root {
  requireBpffs(bpffs)
  const root = rootPaths(bpffs)
  for (const directory of [bpffs, join(bpffs, layoutVersion), root.maps, root.links, root.programs])
    claimDirectory(directory)
  return root
}

/**
 * Takes the root for this process until it ends, however it ends. The lock is on the directory
 * itself, so that it cannot be left behind.
 */
export function lockRoot(root: Root): void {
  if (takeRoot(root)) return
  throw new ShuntError(
    'KSH_OWNED',
    `another agent owns ${root.path}; stop it or use another --bpffs`,
  )
}

/** As lockRoot, but false where another agent owns the root. */
export function takeRoot(root: Root): boolean {
  const fd = lockPath(root.path)
  if (fd === undefined) return false
  /* A cleanup may have taken the directory away just before: then the lock is on nothing. */
  if (fstatSync(fd).ino === statSync(root.path, { throwIfNoEntry: false })?.ino) return true
  closeFd(fd)
  return false
}

function requireBpffs(bpffs: string): void {
  let nearest = bpffs
  while (!existsSync(nearest)) nearest = dirname(nearest)
  if (isBpffs(nearest)) return
  throw new ShuntError(
    'KSH_BPFFS',
    `--bpffs ${bpffs}: not on a bpf file system; mount one (mount -t bpf bpf /sys/fs/bpf)`,
  )
}

function claimDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700, recursive: true })
  } catch (cause) {
    throw new ShuntError('KSH_BPFFS', `--bpffs: create ${path}: ${messageOf(cause)}`, { cause })
  }
  const { uid, mode } = lstatSync(path)
  const owner = process.geteuid?.() ?? 0
  if (uid !== owner)
    throw new ShuntError('KSH_FOREIGN_ROOT', `${path} belongs to uid ${uid}, not ${owner}: refused`)
  if ((mode & 0o077) !== 0)
    throw new ShuntError(
      'KSH_FOREIGN_ROOT',
      `${path} is open to others (mode ${(mode & 0o777).toString(8)}, wanted 700): refused`,
    )
}
