import { addressScope } from './address.ts'
import {
  createAddressOwners,
  updateOwners,
  type AddressOwners,
  type OwnerChange,
} from './address-owners.ts'
import {
  createEndpointTracker,
  slicesOf,
  takeChangedEndpoints,
  type EndpointTracker,
} from './endpoint-tracker.ts'
import { defaultRules, surroundingsOf, type ExposureRules, type Surroundings } from './exposure.ts'
import { resolveService } from './resolve.ts'
import { createServiceTracker, sameTexts, type ServiceTracker } from './service-tracker.ts'
import { takeChanges } from './tracker.ts'
import type { NodeView, ResolvedService, ServiceName } from './types.ts'

/** Everything that decides what a Service wants programmed on this node. */
export interface ClusterView {
  readonly services: ServiceTracker
  readonly endpoints: EndpointTracker
  /** Takes what is known of the node now; true when every Service is to be looked at again. */
  setNode(node: NodeView): boolean
  /** The same for the addresses of the node's interfaces. */
  setInterfaceAddresses(addresses: readonly string[]): boolean
  /** The Services to look at again; what they were told so far counts as applied. */
  takeChanged(): Set<ServiceName>
  resolve(name: ServiceName): ResolvedService | undefined
}

/** What is known of a node before anything was told about it. */
export function unknownNode(name: string): NodeView {
  return { name, zone: '', addresses: [], podCIDRs: [] }
}

/** A view of an empty cluster from a node. */
export function createClusterView(
  nodeName: string,
  rules: ExposureRules = defaultRules,
): ClusterView {
  const services = createServiceTracker()
  const endpoints = createEndpointTracker()
  const owners = createAddressOwners()
  let node = unknownNode(nodeName)
  let interfaceAddresses: readonly string[] = []
  let surroundings = surroundingsOf(node, interfaceAddresses, rules, owners)
  let isAllChanged = false
  const move = (): boolean => {
    surroundings = surroundingsOf(node, interfaceAddresses, rules, owners)
    isAllChanged = true
    return true
  }
  return {
    services,
    endpoints,
    setNode(next) {
      if (sameNode(node, next)) return false
      node = next
      return move()
    },
    setInterfaceAddresses(addresses) {
      // link-local ones come and go with every pod's device, and can be no VIP
      const sorted = [...new Set(addresses)].filter(isUnicast).sort()
      if (sameTexts(sorted, interfaceAddresses)) return false
      interfaceAddresses = sorted
      return move()
    },
    takeChanged() {
      const changed = takeChanged(services, endpoints, owners)
      if (isAllChanged) for (const name of services.applied.keys()) changed.add(name as ServiceName)
      isAllChanged = false
      return changed
    },
    resolve: (name) => resolve(services, endpoints, surroundings, name),
  }
}

function resolve(
  services: ServiceTracker,
  endpoints: EndpointTracker,
  around: Surroundings,
  name: ServiceName,
): ResolvedService | undefined {
  const service = services.applied.get(name)
  return service && resolveService(service, slicesOf(endpoints, name), around)
}

function takeChanged(
  services: ServiceTracker,
  endpoints: EndpointTracker,
  owners: AddressOwners,
): Set<ServiceName> {
  const change: OwnerChange = { services: new Set(), clusterIPs: new Set() }
  for (const { key, before, after } of takeChanges(services)) {
    change.services.add(key as ServiceName)
    updateOwners(owners, before, after, change)
  }
  for (const name of takeChangedEndpoints(endpoints)) change.services.add(name)
  if (change.clusterIPs.size > 0) addUsers(endpoints, change)
  return change.services
}

/** Adds the Services with an endpoint at an address that became or no longer is a cluster IP. */
function addUsers(endpoints: EndpointTracker, { services, clusterIPs }: OwnerChange): void {
  for (const [name, slices] of endpoints.byService) {
    if (services.has(name)) continue
    const isUser = slices.some((slice) =>
      slice.endpoints.some((endpoint) => clusterIPs.has(endpoint.address)),
    )
    if (isUser) services.add(name)
  }
}

function isUnicast(address: string): boolean {
  return addressScope(address) === 'unicast'
}

function sameNode(a: NodeView, b: NodeView): boolean {
  return (
    a.zone === b.zone && sameTexts(a.addresses, b.addresses) && sameTexts(a.podCIDRs, b.podCIDRs)
  )
}
