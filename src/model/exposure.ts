import { addressScope, familyOf } from './address.ts'
import { otherOwner, ownerOf, type AddressOwners } from './address-owners.ts'
import { rangeTest, type RangeTest } from './ranges.ts'
import type { SourceRangeKinds } from './source-ranges.ts'
import type { Family, FrontendKind, NodeView, Service } from './types.ts'

/** The local addresses that NodePorts answer on. */
export type NodePortAddresses =
  | { readonly kind: 'primary' }
  | { readonly kind: 'all' }
  | { readonly kind: 'ranges'; readonly ranges: readonly string[] }

/** What an operator decides about addresses. */
export interface ExposureRules {
  readonly nodePortAddresses: NodePortAddresses
  /** Where externalIPs may be; none: they are refused. */
  readonly externalRanges: readonly string[]
  /** Where pods of every node are, as far as somebody says so. */
  readonly podRanges?: readonly string[]
  /** Which frontends source ranges are for. */
  readonly sourceRangeKinds: SourceRangeKinds
}

/** The rules where nothing is said. */
export const defaultRules: ExposureRules = {
  nodePortAddresses: { kind: 'primary' },
  externalRanges: [],
  sourceRangeKinds: 'load-balancer',
}

/** What is around a Service when its frontends are decided. */
export interface Surroundings {
  readonly node: NodeView
  /** Addresses of this machine: nothing of ours may take them over. */
  readonly localAddresses: ReadonlySet<string>
  /** Where NodePorts answer. */
  readonly nodePortAddresses: readonly string[]
  readonly isExternalRange: RangeTest
  readonly sourceRangeKinds: SourceRangeKinds
  readonly isPodRange: RangeTest
  readonly owners: AddressOwners
}

/** Brings together what is known of the node, its addresses and the other Services. */
export function surroundingsOf(
  node: NodeView,
  interfaceAddresses: Iterable<string>,
  rules: ExposureRules,
  owners: AddressOwners,
): Surroundings {
  const localAddresses = new Set([...node.addresses, ...interfaceAddresses])
  return {
    node,
    localAddresses,
    nodePortAddresses: chooseNodePortAddresses(node, localAddresses, rules.nodePortAddresses),
    isExternalRange: rangeTest(rules.externalRanges),
    sourceRangeKinds: rules.sourceRangeKinds,
    isPodRange: rangeTest([...node.podCIDRs, ...(rules.podRanges ?? [])]),
    owners,
  }
}

function chooseNodePortAddresses(
  node: NodeView,
  local: ReadonlySet<string>,
  chosen: NodePortAddresses,
): string[] {
  const usable = [...local].filter((address) => addressScope(address) === 'unicast')
  if (chosen.kind === 'all') return usable.sort()
  if (chosen.kind === 'ranges') return usable.filter(rangeTest(chosen.ranges)).sort()
  const own = node.addresses.filter((address) => addressScope(address) === 'unicast')
  const families: readonly Family[] = [4, 6]
  return families.flatMap((family) => own.find((address) => familyOf(address) === family) ?? [])
}

/** Collects why addresses or endpoints of a Service are not served. */
export type Refuse = (field: string, value: string, reason: string) => void

/** The addresses a Service may have for one kind of frontend, of all families. */
export function addressesOf(
  service: Service,
  kind: Exclude<FrontendKind, 'NodePort'>,
  around: Surroundings,
  refuse: Refuse,
): string[] {
  const check = { service, around, refuse }
  switch (kind) {
    case 'ClusterIP':
      return service.clusterIPs.filter((address) => isServable(check, address))
    case 'LoadBalancer':
      return service.loadBalancerIPs.filter((address) => isBalanced(check, address))
    case 'ExternalIP':
      return service.externalIPs.filter((address) => isExternal(check, address))
  }
}

interface Check {
  readonly service: Service
  readonly around: Surroundings
  readonly refuse: Refuse
}

/* NodeLocal DNS puts the VIP of DNS on an interface of the node to answer it there. */
function isServable(check: Check, address: string): boolean {
  const field = 'spec.clusterIPs'
  const { around, refuse } = check
  if (isNodeAddress(check, field, address)) return false
  if (around.isPodRange(address)) refuse(field, address, 'is an address of pods')
  else return !around.localAddresses.has(address)
  return false
}

function isBalanced(check: Check, address: string): boolean {
  const field = 'status.loadBalancer.ingress'
  return !isNodeAddress(check, field, address) && isUnprotected(check, field, address)
}

/* An address that a load balancer put on an interface here is served, but not taken over. */
function isNodeAddress({ around, refuse }: Check, field: string, address: string): boolean {
  if (!around.node.addresses.includes(address)) return false
  refuse(field, address, 'is an address of this node')
  return true
}

function isExternal(check: Check, address: string): boolean {
  const { around, refuse } = check
  const field = 'spec.externalIPs'
  if (!around.isExternalRange(address)) {
    refuse(field, address, 'is not in a range allowed for external addresses')
    return false
  }
  if (around.localAddresses.has(address)) {
    refuse(field, address, 'is an address of this node')
    return false
  }
  return isUnprotected(check, field, address)
}

/** Whoever may edit a Service must not take over the traffic of nodes, pods and other Services. */
function isUnprotected(check: Check, field: string, address: string): boolean {
  const { service, around, refuse } = check
  const owner = otherOwner(around.owners, address, service.name)
  if (owner !== undefined) refuse(field, address, `is the cluster IP of Service ${owner}`)
  else if (around.isPodRange(address)) refuse(field, address, 'is an address of pods')
  else return true
  return false
}

/** Ports that the node's own services use: SSH and the like, etcd, the API server, the kubelet. */
export function isNodesOwnPort(port: number): boolean {
  return (
    port < 1024 ||
    port === 2379 ||
    port === 2380 ||
    port === 6443 ||
    (port >= 10_248 && port <= 10_259)
  )
}

/** Why an endpoint must not be sent traffic: it would come back to us. */
export function whyNotEndpoint(address: string, around: Surroundings): string | undefined {
  if (around.isPodRange(address)) return undefined
  const owner = ownerOf(around.owners, address)
  return owner && `is the cluster IP of Service ${owner}`
}
