import { addressScope, familyOf } from '../model/address.ts'
import { rangeTest } from '../model/ranges.ts'
import type { LinkTable } from './link-table.ts'
import type { LinkAddress, NetFamily } from './rtnetlink.ts'

/** What a node sends from by one device; no address: it has none of that family. */
export interface SnatAddresses {
  readonly ipv4?: string
  readonly ipv6?: string
}

/**
 * What the node sends from by each of these devices when the kernel chooses: what the default
 * route says; else a primary address of the device, preferably on the gateway's subnet; else the
 * node's own address. For IPv6 the kernel goes by the destination as well: of several addresses
 * it is the node's own, a public one before a private one, the lowest.
 */
export function snatAddresses(
  table: LinkTable,
  devices: Iterable<{ readonly index: number }>,
  nodeAddresses: readonly string[],
): ReadonlyMap<number, SnatAddresses> {
  const chosen = new Map<number, SnatAddresses>()
  for (const { index } of devices) {
    const ipv4 = chooseSource(table, { index, family: 'IPv4', nodeAddresses })
    const ipv6 = chooseSource(table, { index, family: 'IPv6', nodeAddresses })
    const addresses = { ...(ipv4 !== undefined && { ipv4 }), ...(ipv6 !== undefined && { ipv6 }) }
    chosen.set(index, addresses)
  }
  return chosen
}

interface Question {
  readonly index: number
  readonly family: NetFamily
  readonly nodeAddresses: readonly string[]
}

function chooseSource(table: LinkTable, question: Question): string | undefined {
  const { index, family, nodeAddresses } = question
  const usable = [...table.addresses.values()].filter(
    (address) => address.family === family && !address.avoided,
  )
  const own = usable.filter(
    (address) => address.index === index && address.scope === 'global' && !address.secondary,
  )
  const told = fromDefaultRoute(table, question, usable)
  const chosen = family === 'IPv4' ? chooseOwn4(table, index, own) : chooseOwn6(own, nodeAddresses)
  return told ?? chosen ?? nodeAddresses.find((address) => isUsual(address, family))
}

/** The kernel refuses a route's source that it does not have, and drops the route when it goes. */
function fromDefaultRoute(
  table: LinkTable,
  { index, family }: Question,
  usable: readonly LinkAddress[],
): string | undefined {
  const [best] = defaultRoutesOf(table, index, family)
  const source = best?.source
  return usable.some(({ address }) => address === source) ? source : undefined
}

function chooseOwn4(
  table: LinkTable,
  index: number,
  own: readonly LinkAddress[],
): string | undefined {
  const gateway = defaultRoutesOf(table, index, 'IPv4')[0]?.gateway
  const onSubnet = own.find((address) => gateway !== undefined && contains(address, gateway))
  return (onSubnet ?? own[0])?.address
}

function chooseOwn6(
  own: readonly LinkAddress[],
  nodeAddresses: readonly string[],
): string | undefined {
  const node = own.find(({ address }) => nodeAddresses.includes(address))
  if (node !== undefined) return node.address
  const byText = own.map(({ address }) => address).sort()
  return byText.find((address) => !/^f[cd]/.test(address)) ?? byText[0]
}

/** Best first. */
function defaultRoutesOf(table: LinkTable, index: number, family: NetFamily) {
  return table.defaultRoutes
    .filter((route) => route.family === family && route.indexes.includes(index))
    .sort((one, other) => one.priority - other.priority)
}

function contains({ address, prefixLength }: LinkAddress, gateway: string): boolean {
  return rangeTest([`${address}/${prefixLength}`])(gateway)
}

function isUsual(address: string, family: NetFamily): boolean {
  return `IPv${familyOf(address)}` === family && addressScope(address) === 'unicast'
}
