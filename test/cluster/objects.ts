import { createHash } from 'node:crypto'
import type { ClusterNode, Family, Pod } from './types.ts'

/** A Kubernetes object as JSON has it. */
export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly uid?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
    readonly creationTimestamp?: string
  }
  readonly [field: string]: unknown
}

export interface PortInput {
  readonly name?: string
  readonly port: number
  readonly targetPort?: number
  readonly protocol?: 'TCP' | 'UDP' | 'SCTP'
  readonly nodePort?: number
}

export interface ServiceInput {
  readonly name: string
  readonly namespace?: string
  readonly ports: readonly PortInput[]
  /** One per family, the first family first. */
  readonly clusterIps: readonly string[]
  readonly type?: 'ClusterIP' | 'NodePort' | 'LoadBalancer'
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  /** Goes into spec last: policies, affinity, externalIPs, source ranges ... */
  readonly spec?: Readonly<Record<string, unknown>>
  /** Addresses of the load balancer in status. */
  readonly ingressIps?: readonly string[]
}

export interface EndpointInput {
  readonly address: string
  readonly nodeName?: string
  readonly zone?: string
  readonly ready?: boolean
  readonly serving?: boolean
  readonly terminating?: boolean
  readonly forZones?: readonly string[]
}

export interface SliceInput {
  /** The Service's name. */
  readonly service: string
  readonly namespace?: string
  /** Default: the service's name and the family. */
  readonly name?: string
  readonly family: Family
  readonly ports: readonly PortInput[]
  readonly endpoints: readonly EndpointInput[]
}

const created = '2026-01-01T00:00:00Z'

/** A Service object. */
export function service(input: ServiceInput): KubeObject {
  const namespace = input.namespace ?? 'default'
  const { name, clusterIps } = input
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      ...{ name, namespace, uid: uid('Service', namespace, name), creationTimestamp: created },
      ...(input.labels && { labels: input.labels }),
      ...(input.annotations && { annotations: input.annotations }),
    },
    spec: {
      type: input.type ?? 'ClusterIP',
      clusterIP: clusterIps[0] ?? 'None',
      clusterIPs: clusterIps.length === 0 ? ['None'] : clusterIps,
      ipFamilies: clusterIps.map((ip) => (ip.includes(':') ? 'IPv6' : 'IPv4')),
      ports: input.ports.map((port) => ({ protocol: 'TCP', targetPort: port.port, ...port })),
      ...input.spec,
    },
    ...(input.ingressIps && {
      status: { loadBalancer: { ingress: input.ingressIps.map((ip) => ({ ip })) } },
    }),
  }
}

/** An EndpointSlice object of one family. */
export function endpointSlice(input: SliceInput): KubeObject {
  const namespace = input.namespace ?? 'default'
  const name = input.name ?? `${input.service}-${input.family.toLowerCase()}`
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      ...{ name, namespace, uid: uid('EndpointSlice', namespace, name) },
      labels: {
        'kubernetes.io/service-name': input.service,
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
      },
      creationTimestamp: created,
    },
    addressType: input.family,
    ports: input.ports.map(({ name: portName = '', protocol = 'TCP', port, targetPort }) => ({
      name: portName,
      protocol,
      port: targetPort ?? port,
    })),
    endpoints: input.endpoints.map((endpoint) => endpointObject(input, endpoint)),
  }
}

/** One slice per family the pods have addresses of; pods may be any places with a node's name. */
export function podSlices(
  about: Omit<SliceInput, 'family' | 'endpoints'>,
  pods: readonly (Pod | ClusterNode)[],
  conditions: Pick<EndpointInput, 'ready' | 'serving' | 'terminating'> = {},
): KubeObject[] {
  const families: Family[] = ['IPv4', 'IPv6']
  return families.flatMap((family) => {
    const having = pods.filter((pod) => pod.addresses[family] !== '')
    if (having.length === 0 && pods.length > 0) return []
    const endpoints = having.map((pod) => ({
      address: pod.addresses[family],
      nodeName: 'node' in pod ? pod.node.name : pod.name,
      ...conditions,
    }))
    const name = about.name === undefined ? {} : { name: `${about.name}-${family.toLowerCase()}` }
    return [endpointSlice({ ...about, ...name, family, endpoints })]
  })
}

/** The Node object of a node, in zone-1. */
export function nodeObject(
  node: ClusterNode,
  labels: Readonly<Record<string, string>> = {},
): KubeObject {
  const present = (addresses: string[]): string[] => addresses.filter((address) => address !== '')
  const podCIDRs = present([node.podCidrs.IPv4, node.podCidrs.IPv6])
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      ...{ name: node.name, uid: uid('Node', '', node.name), creationTimestamp: created },
      labels: {
        'kubernetes.io/hostname': node.name,
        'topology.kubernetes.io/zone': 'zone-1',
        ...labels,
      },
    },
    spec: { podCIDR: podCIDRs[0], podCIDRs },
    status: {
      addresses: [
        { type: 'Hostname', address: node.name },
        ...present([node.addresses.IPv4, node.addresses.IPv6]).map((address) => ({
          type: 'InternalIP',
          address,
        })),
      ],
    },
  }
}

function endpointObject(slice: SliceInput, endpoint: EndpointInput): unknown {
  const { address, nodeName, zone, forZones } = endpoint
  const { ready = true, terminating = false } = endpoint
  return {
    addresses: [address],
    conditions: { ready, serving: endpoint.serving ?? ready, terminating },
    ...(nodeName !== undefined && { nodeName }),
    ...(zone !== undefined && { zone }),
    ...(forZones && { hints: { forZones: forZones.map((name) => ({ name })) } }),
    targetRef: { kind: 'Pod', namespace: slice.namespace ?? 'default', name: `at-${address}` },
  }
}

/** Stable, so that the same object written twice is the same object. */
function uid(...parts: readonly string[]): string {
  const hex = createHash('sha256').update(parts.join('/')).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
