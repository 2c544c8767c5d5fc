import { canonicalRange, familyOf } from '../model/address.ts'
import { intern } from '../model/intern.ts'
import {
  serviceName,
  servicePortName,
  type Parsed,
  type Policy,
  type Protocol,
  type Service,
  type ServiceName,
  type ServicePort,
  type ServiceType,
  type Choice,
  type SourceRanges,
} from '../model/types.ts'
import { readUnicast } from './parse-address.ts'
import {
  deepProperty,
  isName,
  limited,
  listProperty,
  property,
  readIdentity,
  readLabel,
  readPort,
  readTime,
  Refusals,
  shown,
  textProperty,
} from './parse-raw.ts'

const maxPorts = 1000
const maxAddresses = 256
const maxRanges = 1000
const annotationPrefix = 'kube-shunt.io/'
const choiceAnnotation = 'kube-shunt.io/load-balancing'
const ciliumAnnotation = 'service.cilium.io/lb-algorithm'
const defaultAffinity = 10_800
const maxAffinity = 86_400
const none: readonly string[] = Object.freeze([])
const noAnnotations: ReadonlyMap<string, string> = new Map()

/** A Service object as a Service to serve; what cannot be served is refused piece by piece. */
export function parseService(raw: unknown): Parsed<Service> {
  const identity = readIdentity(raw, 63)
  if (identity === undefined) {
    const metadata = property(raw, 'metadata')
    const value = `${textProperty(metadata, 'namespace')}/${textProperty(metadata, 'name')}`
    const refusal = { field: 'metadata.name', value: shown(value), reason: 'is not a Service name' }
    return { kind: 'refused', name: '', refusals: [refusal] }
  }
  const name = serviceName(identity.namespace, identity.name)
  const reason = whyIgnored(raw)
  if (reason !== undefined) return { kind: 'ignored', name, reason }
  const refusals = new Refusals()
  const value = readService(raw, name, refusals)
  return { kind: 'parsed', name, value, refusals: refusals.list }
}

function whyIgnored(raw: unknown): string | undefined {
  const spec = property(raw, 'spec')
  if (readLabel(raw, 'service.kubernetes.io/service-proxy-name') !== undefined) {
    return 'another proxy serves it (service-proxy-name)'
  }
  if (readLabel(raw, 'service.kubernetes.io/headless') !== undefined) return 'labelled headless'
  if (property(spec, 'type') === 'ExternalName') return 'an ExternalName has nothing to serve'
  const addresses = rawClusterIPs(spec)
  if (addresses[0] === 'None') return 'headless'
  return addresses.length === 0 ? 'has no cluster IP' : undefined
}

function rawClusterIPs(spec: unknown): readonly unknown[] {
  const list = listProperty(spec, 'clusterIPs')
  const only = property(spec, 'clusterIP')
  if (list.length > 0) return list
  return only === undefined || only === null || only === '' ? [] : [only]
}

function readService(raw: unknown, name: ServiceName, refusals: Refusals): Service {
  const spec = property(raw, 'spec')
  const type = readType(property(spec, 'type'))
  const balanced = type === 'LoadBalancer'
  const external = property(spec, 'externalTrafficPolicy')
  const internal = property(spec, 'internalTrafficPolicy')
  return {
    name,
    uid: textProperty(property(raw, 'metadata'), 'uid').slice(0, 64),
    createdAt: readTime(deepProperty(raw, 'metadata', 'creationTimestamp')),
    type,
    clusterIPs: readAddresses(rawClusterIPs(spec), 'spec.clusterIPs', refusals),
    ports: readPorts(spec, name, refusals),
    internalPolicy: readPolicy(internal),
    externalPolicy: readPolicy(external),
    affinitySeconds: readAffinity(spec),
    loadBalancerIPs: balanced ? readIngress(raw, refusals) : [],
    externalIPs: readAddresses(listProperty(spec, 'externalIPs'), 'spec.externalIPs', refusals),
    sourceRanges: readRanges(spec, refusals),
    choice: readChoice(raw, refusals),
    healthCheckNodePort: balanced ? (readPort(property(spec, 'healthCheckNodePort')) ?? 0) : 0,
    publishNotReady: property(spec, 'publishNotReadyAddresses') === true,
    annotations: readAnnotations(raw),
  }
}

/** Values we do not know mean the default, as new API versions may add some. */
function readType(value: unknown): ServiceType {
  return value === 'NodePort' || value === 'LoadBalancer' ? value : 'ClusterIP'
}

function readPolicy(value: unknown): Policy {
  return value === 'Local' ? 'Local' : 'Cluster'
}

function readAddresses(
  list: readonly unknown[],
  field: string,
  refusals: Refusals,
): readonly string[] {
  const addresses = new Set<string>()
  for (const [at, value] of limited(list, maxAddresses, field, refusals).entries()) {
    const address = readUnicast(value, `${field}[${at}]`, refusals)
    if (address !== undefined) addresses.add(address)
  }
  return addresses.size === 0 ? none : [...addresses]
}

