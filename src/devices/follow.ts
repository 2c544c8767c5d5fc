import type { Attacher, AttachReport, HookedDevice } from './attach.ts'
import type { XdpAttacher, XdpDevice, XdpReport } from './attach-xdp.ts'
import type { DeviceMaps } from './device-maps.ts'
import { choosePodDevices, type Choice } from './pod-devices.ts'
import type { LinkTable } from './link-table.ts'
import { snatAddresses, type SnatAddresses } from './snat-addresses.ts'
import { chooseUplinks, tunnelPortsOf, type Uplink } from './uplinks.ts'
import { watchLinks } from './watch-links.ts'

export interface FollowOptions {
  readonly attacher: Attacher
  readonly xdp: XdpAttacher
  readonly maps: DeviceMaps
  readonly setTunnelPorts: (ports: readonly number[]) => void
  readonly choice: () => Choice
  readonly synced: (report: AttachReport, xdp: XdpReport) => void
  /** Devices cannot be followed any more. */
  readonly failed: (error: Error) => void
  /** How often to look whether somebody took our programs off. */
  readonly checkMilliseconds: number
}

export interface Following {
  /** Settles when the devices of the start have our programs. */
  readonly ready: Promise<void>
  /** The choice may have changed. */
  recheck(): void
  close(): void
}

/** Keeps our programs on every pod device and uplink as devices come, go, and change. */
export function followDevices(options: FollowOptions): Following {
  let isDue = false
  let isReady = false
  const sync = (): void => {
    isDue = false
    if (!isReady) return
    try {
      const choice = options.choice()
      const pods = choosePodDevices(watch.table, choice)
      const uplinks = chooseUplinks(watch.table, choice)
      options.maps.setBridges(pods)
      options.maps.setUplinks(uplinkAddresses(watch.table, uplinks, choice.nodeAddresses))
      options.setTunnelPorts(tunnelPortsOf(uplinks))
      const report = options.attacher.sync(hookedDevices(pods, uplinks))
      options.synced(report, options.xdp.sync(withFrames(watch.table, uplinks)))
    } catch (error) {
      options.failed(error instanceof Error ? error : new Error(String(error)))
    }
  }
  /* The events at hand share one sync. */
  const recheck = (): void => {
    if (isDue || !isReady) return
    isDue = true
    setImmediate(sync)
  }
  const watch = watchLinks({ onChange: recheck, onOverrun: recheck, onError: options.failed })
  const timer = setInterval(recheck, options.checkMilliseconds)
  const ready = watch.ready.then(() => {
    isReady = true
    sync()
  })
  return {
    ready,
    recheck,
    close() {
      clearInterval(timer)
      watch.close()
      isReady = false
    },
  }
}

function hookedDevices(
  pods: readonly Omit<HookedDevice, 'role'>[],
  uplinks: readonly Omit<HookedDevice, 'role'>[],
): HookedDevice[] {
  return [
    ...pods.map((device) => ({ ...device, role: 'pod' as const })),
    ...uplinks.map((device) => ({ ...device, role: 'uplink' as const })),
  ]
}

function withFrames(table: LinkTable, uplinks: readonly Uplink[]): XdpDevice[] {
  return uplinks.flatMap((uplink) => {
    const link = table.links.get(uplink.index)
    return link === undefined ? [] : [{ ...uplink, mac: link.mac, mtu: link.mtu }]
  })
}

/* Entry 0 is for routes that leave by another device: what the node is called elsewhere. */
function uplinkAddresses(
  table: LinkTable,
  uplinks: readonly Uplink[],
  nodeAddresses: readonly string[],
): ReadonlyMap<number, SnatAddresses> {
  const named = snatAddresses(table, uplinks, nodeAddresses)
  const usual = snatAddresses(table, [{ index: 0 }], nodeAddresses).get(0)
  const first = [...named.values()]
  const ipv4 = usual?.ipv4 ?? first.find((addresses) => addresses.ipv4 !== undefined)?.ipv4
  const ipv6 = usual?.ipv6 ?? first.find((addresses) => addresses.ipv6 !== undefined)?.ipv6
  const elsewhere = { ...(ipv4 !== undefined && { ipv4 }), ...(ipv6 !== undefined && { ipv6 }) }
  return new Map([[0, elsewhere], ...named])
}
