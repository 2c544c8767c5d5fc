import type { KubeObject } from '../cluster/objects.ts'
import { podSlices, service } from '../cluster/objects.ts'
import type { Cluster, ClusterNode, Family, Pod } from '../cluster/types.ts'

/** Where backends listen. */
export const backendPort = 8080

/** A pod that serves. */
export interface Backend {
  readonly name: string
  readonly pod: Pod
}

/** A Service of the demo, as clients and the screen see it. */
export interface DemoService {
  readonly name: string
  readonly protocol: 'TCP' | 'UDP'
  /** "address:port". */
  readonly target: string
  readonly backends: readonly Backend[]
  readonly object: KubeObject
}

/** Which pods each node gets; `client` sends. */
export const podNames = {
  node1: ['client', 'web-1', 'web-2', 'dns-1'],
  node2: ['client', 'web-3', 'web-4', 'dns-2', 'six-1'],
} as const

/** The Services: TCP on both nodes, UDP, one that is IPv6 only, one that nobody serves. */
export function makeServices(cluster: Cluster): DemoService[] {
  const named = (prefix: string): Backend[] =>
    cluster.pods
      .filter(({ name }) => name.startsWith(prefix))
      .map((pod) => ({ name: pod.name, pod }))
  const make = (about: About, backends: readonly Backend[]): DemoService =>
    makeService(cluster, about, backends)
  return [
    make({ name: 'web', n: 10, port: 80, families: ['IPv4', 'IPv6'] }, named('web-')),
    make({ name: 'dns', n: 11, port: 53, udp: true, families: ['IPv4', 'IPv6'] }, named('dns-')),
    make({ name: 'six', n: 12, port: 80, families: ['IPv6'] }, named('six-')),
    make({ name: 'nobody', n: 13, port: 80, families: ['IPv4', 'IPv6'] }, []),
  ]
}

interface About {
  readonly name: string
  readonly n: number
  readonly port: number
  readonly families: readonly Family[]
  readonly udp?: boolean
}

function makeService(
  cluster: Cluster,
  { name, n, port, families, udp = false }: About,
  backends: readonly Backend[],
): DemoService {
  const clusterIps = families.map((family) => cluster.clusterIp(n, family))
  const protocol = udp ? 'UDP' : 'TCP'
  const ports = [{ name: 'main', port, targetPort: backendPort, protocol } as const]
  return {
    name,
    protocol,
    target: `${clusterIps[0]!.includes(':') ? `[${clusterIps[0]!}]` : clusterIps[0]!}:${port}`,
    backends,
    object: service({ name, ports, clusterIps }),
  }
}

/** The EndpointSlices of a Service with these backends, of the families it has. */
export function slicesOf(about: DemoService, backends: readonly Backend[]): KubeObject[] {
  const { ipFamilies } = about.object['spec'] as { readonly ipFamilies: readonly Family[] }
  const ports = [{ name: 'main', port: backendPort, protocol: about.protocol }]
  const pods = backends.map(({ pod }) => pod)
  return podSlices({ service: about.name, ports }, pods).filter((slice) =>
    ipFamilies.some((family) => family === slice['addressType']),
  )
}

/** "node1" of a backend. */
export function nodeOf({ pod }: Backend): ClusterNode['name'] {
  return pod.node.name
}
