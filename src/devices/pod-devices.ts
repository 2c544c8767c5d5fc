import type { LinkTable } from './link-table.ts'
import { hardware } from './rtnetlink.ts'
import type { Link, LinkAddress } from './rtnetlink.ts'

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
  /** Names that are uplinks, instead of detecting those. */
  readonly uplinkGlobs?: readonly string[]
  /** Addresses of the node itself: the device that has one is an uplink. */
  readonly nodeAddresses: readonly string[]
}

/**
 * Which devices lead to pods? Without globs: host ends of veth pairs into other network
 * namespaces that are not the way out of the node (a node may itself be a container).
 */
export function choosePodDevices(table: LinkTable, choice: Choice): PodDevice[] {
  const uplinks = findUplinks(table, choice.nodeAddresses)
  const isNamed = nameTest(choice.globs)
  const isNamedUplink = nameTest(choice.uplinkGlobs ?? [])
  const isPodDevice = ({ index, kind, name, peerElsewhere }: Link): boolean =>
    kind === 'veth' && peerElsewhere && !uplinks.has(index) && !isNamedUplink(name)
  const links = [...table.links.values()]
  const chosen = links.filter((link) =>
    choice.globs.length > 0 ? isNamed(link.name) : isPodDevice(link),
  )
  return chosen.map(({ index, name, type, master }) => ({
    index,
    name,
    isEthernet: hasEthernetHeader(type),
    bridge: table.links.get(master)?.kind === 'bridge' ? master : 0,
  }))
}

/**
 * Devices that lead out of the node: by a default route, by an address of the node, or as a veth
 * with a subnet (what leads to one pod has no address, or one for itself alone).
 */
export function findUplinks(table: LinkTable, nodeAddresses: readonly string[]): Set<number> {
  const byRoute = table.defaultRoutes.flatMap(({ indexes }) => indexes)
  const byAddress = [...table.addresses.values()]
    .filter(
      (address) =>
        nodeAddresses.includes(address.address) ||
        (hasSubnet(address) && table.links.get(address.index)?.kind === 'veth'),
    )
    .map(({ index }) => index)
  return new Set([...byRoute, ...byAddress])
}

function hasSubnet({ scope, prefixLength, family }: LinkAddress): boolean {
  return scope === 'global' && prefixLength < (family === 'IPv4' ? 32 : 128)
}

/** Do packets of a device of this ARPHRD_* type begin with an Ethernet header? */
export function hasEthernetHeader(type: number): boolean {
  return type === hardware.ethernet || type === hardware.loopback
}

/** Whether a name matches one of these globs; `*` and `?` match as in a shell. */
export function nameTest(globs: readonly string[]): (name: string) => boolean {
  const patterns = globs.map(globPattern)
  return (name) => patterns.some((pattern) => pattern.test(name))
}

function globPattern(glob: string): RegExp {
  const escaped = glob.replace(/[.+^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^${escaped.replace(/\*/g, '.*').replace(/\?/g, '.')}$`)
}
