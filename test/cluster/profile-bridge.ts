import { podAddresses, podCidrs } from './addressing.ts'
import { lanMtu } from './lan.ts'
import { podSettings } from './settings.ts'
import type { NodePlan, PodPlan, ProfileWiring } from './profile.ts'
import type { Wiring } from './wiring.ts'

/** The bridge CNI: pods are ports of cni0, which is their gateway; nodes route to each other. */
export const bridgeWiring: ProfileWiring = {
  node: (node, others) => ({
    namespaces: [],
    links: [],
    inside: [
      [
        node.netns,
        { ip: [...bridgeLines(node, lanMtu(node.options)), ...routeLines(node, others)] },
      ],
    ],
  }),
  pod: (pod) => bridgePod(pod, lanMtu(pod.node.options)),
  moreAddresses: moreBridgeAddresses,
}

/** The bridge cni0 with the gateway addresses of the node's pods. */
export function bridgeLines(node: NodePlan, mtu: number): string[] {
  const gateway = podAddresses(node.n, 1)
  const mac = `0a:58:0a:f4:${hex(node.n)}:01` // fixed: it must not follow the ports' addresses
  return [
    `link add cni0 address ${mac} mtu ${mtu} type bridge`,
    'link set cni0 up',
    ...node.families.map((family) =>
      family === 'IPv4'
        ? `addr add ${gateway.IPv4}/24 dev cni0`
        : `addr add ${gateway.IPv6}/64 dev cni0 nodad`,
    ),
  ]
}

/** Routes through the LAN to the other nodes' pods. */
export function routeLines(node: NodePlan, others: readonly NodePlan[]): string[] {
  return others.flatMap((other) =>
    node.families.map((family) => {
      const to = podCidrs(other.n)[family]
      return `route add ${to} via ${other.uplinks[0]![family]} dev eth0`
    }),
  )
}

/** A pod whose eth0 is a port of cni0. */
export function bridgePod(pod: PodPlan, mtu: number, ipv6Mtu = mtu): Wiring {
  const { node, netns, hostDevice } = pod
  const gateway = podAddresses(node.n, 1)
  const lock = ipv6Mtu === mtu ? '' : ` mtu ${ipv6Mtu}`
  const ip = ['link set lo up', 'link set eth0 up']
  for (const family of node.families) {
    if (family === 'IPv4')
      ip.push(`addr add ${pod.addresses.IPv4}/24 dev eth0`, `route add default via ${gateway.IPv4}`)
    else
      ip.push(
        `addr add ${pod.addresses.IPv6}/64 dev eth0 nodad`,
        `route add ::/0 via ${gateway.IPv6}${lock}`,
      )
  }
  return {
    namespaces: [netns],
    links: [
      `link add eth0 netns ${netns} mtu ${mtu} type veth ` +
        `peer name ${hostDevice} netns ${node.netns} mtu ${mtu}`,
    ],
    inside: [
      [node.netns, { ip: [`link set ${hostDevice} master cni0 up`], ...offload(pod, hostDevice) }],
      [netns, { settings: podSettings(node.families), ip, ...offload(pod, 'eth0') }],
    ],
  }
}

/** More addresses on a bridged pod's eth0: the bridge finds them by ARP and ND. */
export function moreBridgeAddresses(
  pod: PodPlan,
  addresses: readonly { IPv4: string; IPv6: string }[],
): Wiring {
  const ip = addresses.flatMap((address) =>
    pod.node.families.map((family) =>
      family === 'IPv4'
        ? `addr add ${address.IPv4}/24 dev eth0`
        : `addr add ${address.IPv6}/64 dev eth0 nodad`,
    ),
  )
  return { namespaces: [], links: [], inside: [[pod.netns, { ip }]] }
}

/** Switches checksum offload of a device off where the cluster wants that. */
export function offload(pod: PodPlan, device: string): { checksumDevices?: string[] } {
  return pod.node.options.checksumOffload === 'off' ? { checksumDevices: [device] } : {}
}

function hex(n: number): string {
  return n.toString(16).padStart(2, '0')
}
