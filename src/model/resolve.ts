import { familyOf } from './address.ts'
import { categorize, type Candidate, type EndpointSets } from './categorize.ts'
import {
  addressesOf,
  isNodesOwnPort,
  whyNotEndpoint,
  type Refuse,
  type Surroundings,
} from './exposure.ts'
import { sourceRangesOf } from './source-ranges.ts'
import {
  frontendKey,
  type Endpoint,
  type EndpointSlice,
  type Family,
  type Frontend,
  type FrontendKind,
  type Refusal,
  type ResolvedService,
  type Service,
  type ServicePort,
} from './types.ts'

/** What a Service wants programmed on this node, given its slices. */
export function resolveService(
  service: Service,
  slices: readonly EndpointSlice[],
  around: Surroundings,
): ResolvedService {
  const { list: refusals, refuse } = collectRefusals()
  const exposed = exposedAddresses(service, around, refuse)
  const ports = service.ports.map((port) => ({ ...port, nodePort: nodePortOf(port, refuse) }))
  const frontends: Frontend[] = []
  for (const family of familiesOf(service)) {
    const addresses = exposed
      .map(([kind, list]) => [kind, list.filter((at) => familyOf(at) === family)] as const)
      .filter(([, list]) => list.length > 0)
    if (addresses.length === 0) continue
    for (const port of ports) {
      const candidates = candidatesOf({ port, family, around, refuse }, slices)
      const sets = categorize(candidates, around.node)
      for (const [kind, list] of addresses) {
        if (kind === 'NodePort' && port.nodePort === 0) continue
        frontends.push({
          ...frontendPart({ service, port, kind, family }, list, around),
          ...setPart(service, kind, sets),
        })
      }
    }
  }
  const { name, uid, createdAt } = service
  return { name, uid, createdAt, frontends, refusals }
}

/** A Service lives in the families of its cluster IPs; values of another one are skipped. */
function familiesOf(service: Service): Set<Family> {
  return new Set(service.clusterIPs.map(familyOf))
}

const maxRefusals = 20

function collectRefusals(): { readonly list: Refusal[]; readonly refuse: Refuse } {
  const list: Refusal[] = []
  const refuse: Refuse = (field, value, reason) => {
    const isKnown = list.some((one) => one.value === value && one.field === field)
    if (list.length < maxRefusals && !isKnown) list.push({ field, value, reason })
  }
  return { list, refuse }
}

type Exposed = readonly (readonly [FrontendKind, readonly string[]])[]

/** Every kind of frontend with its addresses; the kinds before win where keys are equal. */
function exposedAddresses(service: Service, around: Surroundings, refuse: Refuse): Exposed {
  const hasNodePorts = service.type !== 'ClusterIP'
  return [
    ['ClusterIP', addressesOf(service, 'ClusterIP', around, refuse)],
    ['LoadBalancer', addressesOf(service, 'LoadBalancer', around, refuse)],
    ['ExternalIP', addressesOf(service, 'ExternalIP', around, refuse)],
    ['NodePort', hasNodePorts ? around.nodePortAddresses : []],
  ]
}

function nodePortOf({ nodePort, name }: ServicePort, refuse: Refuse): number {
  if (nodePort === 0 || !isNodesOwnPort(nodePort)) return nodePort
  refuse(`nodePort of ${name}`, String(nodePort), 'is a port of the node itself')
  return 0
}

interface Identity {
  readonly service: Service
  readonly port: ServicePort
  readonly kind: FrontendKind
  readonly family: Family
}

type SetFields = 'localOnly' | 'externalLocalOnly' | 'backends' | 'lead' | 'spares'

function frontendPart(
  { service, port, kind, family }: Identity,
  addresses: readonly string[],
  around: Surroundings,
): Omit<Frontend, SetFields> {
  const number = kind === 'NodePort' ? port.nodePort : port.port
  return {
    service: service.name,
    servicePort: port.name,
    portName: port.portName,
    protocol: port.protocol,
    kind,
    family,
    keys: addresses.map((address) => frontendKey(address, number, port.protocol)),
    ownsAddresses: kind !== 'NodePort' && !addresses.some((at) => around.localAddresses.has(at)),
    affinitySeconds: service.affinitySeconds,
    choice: service.choice,
    sourceRanges: sourceRangesOf(service, kind, family, around.sourceRangeKinds),
  }
}

/**
 * Clients in the cluster get the internal policy's set at a cluster IP, and everywhere else the
 * cluster set: for them there is no way round through a load balancer. Clients outside get what
 * the policy of the kind says. Under a Local policy the endpoints elsewhere stay in the set, so
 * that the datapath can tell drop from reject.
 */
function setPart(service: Service, kind: FrontendKind, sets: EndpointSets): SetPart {
  const policy = kind === 'ClusterIP' ? service.internalPolicy : service.externalPolicy
  const isLocal = policy === 'Local'
  const localOnly = isLocal && kind === 'ClusterIP'
  const inCluster = new Set(sets.cluster)
  const lead = isLocal ? sets.local.filter((candidate) => !inCluster.has(candidate)) : []
  const backends = [
    ...lead,
    ...sets.cluster.filter((candidate) => candidate.local),
    ...sets.cluster.filter((candidate) => !candidate.local),
  ]
  const chosen = new Set(backends)
  return {
    localOnly,
    externalLocalOnly: isLocal,
    backends,
    lead: localOnly ? 0 : lead.length,
    spares: sets.serving.filter((candidate) => !chosen.has(candidate)),
  }
}

type SetPart = Pick<Frontend, SetFields>

interface Matching {
  readonly port: ServicePort
  readonly family: Family
  readonly around: Surroundings
  readonly refuse: Refuse
}

/** The endpoints of a ServicePort, matched by port name; one address and port counts once. */
function candidatesOf(matching: Matching, slices: readonly EndpointSlice[]): Candidate[] {
  const { port, family, around, refuse } = matching
  const candidates = new Map<string, Candidate>()
  for (const slice of slices) {
    if (slice.family !== family) continue
    const match = slice.ports.find(
      (other) => other.portName === port.portName && other.protocol === port.protocol,
    )
    if (match === undefined) continue
    for (const endpoint of slice.endpoints) {
      const key = `${endpoint.address} ${match.port}`
      const known = candidates.get(key)
      if (known !== undefined && rank(endpoint) <= rank(known)) continue
      const reason = whyNotEndpoint(endpoint.address, around)
      if (reason !== undefined) refuse('endpoint', endpoint.address, reason)
      else candidates.set(key, candidateOf(endpoint, match.port, around.node.name))
    }
  }
  return [...candidates.values()]
}

/** Of two records of one endpoint the ready one wins, then the serving one. */
function rank(endpoint: Pick<Endpoint, 'ready' | 'serving' | 'terminating'>): number {
  if (endpoint.ready) return 3
  return endpoint.serving ? (endpoint.terminating ? 2 : 1) : 0
}

function candidateOf(endpoint: Endpoint, port: number, nodeName: string): Candidate {
  const { address, ready, serving, terminating, nodeHints, zoneHints } = endpoint
  const local = endpoint.node !== '' && endpoint.node === nodeName
  return { address, port, local, ready, serving, terminating, nodeHints, zoneHints }
}
