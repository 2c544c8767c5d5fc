import type { LinkTable } from './link-table.ts'
import { hardware } from './rtnetlink.ts'

/** A device our programs belong on. */
export interface PodDevice {
  readonly index: number
  readonly name: string
  /** Its packets begin with an Ethernet header. */
  readonly isEthernet: boolean
  /** The bridge it is a port of; 0: none. */
  readonly bridge: number
}

export interface Choice {
  /** Names to take instead of detection; `*` and `?` match as in a shell. */
  readonly globs: readonly string[]
  /** Addresses of the node itself: the device that has one is an uplink. */
  readonly nodeAddresses: readonly string[]
}

/**
 * Which devices lead to pods? Without globs: host ends of veth pairs into other network
 * namespaces that are not the way out of the node (a node may itself be a container).
 */
export function choosePodDevices(table: LinkTable, choice: Choice): PodDevice[] {
  const uplinks = findUplinks(table, choice.nodeAddresses)
  const patterns = choice.globs.map(globPattern)
  const links = [...table.links.values()]
  const chosen = links.filter((link) =>
    patterns.length > 0
      ? patterns.some((pattern) => pattern.test(link.name))
      : link.kind === 'veth' && link.peerElsewhere && !uplinks.has(link.index),
  )
  return chosen.map(({ index, name, type, master }) => ({
    index,
    name,
    isEthernet: type === hardware.ethernet || type === hardware.loopback,
    bridge: table.links.get(master)?.kind === 'bridge' ? master : 0,
  }))
}

/** Devices that lead out of the node: by a default route, or by an address of the node. */
export function findUplinks(table: LinkTable, nodeAddresses: readonly string[]): Set<number> {
  const byRoute = table.defaultRoutes.flatMap(({ indexes }) => indexes)
  const byAddress = [...table.addresses.values()]
    .filter(({ address }) => nodeAddresses.includes(address))
    .map(({ index }) => index)
  return new Set([...byRoute, ...byAddress])
}

function globPattern(glob: string): RegExp {
  const escaped = glob.replace(/[.+^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^${escaped.replace(/\*/g, '.*').replace(/\?/g, '.')}$`)
}
