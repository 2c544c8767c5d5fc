import { familyOf } from '../model/address.ts'
import { intern, internList } from '../model/intern.ts'
import {
  serviceName,
  type Endpoint,
  type EndpointSlice,
  type Family,
  type Parsed,
  type ServiceName,
  type SlicePort,
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
  Refusals,
  shown,
  textProperty,
} from './parse-raw.ts'
import { readProtocol } from './parse-service.ts'

const maxEndpoints = 10_000
const maxPorts = 1000
const maxHints = 64
const none: readonly string[] = Object.freeze([])

/** An EndpointSlice object as our few fields of it; bad endpoints and ports are left out. */
export function parseEndpointSlice(raw: unknown): Parsed<EndpointSlice> {
  const identity = readIdentity(raw, 253)
  if (identity === undefined) {
    const value = shown(deepProperty(raw, 'metadata', 'name'))
    const refusal = { field: 'metadata.name', value, reason: 'is not an EndpointSlice name' }
    return { kind: 'refused', name: '', refusals: [refusal] }
  }
  const key = [identity.namespace, identity.name].join('/')
  if (readLabel(raw, 'service.kubernetes.io/headless') !== undefined) {
    return { kind: 'ignored', name: key, reason: 'labelled headless' }
  }
  const type = property(raw, 'addressType')
  const family = type === 'IPv4' ? 4 : type === 'IPv6' ? 6 : undefined
  if (family === undefined) {
    return { kind: 'ignored', name: key, reason: `has address type ${shown(type)}` }
  }
  const refusals = new Refusals()
  const value: EndpointSlice = {
    key,
    service: readService(raw, identity.namespace, refusals),
    family,
    ports: readPorts(raw, refusals),
    endpoints: readEndpoints(raw, family, refusals),
  }
  return { kind: 'parsed', name: key, value, refusals: refusals.list }
}

function readService(raw: unknown, namespace: string, refusals: Refusals): ServiceName | undefined {
  const label = readLabel(raw, 'kubernetes.io/service-name') ?? ''
  if (isName(label, 63)) return intern(serviceName(namespace, label)) as ServiceName
  if (label !== '') {
    refusals.add('metadata.labels[kubernetes.io/service-name]', label, 'is not a Service name')
  }
  return undefined
}

/** A port without a number means "all ports" and serves no Service. */
function readPorts(raw: unknown, refusals: Refusals): SlicePort[] {
  const ports: SlicePort[] = []
  const list = limited(listProperty(raw, 'ports'), maxPorts, 'ports', refusals)
  for (const [at, entry] of list.entries()) {
    const number = property(entry, 'port')
    if (number === undefined || number === null) continue
    const port = readPort(number)
    const protocol = readProtocol(property(entry, 'protocol'))
    const portName = textProperty(entry, 'name')
    if (port === undefined) refusals.add(`ports[${at}].port`, number, 'is not a port number')
    else if (protocol === undefined) {
      const value = property(entry, 'protocol')
      refusals.add(`ports[${at}].protocol`, value, 'is not TCP, UDP or SCTP')
    } else if (portName !== '' && !isName(portName, 63)) {
      refusals.add(`ports[${at}].name`, portName, 'is not a port name')
    } else ports.push({ portName: intern(portName), protocol, port })
  }
  return ports.slice()
}

function readEndpoints(raw: unknown, family: Family, refusals: Refusals): Endpoint[] {
  const endpoints: Endpoint[] = []
  const list = limited(listProperty(raw, 'endpoints'), maxEndpoints, 'endpoints', refusals)
  for (let at = 0; at < list.length; at++) {
    const endpoint = readEndpoint(list[at], `endpoints[${at}]`, family, refusals)
    if (endpoint !== undefined) endpoints.push(endpoint)
  }
  return endpoints.slice()
}

/** Only the first address counts, as for kube-proxy: the API says that all are interchangeable. */
function readEndpoint(
  raw: unknown,
  field: string,
  family: Family,
  refusals: Refusals,
): Endpoint | undefined {
  const addresses = listProperty(raw, 'addresses')
  if (addresses.length === 0) {
    refusals.add(`${field}.addresses`, addresses, 'is empty')
    return undefined
  }
  const address = readUnicast(addresses[0], `${field}.addresses[0]`, refusals)
  if (address === undefined) return undefined
  if (familyOf(address) !== family) {
    refusals.add(`${field}.addresses[0]`, address, `is not an IPv${family} address`)
    return undefined
  }
  const conditions = property(raw, 'conditions')
  const ready = property(conditions, 'ready') !== false
  const serving = property(conditions, 'serving')
  const hints = property(raw, 'hints')
  return {
    address,
    ready,
    serving: typeof serving === 'boolean' ? serving : ready,
    terminating: property(conditions, 'terminating') === true,
    node: intern(textProperty(raw, 'nodeName').slice(0, 253)),
    zone: intern(textProperty(raw, 'zone').slice(0, 63)),
    zoneHints: readHints(listProperty(hints, 'forZones')),
    nodeHints: readHints(listProperty(hints, 'forNodes')),
  }
}

function readHints(list: readonly unknown[]): readonly string[] {
  if (list.length === 0) return none
  const names = list.slice(0, maxHints).map((hint) => textProperty(hint, 'name').slice(0, 253))
  return internList(names.filter((name) => name !== ''))
}
