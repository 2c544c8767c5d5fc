import type { Addresses, Family } from './types.ts'

/** All pods of all nodes. */
export const podRange: Addresses = { IPv4: '10.244.0.0/16', IPv6: 'fd00:244::/32' }
/** The router's addresses on the LAN. */
export const routerAddresses: Addresses = lanAddresses(1)
export const allFamilies: readonly Family[] = ['IPv4', 'IPv6']

/** The addresses of LAN member `n`, 1 to 254. */
export function lanAddresses(n: number): Addresses {
  return { IPv4: `192.168.50.${n}`, IPv6: `fd00:50::${n.toString(16)}` }
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
