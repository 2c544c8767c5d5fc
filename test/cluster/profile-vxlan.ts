import { podAddresses, podCidrs } from './addressing.ts'
import { lanMtu } from './lan.ts'
import { bridgeLines, bridgePod, moreBridgeAddresses } from './profile-bridge.ts'
import type { NodePlan, ProfileWiring } from './profile.ts'
import type { ClusterOptions, Family } from './types.ts'
import type { Inside } from './wiring.ts'

const devices: Readonly<Record<Family, string>> = { IPv4: 'flannel.1', IPv6: 'flannel-v6.1' }
/** What the overlay adds: IP, UDP and VXLAN headers and the inner Ethernet header. */
const overheads: Readonly<Record<Family, number>> = { IPv4: 50, IPv6: 70 }

/**
 * Flannel's overlay: cni0 on each node, one VXLAN device per family, and static routes, neighbours
 * and forwarding entries to every other node, so nothing is learned.
 */
export const vxlanWiring: ProfileWiring = {
  node(node, others) {
    const ip = bridgeLines(node, overlayMtu(node.options, 'IPv4'))
    const bridge: string[] = []
    for (const family of node.families) {
      const todo = overlay(node, others, family)
      ip.push(...todo.ip)
      bridge.push(...todo.bridge)
    }
    const inside: Inside = { ip, bridge }
    return { namespaces: [], links: [], inside: [[node.netns, inside]] }
  },
  pod: (pod) => {
    const { options } = pod.node
    return bridgePod(pod, overlayMtu(options, 'IPv4'), overlayMtu(options, 'IPv6'))
  },
  moreAddresses: moreBridgeAddresses,
}

function overlay(
  node: NodePlan,
  others: readonly NodePlan[],
  family: Family,
): { ip: string[]; bridge: string[] } {
  const device = devices[family]
  const mtu = overlayMtu(node.options, family)
  const ip = [
    `link add ${device} address ${vtepMac(node, family)} mtu ${mtu} type vxlan id 1 ` +
      `local ${node.addresses[family]} dev eth0 dstport 8472 nolearning`,
    `link set ${device} up`,
    `addr add ${vtep(node, family)} dev ${device}${family === 'IPv6' ? ' nodad' : ''}`,
  ]
  const bridge: string[] = []
  for (const other of others) {
    const mac = vtepMac(other, family)
    const via = podAddresses(other.n, 0)[family]
    ip.push(
      `route add ${podCidrs(other.n)[family]} via ${via} dev ${device} onlink`,
      `neigh add ${via} lladdr ${mac} dev ${device} nud permanent`,
    )
    bridge.push(`fdb append ${mac} dev ${device} dst ${other.addresses[family]}`)
  }
  return { ip, bridge }
}

function overlayMtu(options: ClusterOptions, family: Family): number {
  return lanMtu(options) - overheads[family]
}

function vtep(node: NodePlan, family: Family): string {
  const address = podAddresses(node.n, 0)[family]
  return family === 'IPv4' ? `${address}/32` : `${address}/128`
}

function vtepMac(node: NodePlan, family: Family): string {
  return `02:00:00:00:${family === 'IPv4' ? '04' : '06'}:${node.n.toString(16).padStart(2, '0')}`
}