function readPorts(spec: unknown, service: ServiceName, refusals: Refusals): ServicePort[] {
  const ports: ServicePort[] = []
  const seen = new Set<string>()
  const list = limited(listProperty(spec, 'ports'), maxPorts, 'spec.ports', refusals)
  for (const [at, raw] of list.entries()) {
    const field = `spec.ports[${at}]`
    const port = readServicePort(raw, service, field, refusals)
    if (port === undefined) continue
    const number = `${port.port}/${port.protocol}`
    if (seen.has(port.name) || seen.has(number)) {
      refusals.add(field, number, 'an earlier port of the Service has the same name or number')
      continue
    }
    seen.add(port.name).add(number)
    ports.push(port)
  }
  return ports.slice()
}

function readServicePort(
  raw: unknown,
  service: ServiceName,
  field: string,
  refusals: Refusals,
): ServicePort | undefined {
  const protocol = readProtocol(property(raw, 'protocol'))
  const port = readPort(property(raw, 'port'))
  const portName = property(raw, 'name') ?? ''
  if (port === undefined) {
    refusals.add(`${field}.port`, property(raw, 'port'), 'is not a port number')
    return undefined
  }
  if (protocol === undefined) {
    refusals.add(`${field}.protocol`, property(raw, 'protocol'), 'is not TCP, UDP or SCTP')
    return undefined
  }
  if (typeof portName !== 'string' || !(portName === '' || isName(portName, 63))) {
    refusals.add(`${field}.name`, portName, 'is not a port name')
    return undefined
  }
  const nodePort = property(raw, 'nodePort') ?? 0
  const knownNodePort = nodePort === 0 ? 0 : readPort(nodePort)
  if (knownNodePort === undefined) {
    refusals.add(`${field}.nodePort`, nodePort, 'is not a port number')
  }
  const name = servicePortName(service, portName, protocol)
  return { name, portName: intern(portName), protocol, port, nodePort: knownNodePort ?? 0 }
}

/** A protocol that can be served, TCP when unset. */
export function readProtocol(value: unknown): Protocol | undefined {
  if (value === undefined || value === null || value === '') return 'TCP'
  return value === 'TCP' || value === 'UDP' || value === 'SCTP' ? value : undefined
}

function readAffinity(spec: unknown): number {
  if (property(spec, 'sessionAffinity') !== 'ClientIP') return 0
  const seconds = deepProperty(spec, 'sessionAffinityConfig', 'clientIP', 'timeoutSeconds')
  if (typeof seconds !== 'number' || !Number.isInteger(seconds) || seconds < 1) {
    return defaultAffinity
  }
  return Math.min(seconds, maxAffinity)
}

/** Addresses the load balancer routes to us; ipMode Proxy means that it wants the traffic itself. */
function readIngress(raw: unknown, refusals: Refusals): readonly string[] {
  const ingress = listProperty(deepProperty(raw, 'status', 'loadBalancer'), 'ingress')
  const addresses: unknown[] = []
  for (const entry of ingress) {
    const address = property(entry, 'ip')
    const ours = address !== undefined && address !== null && address !== ''
    if (ours && property(entry, 'ipMode') !== 'Proxy') addresses.push(address)
  }
  return readAddresses(addresses, 'status.loadBalancer.ingress', refusals)
}

/** Fails closed: ranges of which none can be read let nobody in. */
function readRanges(spec: unknown, refusals: Refusals): SourceRanges {
  const list = listProperty(spec, 'loadBalancerSourceRanges')
  const field = 'spec.loadBalancerSourceRanges'
  const ranges = new Set<string>()
  for (const [at, value] of limited(list, maxRanges, field, refusals).entries()) {
    const range = typeof value === 'string' ? canonicalRange(value.trim()) : undefined
    if (range === undefined) refusals.add(`${field}[${at}]`, value, 'is not an address range')
    else ranges.add(range)
  }
  if (list.length === 0) return { kind: 'everybody' }
  return ranges.size === 0 ? { kind: 'nobody' } : { kind: 'listed', ranges: sorted(ranges) }
}

function sorted(ranges: ReadonlySet<string>): string[] {
  return [...ranges].sort((a, b) => familyOf(a) - familyOf(b) || (a < b ? -1 : 1))
}

/** Ours wins over Cilium's, of which other values are for Cilium. */
function readChoice(raw: unknown, refusals: Refusals): Choice {
  const annotations = deepProperty(raw, 'metadata', 'annotations')
  const ours = textProperty(annotations, choiceAnnotation)
  if (ours === 'maglev' || ours === 'random') return ours
  if (ours !== '') {
    refusals.add(`metadata.annotations[${choiceAnnotation}]`, ours, 'is neither maglev nor random')
  }
  return textProperty(annotations, ciliumAnnotation) === 'maglev' ? 'maglev' : 'random'
}

function readAnnotations(raw: unknown): ReadonlyMap<string, string> {
  const annotations = deepProperty(raw, 'metadata', 'annotations')
  if (typeof annotations !== 'object' || annotations === null) return noAnnotations
  const ours = new Map<string, string>()
  for (const key of Object.keys(annotations)) {
    if (!key.startsWith(annotationPrefix) || ours.size >= 32) continue
    const value = textProperty(annotations, key)
    if (value.length <= 1024) ours.set(key.slice(annotationPrefix.length), value)
  }
  return ours.size === 0 ? noAnnotations : ours
}
