import { lanAddresses, podCidrs, podRange, routerAddresses } from './addressing.ts'
import { forwardingSettings, ipv6Settings, nodeSettings } from './settings.ts'
import type { NodePlan } from './profile.ts'
import type { Addresses, Family } from './types.ts'
import type { Inside, Wiring } from './wiring.ts'

/** The LAN itself: a namespace with the bridge that is also everybody's router. */
export function lanWiring(netns: string, families: readonly Family[]): Wiring {
  const inside: Inside = {
    settings: [
      ...ipv6Settings(families),
      ...forwardingSettings(families),
      'bridge/bridge-nf-call-iptables=0',
      'bridge/bridge-nf-call-ip6tables=0',
    ],
    ip: [
      'link set lo up',
      'link add lan0 address 02:00:00:00:00:01 type bridge',
      'link set lan0 up',
      ...addressLines(families, routerAddresses, 'lan0'),
    ],
  }
  return { namespaces: [netns], links: [], inside: [[netns, inside]] }
}

/** A member of the LAN: eth0 is its uplink, the router its default route. */
export function memberWiring(
  lan: string,
  member: { netns: string; n: number; families: readonly Family[] },
): Wiring {
  const { netns, n, families } = member
  const defaultRoutes = families.map(
    (family) =>
      `route add ${family === 'IPv6' ? '::/0' : 'default'} via ${routerAddresses[family]} dev eth0`,
  )
  return {
    namespaces: [netns],
    links: [`link add eth0 netns ${netns} type veth peer name port${n} netns ${lan}`],
    inside: [
      [lan, { ip: [`link set port${n} master lan0 up`] }],
      [
        netns,
        {
          settings: [...ipv6Settings(families), 'ipv4/tcp_tw_reuse=1'],
          ip: [
            'link set lo up',
            'link set eth0 up',
            ...addressLines(families, lanAddresses(n), 'eth0'),
            ...defaultRoutes,
          ],
        },
      ],
    ],
  }
}

/** A node on the LAN, with the settings and the firewall its cluster asked for. */
export function nodeWiring(lan: string, node: NodePlan): Wiring {
  const { netns, families, options } = node
  const member = memberWiring(lan, { netns, n: lanNumber(node.n), families })
  const nft = ruleset(node)
  const settings = nodeSettings(families, options)
  const late: Inside = {
    ...(nft === '' ? {} : { nft }),
    ...(options.checksumOffload === 'off' ? { checksumDevices: ['eth0'] } : {}),
  }
  return { ...member, inside: [...member.inside, [netns, { settings }], [netns, late]] }
}

/** Which member of the LAN node `n` is. */
export function lanNumber(n: number): number {
  return 10 + n
}

function addressLines(families: readonly Family[], address: Addresses, device: string): string[] {
  return families.map((family) =>
    family === 'IPv4'
      ? `addr add ${address.IPv4}/24 dev ${device}`
      : `addr add ${address.IPv6}/64 dev ${device} nodad`,
  )
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
