import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { closeFd, getPinned, pin, unpin } from '../datapath/native.ts'
import {
  attachTc,
  attachTcx,
  detachLink,
  detachTc,
  ensureClsact,
  queryTc,
  updateLink,
  type Direction,
} from '../datapath/native-attach.ts'
import { linkInfo, programInfo } from '../datapath/native-info.ts'
import type { Datapath } from '../datapath/programs.ts'
import type { Root } from '../datapath/root.ts'
import { messageOf, ShuntError } from '../errors.ts'

/** Our place among classic filters, where the kernel lacks tcx: `ks` in ASCII. */
export const tcIdentity = { handle: 1, priority: 0x6b73 } as const

/** What a device leads to decides which programs it gets. */
export type Role = 'pod' | 'uplink'

/** A device our programs belong on. */
export interface HookedDevice {
  readonly index: number
  readonly name: string
  readonly isEthernet: boolean
  readonly role: Role
}

export interface AttachReport {
  readonly attached: readonly HookedDevice[]
  readonly detached: readonly number[]
  /** Devices we could not attach to; tried again at the next sync. */
  readonly failed: readonly { readonly device: HookedDevice; readonly error: string }[]
}

export interface AttachOptions {
  readonly root: Root
  readonly datapath: Datapath
  readonly hasTcx: boolean
}

/** Which devices our programs are on; links are pinned, so this outlives the agent. */
export interface Attacher {
  /** Makes the attachments those of `wanted`; also finds programs that were taken off. */
  sync(wanted: readonly HookedDevice[]): AttachReport
  devices(): readonly HookedDevice[]
}

/**
 * Egress first, of all devices: a request that is translated before its answer can be turned back
 * (or before its second step can be done) is lost. They go in the opposite order.
 */
const attachOrder: readonly Direction[] = ['egress', 'ingress']
const detachOrder: readonly Direction[] = ['ingress', 'egress']

/** Starts from the links that an earlier agent has pinned. */
export function createAttacher(options: AttachOptions): Attacher {
  const attached = new Map<number, HookedDevice>()
  const place = options.hasTcx ? tcxPlace(options) : classicPlace(options)
  return {
    devices: () => [...attached.values()],
    sync(wanted) {
      const report = {
        attached: [] as HookedDevice[],
        detached: [] as number[],
        failed: [] as Failure[],
      }
      const indexes = new Set(wanted.map((device) => device.index))
      for (const index of place.known()) {
        if (indexes.has(index)) continue
        for (const direction of detachOrder) removeQuietly(place, index, direction)
        attached.delete(index)
        report.detached.push(index)
      }
      const fresh = new Set<HookedDevice>()
      const failed = new Map<HookedDevice, string>()
      for (const direction of attachOrder)
        for (const device of wanted) {
          if (failed.has(device)) continue
          try {
            if (place.ensure(device, direction)) fresh.add(device)
            attached.set(device.index, device)
          } catch (error) {
            failed.set(device, messageOf(error))
          }
        }
      report.attached.push(...[...fresh].filter((device) => !failed.has(device)))
      report.failed.push(...[...failed].map(([device, error]) => ({ device, error })))
      return report
    },
  }
}

/** The device may be gone, and its programs with it. */
function removeQuietly(place: Place, index: number, direction: Direction): void {
  try {
    place.remove(index, direction)
  } catch (error) {
    if (!(error instanceof ShuntError)) throw error
  }
}

interface Failure {
  readonly device: HookedDevice
  readonly error: string
}

/** One way of holding programs on devices. */
interface Place {
  /** Devices that may have our programs. */
  known(): number[]
  /** True: the program was not there. */
  ensure(device: HookedDevice, direction: Direction): boolean
  remove(index: number, direction: Direction): void
}

function programFor(datapath: Datapath, device: HookedDevice, direction: Direction): number {
  const programs = device.isEthernet ? datapath.ethernet : datapath.layer3()
  return programs[device.role][direction]
}

/**
 * tcx links: forward before everyone at ingress; reverse after everyone at egress, so that
 * others see the backend's own address both ways.
 */
function tcxPlace({ root, datapath }: AttachOptions): Place {
  const links = adoptLinks(root)
  const path = (index: number, direction: Direction): string =>
    join(root.links, `${index}_${direction}`)
  const drop = (name: string, pinned: string): void => {
    const fd = links.get(name)
    unpin(pinned)
    if (fd !== undefined) closeFd(fd)
    links.delete(name)
  }
  return {
    known: () => [...new Set([...links.keys()].map((name) => Number(name.split('_')[0])))],
    ensure(device, direction) {
      const name = `${device.index}_${direction}`
      const program = programFor(datapath, device, direction)
      const fd = links.get(name)
      if (fd !== undefined && linkInfo(fd).ifindex === device.index) {
        if (linkInfo(fd).programId !== programInfo(program).id) updateLink(fd, program)
        return false
      }
      drop(name, path(device.index, direction))
      const at = direction === 'ingress' ? 'first' : 'last'
      const link = attachTcx(program, device.index, direction, { at })
      pin(link, path(device.index, direction))
      links.set(name, link)
      return true
    },
    remove(index, direction) {
      const name = `${index}_${direction}`
      const fd = links.get(name)
      if (fd !== undefined && linkInfo(fd).ifindex === index) detachLink(fd)
      drop(name, path(index, direction))
    },
  }
}

function adoptLinks(root: Root): Map<string, number> {
  const names = readdirSync(root.links).filter((name) => /^\d+_(ingress|egress)$/.test(name))
  return new Map(names.map((name) => [name, getPinned(join(root.links, name))]))
}

/** clsact filters of a fixed handle and priority: replaced in place, found again after a restart. */
function classicPlace({ datapath }: AttachOptions): Place {
  const present = new Set<number>()
  const filterOf = (ifindex: number, direction: Direction) => ({
    ifindex,
    direction,
    ...tcIdentity,
  })
  return {
    known: () => [...present],
    ensure(device, direction) {
      const program = programFor(datapath, device, direction)
      const filter = filterOf(device.index, direction)
      ensureClsact(device.index)
      present.add(device.index)
      const before = queryTc(filter)
      if (before === programInfo(program).id) return false
      attachTc(program, filter)
      return before === undefined
    },
    remove(index, direction) {
      detachTc(filterOf(index, direction))
      present.delete(index)
    },
  }
}
