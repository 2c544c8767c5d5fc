/** A string that names one kind of thing only; made by the functions below. */
type Named<Kind extends string> = string & { readonly __kind: Kind }

/** namespace/name of a Service. */
export type ServiceName = Named<'ServiceName'>
/** namespace/name:portName/protocol, the identity of a ServicePort. */
export type ServicePortName = Named<'ServicePortName'>

export type Protocol = 'TCP' | 'UDP' | 'SCTP'
export type Family = 4 | 6
export type Policy = 'Cluster' | 'Local'
export type ServiceType = 'ClusterIP' | 'NodePort' | 'LoadBalancer'
/** How a new flow finds its backend: anew on each node, or by a table that all nodes share. */
export type Choice = 'random' | 'maglev'
export type FrontendKind = 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalIP'

/** The identity of a Service. */
export function serviceName(namespace: string, name: string): ServiceName {
  return flat(namespace, '/', name) as ServiceName
}

/** The identity of a ServicePort. */
export function servicePortName(
  service: ServiceName,
  portName: string,
  protocol: Protocol,
): ServicePortName {
  return flat(frontendText(service, portName), '/', protocol) as ServicePortName
}

/** namespace/name:portName as kube-proxy prints it: without the colon for a port without a name. */
export function frontendText(service: ServiceName, portName: string): string {
  return portName === '' ? service : flat(service, ':', portName)
}

/** One port of a Service after parsing. */
export interface ServicePort {
  readonly name: ServicePortName
  readonly portName: string
  readonly protocol: Protocol
  readonly port: number
  /** 0: none. */
  readonly nodePort: number
}

/** Who may use the LoadBalancer frontends; 'nobody' is what only unreadable ranges mean. */
export type SourceRanges =
  | { readonly kind: 'everybody' }
  | { readonly kind: 'nobody' }
  | { readonly kind: 'listed'; readonly ranges: readonly string[] }

/** A Service that wants to be served; the addresses are canonical text. */
export interface Service {
  readonly name: ServiceName
  readonly uid: string
  /** Milliseconds since the epoch, 0 when unknown. */
  readonly createdAt: number
  readonly type: ServiceType
  readonly clusterIPs: readonly string[]
  readonly ports: readonly ServicePort[]
  readonly internalPolicy: Policy
  readonly externalPolicy: Policy
  /** 0: no session affinity. */
  readonly affinitySeconds: number
  /** Ingress addresses of the load balancer that are ours to program (ipMode VIP). */
  readonly loadBalancerIPs: readonly string[]
  readonly externalIPs: readonly string[]
  readonly sourceRanges: SourceRanges
  readonly choice: Choice
  /** 0: none. */
  readonly healthCheckNodePort: number
  readonly publishNotReady: boolean
  /** Annotations under kube-shunt.io/, without that prefix. */
  readonly annotations: ReadonlyMap<string, string>
}

export interface SlicePort {
  readonly portName: string
  readonly protocol: Protocol
  readonly port: number
}

/** One address of an EndpointSlice; an empty node or zone means unknown. */
export interface Endpoint {
  readonly address: string
  readonly ready: boolean
  readonly serving: boolean
  readonly terminating: boolean
  readonly node: string
  readonly zone: string
  readonly zoneHints: readonly string[]
  readonly nodeHints: readonly string[]
}

export interface EndpointSlice {
  /** namespace/name of the slice itself. */
  readonly key: string
  /** Which Service it belongs to; undefined when the label is missing. */
  readonly service: ServiceName | undefined
  readonly family: Family
  readonly ports: readonly SlicePort[]
  readonly endpoints: readonly Endpoint[]
}

/** What the control plane knows of the node it runs on. */
export interface NodeView {
  readonly name: string
  readonly zone: string
  readonly addresses: readonly string[]
  readonly podCIDRs: readonly string[]
}

/** A Node object after parsing. */
export interface Node extends NodeView {
  readonly uid: string
  readonly labels: ReadonlyMap<string, string>
  /** Keys of the node's taints. */
  readonly taints: readonly string[]
  readonly deleting: boolean
}

/** An endpoint as one ServicePort sees it. */
export interface Backend {
  readonly address: string
  readonly port: number
  readonly local: boolean
}

/** What clients dial, a key of `frontends`; a VIP itself has port 0 and no protocol. */
export interface FrontendKey {
  readonly address: string
  readonly port: number
  readonly protocol: Protocol | undefined
  /** The key as text, unique among keys; the one copy of it, as there may be 100 000. */
  readonly text: string
}

/** The key of an address, port and protocol. */
export function frontendKey(address: string, port: number, protocol: Protocol): FrontendKey {
  const text = flat(address.includes(':') ? `[${address}]:` : `${address}:`, `${port}/`, protocol)
  return { address, port, protocol, text }
}

/** The key that says that an address is a VIP of ours. */
export function vipKey(address: string): FrontendKey {
  return { address, port: 0, protocol: undefined, text: address }
}

/** A text in one piece: V8 keeps `a + b` as a tree of its parts, twice the size. */
function flat(...parts: readonly string[]): string {
  return parts.join('')
}

/** One (ServicePort, kind, family): all its keys share one backend set. */
export interface Frontend {
  readonly service: ServiceName
  readonly servicePort: ServicePortName
  readonly portName: string
  readonly protocol: Protocol
  readonly kind: FrontendKind
  readonly family: Family
  readonly keys: readonly FrontendKey[]
  /** True: other ports of its addresses are ours too, and unused. */
  readonly ownsAddresses: boolean
  /** Clients in the cluster use local backends only; so do those outside. */
  readonly localOnly: boolean
  readonly externalLocalOnly: boolean
  readonly affinitySeconds: number
  /** Only clients in these may use it; undefined: everybody may. */
  readonly sourceRanges: readonly string[] | undefined
  readonly choice: Choice
  /**
   * What clients outside may be given, local ones first; where only local ones are chosen, the
   * rest tells drop from reject. Clients in the cluster leave out the first `lead` of them.
   */
  readonly backends: readonly Backend[]
  readonly lead: number
  /** Serving, but not to be chosen: their flows stay alive. */
  readonly spares: readonly Backend[]
}

/** A Service and what it wants programmed on this node. */
export interface ResolvedService {
  readonly name: ServiceName
  readonly uid: string
  readonly createdAt: number
  readonly frontends: readonly Frontend[]
  /** Addresses and endpoints that are not served because of what is around the Service. */
  readonly refusals: readonly Refusal[]
}

/** Why a piece of an object is not served, in words for an Event and a log line. */
export interface Refusal {
  readonly field: string
  readonly value: string
  readonly reason: string
}

/** `name` is what trackers know the object by, '' when it could not be read. */
export type Parsed<Value> =
  | {
      readonly kind: 'parsed'
      readonly name: string
      readonly value: Value
      readonly refusals: readonly Refusal[]
    }
  | { readonly kind: 'ignored'; readonly name: string; readonly reason: string }
  | { readonly kind: 'refused'; readonly name: string; readonly refusals: readonly Refusal[] }
