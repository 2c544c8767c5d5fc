import { podCidrs } from './addressing.ts'
import { lanMtu } from './lan.ts'
import { offload, routeLines } from './profile-bridge.ts'
import { podSettings } from './settings.ts'
import type { PodPlan, ProfileWiring } from './profile.ts'
import type { Addresses } from './types.ts'
import type { Wiring } from './wiring.ts'

const hostMac = 'ee:ee:ee:ee:ee:ee'
const hostLinkLocal = 'fe80::ecee:eeff:feee:eeee' // what the kernel makes of that MAC

/**
 * Calico's wiring: no bridge; each pod is a routed veth, its gateway 169.254.1.1 exists nowhere
 * and is answered by proxy ARP, and the node has one host route per pod.
 */
export const ptpWiring: ProfileWiring = {
  node: (node, others) => ({
    namespaces: [],
    links: [],
    inside: [
      [
        node.netns,
        {
          ip: [
            ...routeLines(node, others),
            ...node.families.map(
              (family) => `route add blackhole ${podCidrs(node.n)[family]} proto 80`,
            ),
          ],
        },
      ],
    ],
  }),
  pod: podWiring,
  moreAddresses: (pod, addresses) => ({
    namespaces: [],
    links: [],
    inside: [
      [pod.netns, { ip: addresses.flatMap((each) => addressLines(pod, each)) }],
      [pod.node.netns, { ip: addresses.flatMap((each) => hostRoutes(pod, each)) }],
    ],
  }),
}

function podWiring(pod: PodPlan): Wiring {
  const { node, netns, hostDevice } = pod
  const ip = ['link set lo up', 'link set eth0 up', ...addressLines(pod, pod.addresses)]
  if (node.families.includes('IPv4'))
    ip.push(
      'route add 169.254.1.1 dev eth0 scope link',
      'route add default via 169.254.1.1 dev eth0',
    )
  if (node.families.includes('IPv6')) ip.push(`route add ::/0 via ${hostLinkLocal} dev eth0`)
  return {
    namespaces: [netns],
    links: [
      `link add eth0 netns ${netns} mtu ${lanMtu(node.options)} type veth peer name ${hostDevice} ` +
        `address ${hostMac} netns ${node.netns} mtu ${lanMtu(node.options)}`,
    ],
    inside: [
      [
        node.netns,
        {
          ip: [`link set ${hostDevice} up`, ...hostRoutes(pod, pod.addresses)],
          deviceSettings: proxySettings(pod),
          ...offload(pod, hostDevice),
        },
      ],
      [netns, { settings: podSettings(node.families), ip, ...offload(pod, 'eth0') }],
    ],
  }
}

function addressLines(pod: PodPlan, address: Addresses): string[] {
  return pod.node.families.map((family) =>
    family === 'IPv4'
      ? `addr add ${address.IPv4}/32 dev eth0`
      : `addr add ${address.IPv6}/128 dev eth0 nodad`,
  )
}

function hostRoutes(pod: PodPlan, address: Addresses): string[] {
  return pod.node.families.map((family) =>
    family === 'IPv4'
      ? `route add ${address.IPv4}/32 dev ${pod.hostDevice} scope link`
      : `route add ${address.IPv6}/128 dev ${pod.hostDevice}`,
  )
}

function proxySettings({ node, hostDevice }: PodPlan): string[] {
  const ipv4 = [`ipv4/conf/${hostDevice}/proxy_arp=1`, `ipv4/neigh/${hostDevice}/proxy_delay=0`]
  const ipv6 = [`ipv6/conf/${hostDevice}/proxy_ndp=1`]
  return [
    ...(node.families.includes('IPv4') ? ipv4 : []),
    ...(node.families.includes('IPv6') ? ipv6 : []),
  ]
}
