import type { LinkTable } from './link-table.ts'
import { choosePodDevices, findUplinks, hasEthernetHeader, nameTest } from './pod-devices.ts'
import type { Choice } from './pod-devices.ts'
import type { Link } from './rtnetlink.ts'

/** A device between the node and the rest of the world, other nodes included. */
export interface Uplink {
  readonly index: number
  readonly name: string
  /** Its packets begin with an Ethernet header; those of layer 3 devices with their IP header. */
  readonly isEthernet: boolean
  /** As the kernel calls it, 'vxlan', 'bond', 'vlan' ...; undefined: hardware. */
  readonly kind: string | undefined
  /** Packets leave the node inside packets of another uplink. */
  readonly isTunnel: boolean
}

const tunnelKinds = new Set([
  ...['vxlan', 'geneve', 'gre', 'gretap', 'erspan', 'ip6gre', 'ip6gretap', 'ip6erspan'],
  ...['ipip', 'sit', 'ip6tnl', 'vti', 'vti6', 'xfrm', 'wireguard', 'tun', 'bareudp', 'gtp'],
])
/** Devices that stand for those below them, and have the packets of all. */
const aggregateKinds = new Set(['bond', 'team'])
/** No packet of these comes from anywhere else. */
const inertKinds = new Set(['dummy', 'ifb', 'nlmon', 'vrf', 'vcan', 'vxcan'])

/** Which devices lead out of the node? With globs: those named so; else what they are tells. */
export function chooseUplinks(table: LinkTable, choice: Choice): readonly Uplink[] {
  const globs = choice.uplinkGlobs ?? []
  const isNamed = nameTest(globs)
  const pods = new Set(choosePodDevices(table, choice).map(({ index }) => index))
  const outward = findUplinks(table, choice.nodeAddresses)
  const addressed = addressedDevices(table)
  return [...table.links.values()]
    .filter((link) => {
      if (link.loopback || pods.has(link.index)) return false
      if (globs.length > 0) return isNamed(link.name)
      if (inertKinds.has(link.kind ?? '') || isPort(table, link)) return false
      return outward.has(link.index) || isOutward(table, link, addressed.has(link.index))
    })
    .map((link) => ({
      index: link.index,
      name: link.name,
      isEthernet: hasEthernetHeader(link.type),
      kind: link.kind,
      isTunnel: tunnelKinds.has(link.kind ?? ''),
    }))
}

/** The usual UDP ports of tunnels, by kind; VXLAN has had two. */
const portsOfKind: ReadonlyMap<string, readonly number[]> = new Map([
  ['vxlan', [4789, 8472]],
  ['geneve', [6081]],
])

/** UDP ports of tunnels: their outside need not be looked at, for what is inside comes by again. */
export function tunnelPortsOf(uplinks: readonly Pick<Uplink, 'kind'>[]): readonly number[] {
  const kinds = new Set(uplinks.map(({ kind }) => kind ?? ''))
  return [...kinds].flatMap((kind) => portsOfKind.get(kind) ?? []).sort()
}

/** Does a device that has no default route and no address of the node lead out nevertheless? */
function isOutward(table: LinkTable, link: Link, isAddressed: boolean): boolean {
  switch (link.kind) {
    case 'veth':
    case 'netkit':
      return false // one with a subnet was found already
    case 'bridge':
      return [...table.links.values()].some((port) => port.master === link.index && isWire(port))
    case 'tun':
      return isAddressed || (link.up && !hasEthernetHeader(link.type)) // taps are for VMs
    default:
      return isAddressed || (link.up && (isWire(link) || tunnelKinds.has(link.kind ?? '')))
  }
}

/** A card, cards taken together, or a VLAN of one: even without an address, as macvlans' parent. */
function isWire(link: Link): boolean {
  const isCard = link.kind === undefined && hasEthernetHeader(link.type)
  return isCard || link.kind === 'vlan' || aggregateKinds.has(link.kind ?? '')
}

/** The packets of a port are its master's; a VRF only routes. */
function isPort(table: LinkTable, { master }: Link): boolean {
  return master !== 0 && table.links.get(master)?.kind !== 'vrf'
}

function addressedDevices(table: LinkTable): Set<number> {
  const global = [...table.addresses.values()].filter(({ scope }) => scope === 'global')
  return new Set(global.map(({ index }) => index))
}
