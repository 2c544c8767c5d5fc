import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Direction } from '../datapath/native-attach.ts'
import { linkInfo } from '../datapath/native-info.ts'
import type { Root } from '../datapath/root.ts'
import { readLinks } from '../devices/watch-links.ts'
import { withPin } from './pins.ts'

/** One pinned link: our program on one hook of one device. */
export interface Hook {
  readonly path: string
  readonly ifindex: number
  /** Undefined: no device of this number in this network namespace. */
  readonly device: string | undefined
  readonly direction: Direction | 'xdp'
  /** False: the device is gone, or someone took the program off. */
  readonly isAttached: boolean
}

/** Our programs on devices, as their pinned links tell. */
export async function readHooks(root: Root): Promise<Hook[]> {
  if (!existsSync(root.links)) return []
  const { links } = await readLinks()
  const hooks = readdirSync(root.links).flatMap((name): Hook[] => {
    const match = /^(\d+)_(ingress|egress|xdp)$/.exec(name)
    if (match === null) return []
    const ifindex = Number(match[1])
    const direction = match[2] as Hook['direction'] // the pattern has these
    const path = join(root.links, name)
    const isAttached = withPin(path, (fd) => linkInfo(fd).ifindex === ifindex)
    return [{ path, ifindex, device: links.get(ifindex)?.name, direction, isAttached }]
  })
  return hooks.sort((a, b) => a.ifindex - b.ifindex || (a.direction < b.direction ? 1 : -1))
}

/** The ids of our programs on devices; their names take a right that not everybody has. */
export function ownProgramIds(links: string): Set<number> {
  if (!existsSync(links)) return new Set()
  const paths = readdirSync(links).map((name) => join(links, name))
  return new Set(paths.map((path) => withPin(path, (fd) => linkInfo(fd).programId)))
}
