import { lanAddresses, podCidrs, podRange } from './addressing.ts'
import { forwardingSettings, ipv6Settings, nodeSettings, outsideSettings } from './settings.ts'
import type { LanNumber } from './addressing.ts'
import type { NodePlan } from './profile.ts'
import type { Addresses, ClusterOptions, Family } from './types.ts'
import type { Inside, Wiring } from './wiring.ts'

/** What wiring needs to know of a LAN. */
export interface Lan {
  readonly number: LanNumber
  readonly netns: string
  readonly families: readonly Family[]
  readonly options: ClusterOptions
}

/** What wiring needs to know of a machine on a LAN. */
export interface Member {
  readonly netns: string
  readonly n: number
  readonly device: string
  /** Send everything else to the LAN's router. */
  readonly hasDefaultRoute: boolean
}

/** The LAN itself: a namespace with the bridge that is also everybody's router. */
export function lanWiring({ netns, number, families, options }: Lan): Wiring {
  const bridge = lanBridge(number)
  const inside: Inside = {
    settings: [
      ...outsideSettings(families),
      ...forwardingSettings(families),
      'bridge/bridge-nf-call-iptables=0',
      'bridge/bridge-nf-call-ip6tables=0',
    ],
    ip: [
      'link set lo up',
      `link add ${bridge} address 02:00:00:00:00:0${number} mtu ${lanMtu(options)} type bridge`,
      `link set ${bridge} up`,
      ...addressLines(families, lanAddresses(1, number), bridge),
    ],
  }
  return { namespaces: [netns], links: [], inside: [[netns, inside]] }
}

/** A member of the LAN, whose namespace exists, or will. */
export function memberWiring(lan: Lan, member: Member): Wiring {
  const { families, options } = lan
  const { netns, n, device } = member
  const mtu = lanMtu(options)
  const router = lanAddresses(1, lan.number)
  const defaultRoutes = families.map(
    (family) => `route add ${everything(family)} via ${router[family]} dev ${device}`,
  )
  return {
    namespaces: [],
    links: [
      `link add ${device} netns ${netns} mtu ${mtu} type veth ` +
        `peer name port${n} netns ${lan.netns} mtu ${mtu}`,
    ],
    inside: [
      [lan.netns, { ip: [`link set port${n} master ${lanBridge(lan.number)} up`] }],
      [
        netns,
        {
          settings: [...ipv6Settings(families), 'ipv4/tcp_tw_reuse=1'],
          ip: [
            'link set lo up',
            `link set ${device} up`,
            ...addressLines(families, lanAddresses(n, lan.number), device),
            ...(member.hasDefaultRoute ? defaultRoutes : []),
          ],
        },
      ],
    ],
  }
}

/** A node on its LANs, with the settings and the firewall its cluster asked for. */
export function nodeWiring(lans: readonly Lan[], node: NodePlan): Wiring[] {
  const { netns, families, options } = node
  const nft = ruleset(node)
  const late: Inside = {
    ...(nft === '' ? {} : { nft }),
    ...(options.checksumOffload === 'off' ? { checksumDevices: ['eth0'] } : {}),
  }
  const own: Wiring = {
    namespaces: [netns],
    links: [],
    inside: [
      [netns, { settings: nodeSettings(families, options) }],
      [netns, late],
    ],
  }
  const uplinks = lans.flatMap((lan, index) => {
    const member = { netns, n: lanNumber(node.n), device: `eth${index}` }
    const wiring = memberWiring(lan, { ...member, hasDefaultRoute: index === 0 })
    return options.xdp ? [wiring, xdpWiring(lan, member)] : [wiring]
  })
  return [own, ...uplinks, extraAddressing(node)]
}

/**
 * Native XDP can transmit out of a veth only while the other end receives by XDP too, and what a
 * sender leaves to its hardware (checksums, segmentation) it would never see done.
 */
function xdpWiring(lan: Lan, { netns, n, device }: Omit<Member, 'hasDefaultRoute'>): Wiring {
  return {
    namespaces: [],
    links: [],
    inside: [
      [lan.netns, { checksumDevices: [`port${n}`], xdpDevices: [`port${n}`] }],
      [netns, { checksumDevices: [device] }],
    ],
  }
}

/** Addresses on lo, and answers that leave by the uplink whose address they have. */
function extraAddressing({ netns, families, options, addresses, uplinks }: NodePlan): Wiring {
  const ip: string[] = []
  const ip6: string[] = []
  for (const family of families) {
    const rules = family === 'IPv6' ? ip6 : ip
    if (options.nodeAddress === 'loopback')
      ip.push(
        `addr add ${addresses[family]}/${family === 'IPv6' ? '128 nodad' : 32} dev lo`,
        `route replace ${everything(family)} via ${lanAddresses(1)[family]} dev eth0 ` +
          `src ${addresses[family]}`,
      )
    if (options.policyRouting && uplinks[1])
      rules.push(
        `route add default via ${lanAddresses(1, 2)[family]} dev eth1 table 102`,
        `rule add from ${uplinks[1][family]} lookup 102`,
      )
  }
  return { namespaces: [], links: [], inside: [[netns, { ip, ip6 }]] }
}

/** Routes of a member of the first LAN to the nodes' addresses that are on no LAN. */
export function loopbackRoutes(netns: string, nodes: readonly NodePlan[]): Wiring {
  const apart = nodes.filter((node) => node.options.nodeAddress === 'loopback')
  const ip = apart.flatMap((node) =>
    node.families.map((family) => {
      const bits = family === 'IPv6' ? 128 : 32
      return `route add ${node.addresses[family]}/${bits} via ${node.uplinks[0]![family]}`
    }),
  )
  return { namespaces: [], links: [], inside: [[netns, { ip }]] }
}

/** Which member of the LAN node `n` is. */
export function lanNumber(n: number): number {
  return 10 + n
}

/** How large packets of the LANs may be. */
export function lanMtu(options: ClusterOptions): number {
  return options.mtu ?? 1500
}

/** Lines of `ip -batch` that give a device its addresses. */
export function addressLines(
  families: readonly Family[],
  address: Addresses,
  device: string,
): string[] {
  return families.map((family) =>
    family === 'IPv4'
      ? `addr add ${address.IPv4}/24 dev ${device}`
      : `addr add ${address.IPv6}/64 dev ${device} nodad`,
  )
}

/** The default destination as `ip` takes it in a batch of both families. */
export function everything(family: Family): string {
  return family === 'IPv6' ? '::/0' : 'default'
}

function lanBridge(lan: LanNumber): string {
  return lan === 1 ? 'lan0' : 'lan1'
}

function ruleset({ n, options }: NodePlan): string {
  const pods = podCidrs(n)
  const chains: string[] = []
  if (options.firewall)
    chains.push(`chain forward {
      type filter hook forward priority 0; policy accept;
      ct state invalid counter drop
      ct state established,related accept
    }`)
  if (options.masquerade)
    chains.push(`chain postrouting {
      type nat hook postrouting priority 100; policy accept;
      ip saddr ${pods.IPv4} ip daddr != ${podRange.IPv4} masquerade
      ip6 saddr ${pods.IPv6} ip6 daddr != ${podRange.IPv6} masquerade
    }`)
  return chains.length === 0 ? '' : `table inet node {\n${chains.join('\n')}\n}`
}
