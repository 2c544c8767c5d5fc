import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { farAddresses, farLinkAddresses, lanAddresses, only } from './addressing.ts'
import { addressLines, everything, lanMtu, loopbackRoutes, memberWiring } from './lan.ts'
import { makePlace } from './place.ts'
import { forwardingSettings, outsideSettings } from './settings.ts'
import { joinWirings, wireUp } from './wiring.ts'
import type { LanNumber } from './addressing.ts'
import type { Lan } from './lan.ts'
import type { NodePlan } from './profile.ts'
import type { ClusterRecord } from './record.ts'
import type { Addresses, Cluster, FarClient, Family, Place, VipRoutes } from './types.ts'
import type { Inside, Wiring } from './wiring.ts'

/** Where machines outside the cluster belong. */
export interface Outskirts {
  readonly record: ClusterRecord
  readonly lans: readonly { readonly lan: Lan; readonly place: Place }[]
  readonly nodes: readonly NodePlan[]
}

type Adding = Pick<Cluster, 'addMachine' | 'addOutsideClient' | 'addFarClient'>

/** How a cluster gets machines that are no part of it. */
export function outskirtsKeeping(outskirts: Outskirts): Adding {
  let member = 200
  let far = 1
  return {
    addMachine: (name) => addMember(outskirts, { name, n: member++, lan: 1 }, true),
    async addOutsideClient(name, options = {}) {
      const { lan = 1 } = options
      const place = await addMember(outskirts, { name, n: member++, lan }, false)
      return { ...place, ...vipRoutes(place, lan) }
    },
    addFarClient: (name, options = {}) =>
      addFarClient(outskirts, { name, k: far++, mtu: options.mtu ?? 1300 }),
  }
}

async function addMember(
  outskirts: Outskirts,
  about: { readonly name: string; readonly n: number; readonly lan: LanNumber },
  hasDefaultRoute: boolean,
): Promise<Place> {
  const { name, n } = about
  const { lan } = lanOf(outskirts, about.lan)
  const addresses = only(lan.families, lanAddresses(n, lan.number))
  const place = machinePlace(outskirts.record, name, addresses)
  const { netns } = place
  const settings: Inside = { settings: outsideSettings(lan.families) }
  await wireUp(
    joinWirings(
      { namespaces: [netns], links: [], inside: [[netns, settings]] },
      memberWiring(lan, { netns, n, device: 'eth0', hasDefaultRoute }),
      loopbackRoutes(netns, lan.number === 1 ? outskirts.nodes : []),
    ),
  )
  return place
}

async function addFarClient(
  outskirts: Outskirts,
  about: { readonly name: string; readonly k: number; readonly mtu: number },
): Promise<FarClient> {
  const { lan, place } = lanOf(outskirts, 1)
  const { name, k } = about
  const link = only(lan.families, farLinkAddresses(k, 2))
  const router = machinePlace(outskirts.record, `${name}-router`, link)
  const client = machinePlace(outskirts.record, name, only(lan.families, farAddresses(k, 2)))
  await wireUp(farWiring(lan, { ...about, router: router.netns, client: client.netns }))
  return { ...client, router, ...vipRoutes(place, 1) }
}

interface FarPlan {
  readonly k: number
  /** Of the link between the routers. */
  readonly mtu: number
  readonly router: string
  readonly client: string
}

/** LAN router - link of a small MTU - far router - link of the LAN's MTU - far client. */
function farWiring(lan: Lan, far: FarPlan): Wiring {
  const { k, router, client } = far
  const mtu = lanMtu(lan.options)
  return {
    namespaces: [router, client],
    links: [
      `link add near netns ${router} mtu ${far.mtu} type veth ` +
        `peer name far${k} netns ${lan.netns} mtu ${far.mtu}`,
      `link add eth0 netns ${client} mtu ${mtu} type veth ` +
        `peer name behind netns ${router} mtu ${mtu}`,
    ],
    inside: [
      [lan.netns, nearEnd(lan.families, k)],
      [router, farRouter(lan.families, k)],
      [client, farEnd(lan.families, k)],
    ],
  }
}

function nearEnd(families: readonly Family[], k: number): Inside {
  const next = farLinkAddresses(k, 2)
  const behind = farAddresses(k, 1)
  return {
    ip: [
      `link set far${k} up`,
      ...addressLines(families, farLinkAddresses(k, 1), `far${k}`),
      ...families.map((family) => `route add ${subnet(behind[family])} via ${next[family]}`),
    ],
  }
}

function farRouter(families: readonly Family[], k: number): Inside {
  return {
    settings: [...outsideSettings(families), ...forwardingSettings(families)],
    ip: [
      ...['lo', 'near', 'behind'].map((device) => `link set ${device} up`),
      ...addressLines(families, farLinkAddresses(k, 2), 'near'),
      ...addressLines(families, farAddresses(k, 1), 'behind'),
      ...defaultRoutes(families, farLinkAddresses(k, 1)),
    ],
  }
}

function farEnd(families: readonly Family[], k: number): Inside {
  return {
    settings: outsideSettings(families),
    ip: [
      ...['lo', 'eth0'].map((device) => `link set ${device} up`),
      ...addressLines(families, farAddresses(k, 2), 'eth0'),
      ...defaultRoutes(families, farAddresses(k, 1)),
    ],
  }
}

function defaultRoutes(families: readonly Family[], via: Addresses): string[] {
  return families.map((family) => `route add ${everything(family)} via ${via[family]}`)
}

/** Routes of a place on a LAN by nodes of that LAN; replacing one is a fail-over. */
function vipRoutes(place: Place, lan: LanNumber): VipRoutes {
  return {
    async routeVia(node, cidrs) {
      const uplink = node.uplinks[lan - 1]
      if (!uplink) throw new Error(`${node.netns} has no uplink on LAN ${lan}`)
      const lines = cidrs.map((cidr) => {
        const via = uplink.addresses[cidr.includes(':') ? 'IPv6' : 'IPv4']
        return `route replace ${cidr} via ${via}`
      })
      await place.exec(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` })
    },
    async unroute(cidrs) {
      const lines = cidrs.map((cidr) => `route del ${cidr}`)
      await place.exec(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` })
    },
  }
}

function machinePlace(record: ClusterRecord, name: string, addresses: Place['addresses']): Place {
  const cgroup = join(record.cgroup, 'machines', name)
  mkdirSync(cgroup, { recursive: true })
  return makePlace(`${record.prefix}${name}`, { name, cgroup, addresses })
}

function lanOf(outskirts: Outskirts, number: LanNumber): { lan: Lan; place: Place } {
  const found = outskirts.lans[number - 1]
  if (!found) throw new Error(`the cluster has no LAN ${number}: ask for two uplinks`)
  return found
}

function subnet(router: string): string {
  return router.includes(':') ? router.replace(/::.*/, '::/64') : router.replace(/\d+$/, '0/24')
}
