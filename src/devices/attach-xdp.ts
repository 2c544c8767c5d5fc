import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { closeFd, getPinned, pin, unpin } from '../datapath/native.ts'
import { attachXdp, detachLink, updateLink } from '../datapath/native-attach.ts'
import { linkInfo, programInfo } from '../datapath/native-info.ts'
import type { Datapath } from '../datapath/programs.ts'
import type { Root } from '../datapath/root.ts'
import { messageOf, ShuntError } from '../errors.ts'
import type { Link } from './rtnetlink.ts'
import type { Uplink } from './uplinks.ts'

/** How XDP is wanted; auto: natively, where the driver of a card can. */
export type XdpWish = 'off' | 'auto' | 'native' | 'generic'

/** An uplink and what its frames look like. */
export type XdpDevice = Uplink & Pick<Link, 'mac' | 'mtu'>

export interface XdpReport {
  readonly attached: readonly XdpDevice[]
  readonly detached: readonly number[]
  /** Tried again at the next sync, and told once. */
  readonly failed: readonly { readonly device: XdpDevice; readonly error: string }[]
}

export interface XdpAttacher {
  /** Makes the attachments those that are wanted of these uplinks. */
  readonly sync: (uplinks: readonly XdpDevice[]) => XdpReport
  /** Devices that have the program. */
  readonly devices: () => readonly number[]
}

export interface XdpOptions {
  readonly root: Root
  readonly datapath: Datapath
  readonly wish: XdpWish
}

const suffix = '_xdp'

/** Starts from the links that an earlier agent has pinned. */
export function createXdpAttacher(options: XdpOptions): XdpAttacher {
  const links = openLinks(options)
  const told = new Map<number, string>()
  return {
    devices: links.devices,
    sync(uplinks) {
      const wanted = uplinks.filter((device) => isWanted(device, options.wish))
      const indexes = new Set(wanted.map(({ index }) => index))
      const detached = links.devices().filter((index) => !indexes.has(index))
      detached.forEach(links.remove)
      const attached: XdpDevice[] = []
      const failed: { device: XdpDevice; error: string }[] = []
      for (const device of wanted) {
        try {
          if (links.ensure(device)) attached.push(device)
          told.delete(device.index)
        } catch (error) {
          const reason = messageOf(error)
          if (told.get(device.index) !== reason) failed.push({ device, error: reason })
          told.set(device.index, reason)
        }
      }
      return { attached, detached, failed }
    },
  }
}

/** The links of XDP programs by device. */
interface Links {
  readonly devices: () => number[]
  /** True: the program was not there. */
  readonly ensure: (device: XdpDevice) => boolean
  readonly remove: (index: number) => void
}

function openLinks({ root, datapath, wish }: XdpOptions): Links {
  const links = adoptLinks(root)
  const path = (index: number): string => join(root.links, `${index}${suffix}`)
  const remove = (index: number): void => {
    const fd = links.get(index)
    links.delete(index)
    unpin(path(index))
    if (fd === undefined) return
    detachQuietly(fd)
    closeFd(fd)
  }
  return {
    devices: () => [...links.keys()],
    remove,
    ensure(device) {
      const program = datapath.xdp(device)
      const fd = links.get(device.index)
      if (fd !== undefined && linkInfo(fd).ifindex === device.index) {
        if (linkInfo(fd).programId !== programInfo(program).id) updateLink(fd, program)
        return false
      }
      remove(device.index)
      const link = attachXdp(program, device.index, wish === 'generic' ? 'generic' : 'native')
      pin(link, path(device.index))
      links.set(device.index, link)
      return true
    },
  }
}

/*
 * A veth sends nothing back by XDP unless its other end is prepared for it, which nobody can see
 * from here: only who asks for native XDP gets it there.
 */
function isWanted({ isEthernet, isTunnel, kind }: XdpDevice, wish: XdpWish): boolean {
  if (wish === 'off' || !isEthernet || isTunnel) return false
  return wish !== 'auto' || kind === undefined
}

/** The device may be gone, and its link with it. */
function detachQuietly(fd: number): void {
  try {
    if (linkInfo(fd).ifindex !== 0) detachLink(fd)
  } catch (error) {
    if (!(error instanceof ShuntError)) throw error
  }
}

function adoptLinks(root: Root): Map<number, number> {
  const names = readdirSync(root.links).filter((name) => name.endsWith(suffix))
  return new Map(
    names.map((name) => [Number(name.slice(0, -suffix.length)), getPinned(join(root.links, name))]),
  )
}
