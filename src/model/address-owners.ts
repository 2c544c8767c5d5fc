import type { Service, ServiceName } from './types.ts'

/** Which Services have an address, as their own cluster IP or for clients from outside. */
export interface AddressOwners {
  readonly clusterIPs: Map<string, Owners>
  readonly externals: Map<string, Owners>
}

/** Mostly one, so that 50 000 Services do not need as many sets. */
type Owners = ServiceName | ReadonlySet<ServiceName>

/** What a change of one Service means for the others. */
export interface OwnerChange {
  /** Services whose addresses for outside have to be looked at again. */
  readonly services: Set<ServiceName>
  /** Addresses that became or no longer are somebody's cluster IP. */
  readonly clusterIPs: Set<string>
}

export function createAddressOwners(): AddressOwners {
  return { clusterIPs: new Map(), externals: new Map() }
}

/** Notes the addresses of a Service's new version in place of those of the old one. */
export function updateOwners(
  owners: AddressOwners,
  before: Service | undefined,
  after: Service | undefined,
  change: OwnerChange,
): void {
  const name = after?.name ?? before?.name
  if (name === undefined) return
  const old = new Set(before?.clusterIPs)
  for (const address of after?.clusterIPs ?? []) {
    if (old.delete(address)) continue
    add(owners.clusterIPs, address, name)
    noteChange(owners, address, change)
  }
  for (const address of old) {
    remove(owners.clusterIPs, address, name)
    noteChange(owners, address, change)
  }
  for (const address of externalsOf(before)) remove(owners.externals, address, name)
  for (const address of externalsOf(after)) add(owners.externals, address, name)
}

/** Another Service that has the address as its cluster IP. */
export function otherOwner(
  owners: AddressOwners,
  address: string,
  service: ServiceName,
): ServiceName | undefined {
  for (const name of listOf(owners.clusterIPs.get(address))) if (name !== service) return name
  return undefined
}

/** A Service that has the address as its cluster IP. */
export function ownerOf(owners: AddressOwners, address: string): ServiceName | undefined {
  for (const name of listOf(owners.clusterIPs.get(address))) return name
  return undefined
}

function noteChange(owners: AddressOwners, address: string, change: OwnerChange): void {
  change.clusterIPs.add(address)
  for (const name of listOf(owners.externals.get(address))) change.services.add(name)
}

function externalsOf(service: Service | undefined): Iterable<string> {
  if (service === undefined) return []
  return new Set([...service.loadBalancerIPs, ...service.externalIPs])
}

function listOf(owners: Owners | undefined): Iterable<ServiceName> {
  if (owners === undefined) return []
  return typeof owners === 'string' ? [owners] : owners
}

function add(map: Map<string, Owners>, address: string, name: ServiceName): void {
  const owners = map.get(address)
  map.set(address, owners === undefined ? name : new Set([...listOf(owners), name]))
}

function remove(map: Map<string, Owners>, address: string, name: ServiceName): void {
  const others = [...listOf(map.get(address))].filter((owner) => owner !== name)
  if (others.length === 0) map.delete(address)
  else map.set(address, others.length === 1 ? others[0]! : new Set(others))
}
