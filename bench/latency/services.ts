/** An endpoint of a Service of the benchmark. */
export interface BenchEndpoint {
  readonly address: string
  readonly port: number
  readonly nodeName: string
}

/** A TCP Service of IPv4, in what every way of proxying needs to know. */
export interface BenchService {
  readonly namespace: string
  readonly name: string
  readonly portName: string
  readonly clusterIp: string
  readonly port: number
  readonly endpoints: readonly BenchEndpoint[]
}

/** "namespace/name:port", as kube-proxy writes it. */
export function servicePortName({ namespace, name, portName }: BenchService): string {
  return `${namespace}/${name}:${portName}`
}

const namespace = 'bench'
const portName = 'http'

/** A Service with one endpoint, to be measured. */
export function measuredService(
  name: string,
  clusterIp: string,
  endpoint: BenchEndpoint,
): BenchService {
  return { namespace, name, portName, clusterIp, port: 80, endpoints: [endpoint] }
}

/**
 * As many Services as asked for, those to be measured in the middle; the others have two endpoints
 * each that nobody asks.
 */
export function surroundWith(
  measured: readonly BenchService[],
  total: number,
  clusterIp: (n: number) => string,
): BenchService[] {
  const others = Array.from({ length: Math.max(0, total - measured.length) }, (_, n) => ({
    ...{ namespace, portName, name: `other-${String(n).padStart(5, '0')}`, port: 80 },
    clusterIp: clusterIp(1000 + n),
    endpoints: [1, 2].map((node) => ({
      address: `10.247.${(n >> 7) & 0xff}.${((n << 1) | (node - 1)) & 0xff}`,
      port: 8080,
      nodeName: `node${node}`,
    })),
  }))
  const half = others.length >> 1
  return [...others.slice(0, half), ...measured, ...others.slice(half)]
}
