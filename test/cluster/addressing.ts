import type { Addresses, Family } from './types.ts'

/** All pods of all nodes. */
export const podRange: Addresses = { IPv4: '10.244.0.0/16', IPv6: 'fd00:244::/32' }
/** What Services have their cluster addresses from. */
export const serviceRange: Addresses = { IPv4: '10.96.0.0/16', IPv6: 'fd00:10:96::/112' }
export const allFamilies: readonly Family[] = ['IPv4', 'IPv6']

/** The LAN of the nodes' first uplinks, or of their second. */
export type LanNumber = 1 | 2

/** The addresses of member `n`, 1 to 254, of a LAN; 1 is its router. */
export function lanAddresses(n: number, lan: LanNumber = 1): Addresses {
  const subnet = lan === 1 ? 50 : 60
  return { IPv4: `192.168.${subnet}.${n}`, IPv6: `fd00:${subnet}::${n.toString(16)}` }
}

/** The addresses node `n` has when they belong to none of its uplinks. */
export function loopbackAddresses(n: number): Addresses {
  return { IPv4: `192.168.80.${n}`, IPv6: `fd00:80::${n.toString(16)}` }
}

/** The network behind far router `k` (from 1): member 1 is that router, 2 the client. */
export function farAddresses(k: number, member: 1 | 2): Addresses {
  return { IPv4: `192.168.${200 + k}.${member}`, IPv6: `fd00:${200 + k}::${member}` }
}

/** The link between the LAN's router, which is member 1, and far router `k`, member 2. */
export function farLinkAddresses(k: number, member: 1 | 2): Addresses {
  return { IPv4: `192.168.${100 + k}.${member}`, IPv6: `fd00:${100 + k}::${member}` }
}

/** What node `n` (from 1) gives to its pods. */
export function podCidrs(n: number): Addresses {
  return { IPv4: `10.244.${n}.0/24`, IPv6: `fd00:244:${n.toString(16)}::/64` }
}

/** Pod address `k` (1 is the gateway) of node `n`. */
export function podAddresses(n: number, k: number): Addresses {
  if (k > 254) throw new Error(`node ${n} has no address left for a pod`)
  return { IPv4: `10.244.${n}.${k}`, IPv6: `fd00:244:${n.toString(16)}::${k.toString(16)}` }
}

/** Service address `n` (from 1). */
export function serviceAddress(n: number, family: Family): string {
  if (n < 1 || n > 65_534) throw new Error(`the Service range has no address number ${n}`)
  return family === 'IPv4' ? `10.96.${n >> 8}.${n & 255}` : `fd00:10:96::${n.toString(16)}`
}

/** `10.0.0.1:80` or `[fd00::1]:80`. */
export function hostPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** The addresses with '' for each family the cluster does not have. */
export function only(families: readonly Family[], addresses: Addresses): Addresses {
  return {
    IPv4: families.includes('IPv4') ? addresses.IPv4 : '',
    IPv6: families.includes('IPv6') ? addresses.IPv6 : '',
  }
}
