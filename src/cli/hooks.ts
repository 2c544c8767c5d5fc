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
  readonly direction: Direction
  /** False: the device is gone, or someone took the program off. */
  readonly isAttached: boolean
}

/** Our programs on devices, as their pinned links tell. */
export async function readHooks(root: Root): Promise<Hook[]> {
  if (!existsSync(root.links)) return []
  const { links } = await readLinks()
  const hooks = readdirSync(root.links).flatMap((name): Hook[] => {
    const match = /^(\d+)_(ingress|egress)$/.exec(name)
    if (match === null) return []
    const ifindex = Number(match[1])
    const direction = match[2] as Direction // the pattern has these two
    const path = join(root.links, name)
    const isAttached = withPin(path, (fd) => linkInfo(fd).ifindex === ifindex)
    return [{ path, ifindex, device: links.get(ifindex)?.name, direction, isAttached }]
  })
  return hooks.sort((a, b) => a.ifindex - b.ifindex || (a.direction < b.direction ? 1 : -1))
}
