import { existsSync, lstatSync, readdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import type { CommandModule } from 'yargs'
import { detachLink, detachTc, queryTc, type Direction } from '../datapath/native-attach.ts'
import { linkInfo, programInfo } from '../datapath/native-info.ts'
import { isBpffs, lockPath } from '../datapath/native-system.ts'
import { unpin } from '../datapath/native.ts'
import { tcIdentity } from '../devices/attach.ts'
import { readLinks } from '../devices/watch-links.ts'
import { messageOf, ShuntError } from '../errors.ts'
import { rootOption, textOf, type Flags } from './flags.ts'
import { lockHolder } from './lock-holder.ts'
import { print } from './output.ts'
import { withPin } from './pins.ts'
import { parsePath } from './values.ts'

/** The `cleanup` command; may be repeated. */
export const cleanupCommand: CommandModule = {
  command: 'cleanup',
  describe: 'remove everything of ours: programs, maps and their pins',
  builder: (yargs) =>
    yargs.options({
      ...rootOption,
      force: { type: 'boolean', describe: 'although an agent is running' },
    }),
  handler: (flags) => cleanUp(flags),
}

/** Removes everything of ours, unless an agent is using it. */
export async function cleanUp(flags: Flags): Promise<void> {
  const bpffs = parsePath({ flag: '--bpffs', text: textOf(flags, 'bpffs') ?? '' })
  if (!existsSync(bpffs)) return print(`nothing to remove: there is no ${bpffs}\n`)
  requireOurs(bpffs)
  if (flags['force'] !== true) requireFree(bpffs)
  print(removalText(bpffs, await removeAll(bpffs)))
}

/** What a cleanup took away, and what it found and left. */
export interface Removal {
  readonly hooks: number
  readonly programs: number
  readonly maps: number
  readonly left: readonly string[]
}

function requireOurs(bpffs: string): void {
  if (!isBpffs(bpffs)) {
    throw new ShuntError('KSH_BPFFS', `--bpffs ${bpffs}: not on a bpf file system: refused`)
  }
  const { uid } = lstatSync(bpffs)
  const owner = process.geteuid?.() ?? 0
  if (uid === owner) return
  throw new ShuntError('KSH_FOREIGN_ROOT', `${bpffs} belongs to uid ${uid}, not ${owner}: refused`)
}

/* The lock stays ours until this process ends, so no agent can start meanwhile. */
function requireFree(bpffs: string): void {
  if (lockPath(bpffs) !== undefined) return
  const holder = lockHolder(bpffs)
  const who = holder === undefined ? 'an agent' : `process ${holder.pid} (${holder.command})`
  throw new ShuntError('KSH_OWNED', `${who} owns ${bpffs}; stop it first, or use --force`)
}

/** Takes our programs off their hooks, then removes every pin and the directories. */
export async function removeAll(bpffs: string): Promise<Removal> {
  const versions = readdirSync(bpffs).filter((name) => /^v[0-9]+$/.test(name))
  const total = { hooks: 0, programs: 0, maps: 0, left: [] as string[] }
  for (const version of versions) {
    const path = join(bpffs, version)
    total.hooks += await removeFilters(join(path, 'programs'))
    total.hooks += removeLinks(join(path, 'links'))
    total.programs += removePins(join(path, 'programs'))
    total.maps += removePins(join(path, 'maps'))
    removeDirectory(path, total.left)
  }
  removeDirectory(bpffs, total.left)
  return total
}

function pinsIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory).map((name) => join(directory, name)) : []
}

function removeLinks(directory: string): number {
  let count = 0
  for (const path of pinsIn(directory)) {
    const isAttached = withPin(path, (fd) => {
      if (linkInfo(fd).ifindex === 0) return false
      detachLink(fd)
      return true
    })
    if (isAttached) count++
    unpin(path)
  }
  removeDirectory(directory, [])
  return count
}

function removePins(directory: string): number {
  const paths = pinsIn(directory)
  for (const path of paths) unpin(path)
  removeDirectory(directory, [])
  return paths.length
}

/* Classic filters, of kernels without tcx: those of this root are the ones with its programs. */
async function removeFilters(programs: string): Promise<number> {
  const ids = new Set(pinsIn(programs).map((path) => withPin(path, (fd) => programInfo(fd).id)))
  if (ids.size === 0) return 0
  let count = 0
  const { links } = await readLinks()
  for (const ifindex of links.keys()) {
    for (const direction of ['ingress', 'egress'] as const) {
      if (removeFilter(ifindex, direction, ids)) count++
    }
  }
  return count
}

function removeFilter(ifindex: number, direction: Direction, ids: ReadonlySet<number>): boolean {
  const filter = { ifindex, direction, ...tcIdentity }
  try {
    const program = queryTc(filter)
    return program !== undefined && ids.has(program) && detachTc(filter)
  } catch {
    return false // no clsact there, so nothing of ours either
  }
}

function removeDirectory(path: string, left: string[]): void {
  if (!existsSync(path)) return
  try {
    rmdirSync(path)
  } catch (error) {
    const names = readdirSync(path)
    left.push(
      names.length > 0 ? `${path} (has ${names.join(', ')})` : `${path}: ${messageOf(error)}`,
    )
  }
}

function removalText(bpffs: string, { hooks, programs, maps, left }: Removal): string {
  const found = `${hooks} hooks freed, ${programs} programs and ${maps} maps unpinned`
  return [`${bpffs}: ${found}`, ...left.map((what) => `left, not ours: ${what}`), ''].join('\n')
}
