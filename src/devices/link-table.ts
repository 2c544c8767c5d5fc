import type { DefaultRoute, Link, LinkAddress, MessageBody } from './rtnetlink.ts'

/** The devices of a network namespace as last told by the kernel. */
export interface LinkTable {
  readonly links: ReadonlyMap<number, Link>
  readonly addresses: ReadonlyMap<string, LinkAddress>
  readonly defaultRoutes: readonly DefaultRoute[]
}

/** The same while messages are applied to it. */
export interface GrowingTable {
  links: Map<number, Link>
  addresses: Map<string, LinkAddress>
  defaultRoutes: DefaultRoute[]
}

export type LinkChange =
  | { readonly kind: 'link'; readonly link: Link; readonly before: Link | undefined }
  | { readonly kind: 'link-removed'; readonly link: Link }
  | { readonly kind: 'address'; readonly address: LinkAddress }
  | { readonly kind: 'address-removed'; readonly address: LinkAddress }
  | { readonly kind: 'default-routes'; readonly routes: readonly DefaultRoute[] }

export function emptyTable(): GrowingTable {
  return { links: new Map(), addresses: new Map(), defaultRoutes: [] }
}

/** Applies one message; what it changed. Default routes are only gathered: see compareTables(). */
export function applyMessage(table: GrowingTable, message: MessageBody): LinkChange[] {
  switch (message.kind) {
    case 'link':
      return message.removed ? removeLink(table, message.link.index) : setLink(table, message.link)
    case 'address':
      return message.removed
        ? removeAddress(table, message.address)
        : setAddress(table, message.address)
    case 'route':
      if (!message.removed) table.defaultRoutes.push(message.route)
      return []
    default:
      return []
  }
}

function setLink(table: GrowingTable, link: Link): LinkChange[] {
  const before = table.links.get(link.index)
  table.links.set(link.index, link)
  return isSame(before, link) ? [] : [{ kind: 'link', link, before }]
}

/* The kernel tells of the addresses of a removed device too, but not always. */
function removeLink(table: GrowingTable, index: number): LinkChange[] {
  const link = table.links.get(index)
  if (link === undefined) return []
  const addresses = [...table.addresses.values()].filter((address) => address.index === index)
  const changes = addresses.flatMap((address) => removeAddress(table, address))
  table.links.delete(index)
  return [...changes, { kind: 'link-removed', link }]
}

function setAddress(table: GrowingTable, address: LinkAddress): LinkChange[] {
  const key = addressKey(address)
  const isOld = isSame(table.addresses.get(key), address)
  table.addresses.set(key, address)
  return isOld ? [] : [{ kind: 'address', address }]
}

function removeAddress(table: GrowingTable, address: LinkAddress): LinkChange[] {
  const isThere = table.addresses.delete(addressKey(address))
  return isThere ? [{ kind: 'address-removed', address }] : []
}

function addressKey(address: LinkAddress): string {
  return `${address.index} ${address.address}/${address.prefixLength}`
}

/** What happened between two tables: removals first, then links, addresses, routes. */
export function compareTables(before: LinkTable, after: LinkTable): LinkChange[] {
  const changes: LinkChange[] = []
  for (const [key, address] of before.addresses) {
    if (!after.addresses.has(key)) changes.push({ kind: 'address-removed', address })
  }
  for (const [index, link] of before.links) {
    if (!after.links.has(index)) changes.push({ kind: 'link-removed', link })
  }
  for (const [index, link] of after.links) {
    const old = before.links.get(index)
    if (!isSame(old, link)) changes.push({ kind: 'link', link, before: old })
  }
  for (const [key, address] of after.addresses) {
    if (!isSame(before.addresses.get(key), address)) changes.push({ kind: 'address', address })
  }
  const routes = sortRoutes(after.defaultRoutes)
  if (!isSame(sortRoutes(before.defaultRoutes), routes)) {
    changes.push({ kind: 'default-routes', routes })
  }
  return changes
}

/* Both sides come from one parser, so their fields stand in the same order. */
function isSame(one: unknown, other: unknown): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other)
}

function sortRoutes(routes: readonly DefaultRoute[]): DefaultRoute[] {
  const key = (route: DefaultRoute) => JSON.stringify(route)
  return [...routes].sort((one, other) => (key(one) < key(other) ? -1 : 1))
}

/**
 * May this event have changed default routes, perhaps without the kernel saying so? It is silent
 * about IPv4 routes that go with their device or address.
 */
export function mayMoveRoutes(table: LinkTable, event: MessageBody): boolean {
  switch (event.kind) {
    case 'route':
      return true
    case 'link':
      return leadsOut(table, event.link.index) && (event.removed || !event.link.up)
    case 'address':
      return event.removed && (leadsOut(table, event.address.index) || isSource(table, event))
    default:
      return false
  }
}

/* The address may be another device's than the route's. */
function isSource(table: LinkTable, { address }: { readonly address: LinkAddress }): boolean {
  return table.defaultRoutes.some(({ source }) => source === address.address)
}

function leadsOut(table: LinkTable, index: number): boolean {
  return table.defaultRoutes.some((route) => route.indexes.includes(index))
}
