import { familyOf } from './address.ts'
import { categorize, type Candidate, type EndpointSets } from './categorize.ts'
import {
  frontendKey,
  type Endpoint,
  type EndpointSlice,
  type Family,
  type Frontend,
  type NodeView,
  type ResolvedService,
  type Service,
  type ServicePort,
} from './types.ts'

/** What a Service wants programmed on this node, given its slices. */
export function resolveService(
  service: Service,
  slices: readonly EndpointSlice[],
  node: NodeView,
): ResolvedService {
  const frontends: Frontend[] = []
  for (const family of familiesOf(service)) {
    for (const port of service.ports) {
      const sets = categorize(candidatesOf(port, family, slices, node))
      frontends.push(clusterFrontend(service, port, family, sets))
    }
  }
  return { name: service.name, uid: service.uid, createdAt: service.createdAt, frontends }
}

function familiesOf(service: Service): Set<Family> {
  return new Set(service.clusterIPs.map(familyOf))
}

function clusterFrontend(
  service: Service,
  port: ServicePort,
  family: Family,
  sets: EndpointSets,
): Frontend {
  const localOnly = service.internalPolicy === 'Local'
  const backends = localOnly ? localFirst(sets) : localOfClusterFirst(sets)
  const chosen = new Set(backends)
  return {
    service: service.name,
    servicePort: port.name,
    portName: port.portName,
    protocol: port.protocol,
    kind: 'ClusterIP',
    family,
    keys: service.clusterIPs
      .filter((address) => familyOf(address) === family)
      .map((address) => frontendKey(address, port.port, port.protocol)),
    ownsAddresses: true,
    localOnly,
    externalLocalOnly: localOnly,
    lead: 0,
    affinitySeconds: service.affinitySeconds,
    backends,
    spares: sets.serving.filter((candidate) => !chosen.has(candidate)),
  }
}

/**
 * The local set, then those of the cluster set that are elsewhere: the datapath uses only the
 * local ones, and sees from the others that there are endpoints (drop, not reject).
 */
function localFirst(sets: EndpointSets): Candidate[] {
  return [...sets.local, ...sets.cluster.filter((candidate) => !candidate.local)]
}

function localOfClusterFirst(sets: EndpointSets): Candidate[] {
  const local = sets.cluster.filter((candidate) => candidate.local)
  return [...local, ...sets.cluster.filter((candidate) => !candidate.local)]
}

/** The endpoints of a ServicePort, matched by port name; one address and port counts once. */
function candidatesOf(
  port: ServicePort,
  family: Family,
  slices: readonly EndpointSlice[],
  node: NodeView,
): Candidate[] {
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
      if (known === undefined || rank(endpoint) > rank(known)) {
        candidates.set(key, candidateOf(endpoint, match.port, node))
      }
    }
  }
  return [...candidates.values()]
}

/** Of two records of one endpoint the ready one wins, then the serving one. */
function rank(endpoint: Pick<Endpoint, 'ready' | 'serving' | 'terminating'>): number {
  if (endpoint.ready) return 3
  return endpoint.serving ? (endpoint.terminating ? 2 : 1) : 0
}

function candidateOf(endpoint: Endpoint, port: number, node: NodeView): Candidate {
  return {
    address: endpoint.address,
    port,
    local: endpoint.node !== '' && endpoint.node === node.name,
    ready: endpoint.ready,
    serving: endpoint.serving,
    terminating: endpoint.terminating,
  }
}
